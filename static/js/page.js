/* Optional help for several pages: it keeps a form from being sent twice by a second click, says times in the
   user's own time zone, shows print buttons, and opens the tables of charts on paper. */

"use strict";

(() => {
  // --- Forms ---------------------------------------------------------------------------------------

  for (const form of document.querySelectorAll("form[data-once]")) {
    const button = form.querySelector("button:not([type='button'])");
    const words = button.textContent;
    const set = (busy) => {
      form.classList.toggle("is-busy", busy);
      if (busy) button.setAttribute("aria-disabled", "true");
      else button.removeAttribute("aria-disabled");
      button.textContent = busy ? form.dataset.once : words;
    };
    form.addEventListener("submit", (event) => {
      if (form.classList.contains("is-busy")) return event.preventDefault();
      set(true);
    });
    // After going back to the page, the form can be sent again.
    addEventListener("pageshow", () => set(false));
  }

  // --- Times in the user's own time zone -------------------------------------------------------------

  const sayLocal = (target) => {
    const time = target?.closest?.("time[datetime*='T']:not([data-local])");
    if (!time) return;
    const local = new Date(time.dateTime).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
    time.title = [time.title, `${local}, your time`].filter(Boolean).join("; ");
    time.dataset.local = "";
  };
  addEventListener("pointerover", ({ target }) => sayLocal(target));
  sayLocal(document.querySelector("time:hover")); // The pointer was there before this script.

  // --- Printing ------------------------------------------------------------------------------------

  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }

  const opened = new Set();
  addEventListener("beforeprint", () => {
    for (const table of document.querySelectorAll("figure details:not([open])")) {
      table.open = true;
      opened.add(table);
    }
  });
  addEventListener("afterprint", () => {
    for (const table of opened) table.open = false;
    opened.clear();
  });
})();
