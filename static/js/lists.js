/* Copies a key that is shown once, and leads to what is wrong with a form. */

"use strict";

(() => {
  document.querySelector("[data-errors]")?.focus();

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
