/* A list works without this. It applies a filter as soon as it is chosen, sorts the list without loading the page
   again, and opens the filters on a phone. The form stays, and the parts of the page with `data-part` are replaced. */

"use strict";

(() => {
  const TYPED_AFTER_MS = 600;
  const filters = document.querySelector("form[data-filters]");
  if (!filters) return;

  const fold = filters.querySelector("[data-fold]");
  fold?.addEventListener("click", () => {
    const isOpen = filters.classList.toggle("is-open");
    fold.setAttribute("aria-expanded", isOpen);
    for (const more of filters.querySelectorAll("details")) more.open = isOpen;
  });

  // Without a list that can be replaced, the form is sent as it is.
  if (!document.querySelector("[data-part]:not(form [data-part])")) return;
  const sort = filters.elements.sort;
  let typing = 0;
  let asked = 0;
  let shown = location.search;

  // A day is complete with the last digit of its year; before that, browsers report years such as 0202.
  const isComplete = (field) => field.type !== "date" || !field.value || field.value >= "2000";

  function apply() {
    const address = new URL(filters.action);
    const sent = new FormData(filters);
    // A search may contain an e-mail address, which no address may contain, so it is sent by POST.
    const isSearch = filters.method === "post" && sent.get("search")?.trim();
    for (const [name, value] of sent) {
      if (value && name !== "search" && name !== "csrfmiddlewaretoken") address.searchParams.set(name, value);
    }
    return show(address, isSearch ? new URLSearchParams(sent) : null, (page) => {
      copyErrors(page);
      // Each choice is a step that the browser's Back undoes. The same choice again is none.
      if (address.search !== shown) history.pushState(null, "", address);
      shown = address.search;
    });
  }

  // Back and Forward bring the choice as well as the rows. A jump within the page is also a step of theirs.
  function goBack() {
    if (location.search === shown) return;
    clearTimeout(typing);
    return show(new URL(location.href), null, (page) => {
      for (const field of filters.elements) {
        const there = field.id && page.getElementById(field.id);
        if (there) field.value = there.value;
      }
      copyErrors(page);
      shown = location.search;
    });
  }

  function copyErrors(page) {
    for (const field of filters.querySelectorAll(".input")) {
      const wrong = page.getElementById(field.id).getAttribute("aria-invalid");
      if (wrong) field.setAttribute("aria-invalid", wrong);
      else field.removeAttribute("aria-invalid");
    }
  }

  async function show(address, search, then) {
    const mine = ++asked;
    try {
      const way = search ? { method: "POST", body: search } : {};
      const target = search ? filters.action : address;
      const answer = await fetch(target, { headers: { Accept: "text/html" }, ...way });
      if (!answer.ok || answer.redirected) throw new Error("another page");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (mine !== asked) return; // The user has chosen again meanwhile.
      const parts = [...document.querySelectorAll("[data-part]")];
      const ours = parts.map((part) => page.querySelector(`[data-part="${part.dataset.part}"]`));
      if (ours.includes(null)) throw new Error("another page"); // Such as one that has no rows any more.
      // The form stays, and with it the focus.
      parts.forEach((part, at) => part.replaceWith(ours[at]));
      hideShow();
      then(page);
      document.querySelector("[data-count]").textContent = page.querySelector("[data-count]").textContent;
    } catch {
      if (mine !== asked) return;
      if (search) filters.submit();
      // After Back, the address is there already.
      else if (address.search === location.search) location.reload();
      else location.assign(address);
    }
  }

  function hideShow() {
    for (const button of filters.querySelectorAll("[data-show]")) button.hidden = true;
  }

  async function sortBy(head) {
    const column = [...document.querySelectorAll("[data-sort]")].indexOf(head);
    sort.value = head.dataset.sort;
    await apply();
    document.querySelectorAll("[data-sort]")[column]?.focus();
  }

  hideShow();
  addEventListener("popstate", goBack);
  filters.addEventListener("change", ({ target }) => {
    clearTimeout(typing);
    if (isComplete(target)) typing = setTimeout(apply, target.type === "date" ? TYPED_AFTER_MS : 0);
  });
  // The cross in a search field.
  filters.addEventListener("search", ({ target }) => target.value || apply(), true);
  filters.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    apply();
  });

  document.addEventListener("click", (event) => {
    const head = event.target.closest("[data-sort]");
    if (!head || !sort || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    sortBy(head);
  });

  // The user may have chosen something before this script was there.
  const isChosen = (field) =>
    field.options
      ? !(field.querySelector("[selected]") ?? field.options[0]).selected
      : field.value && field.value !== field.defaultValue;
  if ([...filters.querySelectorAll("select, [type=date]")].some(isChosen)) apply();
})();
