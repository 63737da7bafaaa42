/* The wallet's page works without this. It checks a payment until it is confirmed, cleans the address
   afterwards, and names the sum on the button. */

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
})();
