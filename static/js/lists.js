/* The dashboard's lists and forms work without this. It keeps a form from being sent twice by an impatient finger,
   and copies a key that is shown once. */

"use strict";

(() => {
  for (const form of document.querySelectorAll("form[data-once]")) {
    const button = form.querySelector("button:not([type='button'])");
    const words = button.textContent;
    const set = (busy) => {
      form.classList.toggle("is-busy", busy);
      button.textContent = busy ? form.dataset.once : words;
    };
    form.addEventListener("submit", (event) => {
      if (form.classList.contains("is-busy")) return event.preventDefault();
      set(true);
    });
    // Somebody who comes back finds the form as it was.
    addEventListener("pageshow", () => set(false));
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    const told = document.querySelector("[data-copied]");
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(source.textContent);
        told.textContent = "Copied.";
      } catch {
        // Where the browser does not let a page write there, one key press is left to do.
        getSelection().selectAllChildren(source);
        told.textContent = "Selected; copy it with your keyboard.";
      }
    });
  }
})();
