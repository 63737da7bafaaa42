// Optional help for the API reference: it remembers the language of the samples, finds operations, fields and errors,
// copies samples, and marks the place of the text in the list of places.

"use strict";

(() => {
  const contents = document.getElementById("contents");

  // --- The language of the samples -------------------------------------------------------------------

  const languages = [...document.querySelectorAll(".bar .segments a")];
  const samples = [...document.querySelectorAll(".sample")];
  const languageOf = (link) => new URL(link.href).searchParams.get("lang");
  const stored = (use) => {
    try {
      return use(localStorage);
    } catch {
      return null; // The browser keeps nothing for this site.
    }
  };

  // Take the samples out of the page that the link leads to, so that the reader stays at the same place.
  const show = async (link) => {
    const answer = await fetch(link.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const others = page.querySelectorAll(".sample");
    if (!answer.ok || others.length !== samples.length) throw new Error("This is another version of the page.");
    samples.forEach((each, place) => (each.textContent = others[place].textContent));
    for (const each of languages) each.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
  };
  for (const link of languages) {
    link.addEventListener("click", async (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      stored((all) => all.setItem("language", languageOf(link)));
      try {
        await show(link);
        history.replaceState(null, "", link.search + location.hash);
      } catch {
        location.assign(link.href);
      }
    });
  }
  const remembered = languages.find((each) => languageOf(each) === stored((all) => all.getItem("language")));
  if (remembered && !remembered.hasAttribute("aria-current") && !location.search) show(remembered).catch(() => {});

  // --- Copying a sample ------------------------------------------------------------------------------

  if (navigator.clipboard) {
    for (const sample of samples) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button button-quiet copy";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(sample.textContent);
        button.textContent = "Copied";
        setTimeout(() => (button.textContent = "Copy"), 2000);
      });
      const box = document.createElement("div");
      box.className = "copied";
      sample.replaceWith(box);
      box.append(sample, button);
    }
  }

  // --- Finding ---------------------------------------------------------------------------------------

  const SHOWN_MAX = 20;
  const FIND_HEIGHT = 72;
  const find = document.getElementById("find");
  const found = document.getElementById("found");
  const count = document.getElementById("found-count");
  const places = contents.querySelector(".places");
  const nameOf = (heading) => heading.textContent.trim();
  let entries;

  // Each heading, code and field: its words, where it is, and the address of its part.
  const index = () => {
    const all = [];
    for (const heading of document.querySelectorAll(".parts :is(h2, h3)[id]")) {
      all.push({ name: nameOf(heading), at: heading.id, place: "" });
    }
    for (const part of document.querySelectorAll(".part")) {
      const heading = part.querySelector(":is(h2, h3)[id]");
      if (!heading) continue;
      const path = part.querySelector(".route code");
      if (path) all.push({ name: path.textContent, at: heading.id, place: nameOf(heading) });
      for (const term of part.querySelectorAll("dt")) {
        const name = (term.querySelector("code") || term.firstChild).textContent.trim();
        all.push({ name, at: term.id || heading.id, place: nameOf(heading) });
      }
    }
    const seen = new Set();
    return all.filter(({ name, at }) => !seen.has(`${name} ${at}`) && seen.add(`${name} ${at}`));
  };

  const search = () => {
    const words = find.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    places.hidden = words.length > 0;
    found.replaceChildren();
    count.textContent = "";
    if (!words.length) return;
    entries ||= index();
    const rank = ({ name }) => (name.toLowerCase().startsWith(words[0]) ? 0 : 1);
    const hits = entries
      .filter(({ name, place }) => words.every((word) => `${name} ${place}`.toLowerCase().includes(word)))
      .filter(({ name }) => words.some((word) => name.toLowerCase().includes(word)))
      .sort((one, other) => rank(one) - rank(other));
    count.textContent = hits.length
      ? `${hits.length > SHOWN_MAX ? `First ${SHOWN_MAX} of ${hits.length}` : hits.length} found`
      : `No match for “${find.value.trim()}”`;
    for (const { name, at, place } of hits.slice(0, SHOWN_MAX)) {
      const link = document.createElement("a");
      link.href = `#${at}`;
      link.textContent = name;
      if (place) link.append(Object.assign(document.createElement("b"), { textContent: place }));
      const item = document.createElement("li");
      item.append(link);
      found.append(item);
    }
  };

  contents.querySelector(".find").hidden = false;
  find.addEventListener("input", search);
  contents.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && find.value) {
      event.preventDefault();
      find.value = "";
      search();
      find.focus();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const stops = [find, ...found.querySelectorAll("a")];
    const here = stops.indexOf(document.activeElement);
    if (step && here >= 0 && stops[here + step]) {
      event.preventDefault();
      stops[here + step].focus();
    } else if (event.key === "Enter" && document.activeElement === find && stops[1]) {
      stops[1].click();
    }
  });
  addEventListener("keydown", (event) => {
    const writes = event.target.matches("input:not([type=radio]), textarea, select");
    if (event.key !== "/" || writes || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (getComputedStyle(contents).display === "none") contents.showPopover();
    find.focus({ preventScroll: true });
  });

  // --- The place of the text ---------------------------------------------------------------------------

  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && contents.matches(":popover-open")) contents.hidePopover();
  });

  const links = new Map([...places.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
  const mark = (id) => {
    const link = links.get(id);
    if (!link || link.hasAttribute("aria-current")) return;
    places.querySelector("[aria-current]")?.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    // scrollIntoView would scroll the text too.
    const [inside, around] = [link, contents].map((each) => each.getBoundingClientRect());
    const above = inside.top - around.top - FIND_HEIGHT;
    const below = inside.bottom - around.bottom + FIND_HEIGHT;
    if (above < 0) contents.scrollTop += above;
    else if (below > 0) contents.scrollTop += below;
  };
  const watch = new IntersectionObserver(
    (seen) => seen.filter((each) => each.isIntersecting).forEach((each) => mark(each.target.id)),
    { rootMargin: "-56px 0px -70% 0px" },
  );
  for (const heading of document.querySelectorAll(".parts :is(h2, h3)[id]")) watch.observe(heading);

  // --- Paper -------------------------------------------------------------------------------------------

  const closed = [];
  addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll(".parts details:not([open])")) {
      each.open = true;
      closed.push(each);
    }
  });
  addEventListener("afterprint", () => {
    for (const each of closed.splice(0)) each.open = false;
  });
})();
