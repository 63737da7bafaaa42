/* The wallet's page works without this. It checks a payment until it is confirmed, cleans the address
   afterwards, names the sum on the button, and applies the filters of the history. */

"use strict";

(() => {
  const LOOK_AFTER_MS = 1000;
  const LOOK_AFTER_MS_MAX = 15000;
  const LONGER_AFTER_MS = 30000;
  const GIVE_UP_AFTER_MS = 10 * 60000;

  // --- A payment that is not confirmed -------------------------------------------------------------

  async function lookAgain(notice, since, pause) {
    const waited = Date.now() - since;
    if (waited > LONGER_AFTER_MS) notice.querySelector("[data-longer]")?.removeAttribute("hidden");
    if (waited > GIVE_UP_AFTER_MS) return;
    const before = notice.dataset.state;
    let state = before;
    try {
      const answer = await fetch(notice.dataset.waiting, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (answer.status === 401) return location.reload(); // Signed out meanwhile: the page shows the sign-in.
      if (answer.ok) state = (await answer.json()).state;
    } catch {
      // Offline for a moment: try again.
    }
    if (state === before) {
      const next = Math.min(pause * 1.3, LOOK_AFTER_MS_MAX);
      setTimeout(() => lookAgain(notice, since, next), pause);
    } else if (state !== "unknown") {
      location.reload();
    }
  }

  const waiting = document.querySelector("[data-waiting]");
  if (waiting) setTimeout(() => lookAgain(waiting, Date.now(), LOOK_AFTER_MS), LOOK_AFTER_MS);

  // Opening the page again must not show the same news again.
  if (document.querySelector("[data-news]")) {
    const address = new URL(location.href);
    for (const name of ["wallet_topup", "session", "looks"]) address.searchParams.delete(name);
    history.replaceState(null, "", address);
  }

  // --- The sum on the button ------------------------------------------------------------------------

  const topUp = document.querySelector("form.top-up");
  const own = topUp?.elements.own_amount;
  const pays = topUp?.querySelector("[data-pays]");

  function nameSum() {
    if (topUp.classList.contains("is-busy")) return;
    const amount = topUp.elements.amount.value;
    const written = amount === "other" ? own.value.trim().replace(/^\$ ?/, "").replace(/\.0{0,2}$/, "") : amount;
    // The same texts as the form accepts: 40, 1,000.
    const dollars = /^(\d{1,3}(,\d{3})+|\d{1,6})$/.test(written) ? Number(written.replaceAll(",", "")) : 0;
    pays.textContent = dollars ? `Pay $${dollars.toLocaleString("en")}` : "Pay";
  }

  if (pays) {
    topUp.addEventListener("input", nameSum);
    // After going back to the page, the browser has put the last choice into the form.
    nameSum();
    addEventListener("pageshow", nameSum);
  }

  // A user who clicks "Other" wants to type an amount; one who uses the arrow keys may want to move on.
  let points = false;
  addEventListener("pointerdown", () => (points = true), true);
  addEventListener("keydown", () => (points = false), true);
  document.querySelector(".chip-input[value='other']")?.addEventListener("change", () => points && own.focus());

  // --- The filters of the history --------------------------------------------------------------------

  const filters = document.querySelector("form[data-filters]");
  const TYPED_AFTER_MS = 600;
  let typing = 0;
  let asked = 0;
  let shown = location.search;

  // A day is complete with the last digit of its year; before that, browsers report years such as 0202.
  const isComplete = (field) => field.type !== "date" || !field.value || field.value >= "2000";

  function apply() {
    const address = new URL(filters.action);
    for (const [name, value] of new FormData(filters)) if (value) address.searchParams.set(name, value);
    return show(address, (page) => {
      copyErrors(page);
      // Each choice is a step that the browser's Back undoes. The same choice again is none.
      if (address.search !== shown) history.pushState(null, "", address);
      shown = address.search;
    });
  }

  // Back and Forward bring the choice as well as the entries. A jump within the page is also a step of theirs.
  function goBack() {
    if (location.search === shown) return;
    clearTimeout(typing);
    return show(new URL(location.href), (page) => {
      for (const field of filters.elements) if (field.id) field.value = page.getElementById(field.id).value;
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

  async function show(address, then) {
    const mine = ++asked;
    try {
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) throw new Error("another page");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (mine !== asked) return; // The user has chosen again meanwhile.
      // The form stays, and with it the focus.
      for (const part of document.querySelectorAll("[data-part]")) {
        part.replaceWith(page.querySelector(`[data-part="${part.dataset.part}"]`));
      }
      hideShow();
      then(page);
      document.querySelector("[data-count]").textContent = page.querySelector("[data-count]").textContent;
    } catch {
      if (mine !== asked) return;
      // After Back, the address is there already.
      if (address.search === location.search) location.reload();
      else location.assign(address);
    }
  }

  function hideShow() {
    for (const button of filters.querySelectorAll("[data-show]")) button.hidden = true;
  }

  if (filters) {
    hideShow();
    addEventListener("popstate", goBack);
    filters.addEventListener("change", ({ target }) => {
      clearTimeout(typing);
      if (isComplete(target)) typing = setTimeout(apply, target.type === "date" ? TYPED_AFTER_MS : 0);
    });
    filters.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(typing);
      apply();
    });
  }
})();
