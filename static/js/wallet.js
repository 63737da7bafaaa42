/* The wallet's page works without this. It checks a payment until it is confirmed, cleans the address
   afterwards, and moves the focus to the field for another amount. */

"use strict";

(() => {
  const LOOK_AFTER_MS = 2000;
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

  // --- Another amount ------------------------------------------------------------------------------

  // A user who clicks "Other" wants to type an amount; one who uses the arrow keys may want to move on.
  let points = false;
  addEventListener("pointerdown", () => (points = true), true);
  addEventListener("keydown", () => (points = false), true);
  const other = document.querySelector(".chip-input[value='other']");
  other?.addEventListener("change", () => points && document.getElementById("id_own_amount")?.focus());
})();
