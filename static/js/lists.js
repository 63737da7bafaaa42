/* Copies a key that is shown once, or a command with it, and moves the focus to the errors of a form. */

"use strict";

(() => {
  document.querySelector("[data-errors]")?.focus();

  for (const button of document.querySelectorAll("[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    const result = button.parentElement.querySelector("[data-copied]");
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(source.textContent);
        result.textContent = "Copied.";
      } catch {
        // If the browser does not let the page write to the clipboard, select the text for the user to copy.
        getSelection().selectAllChildren(source);
        result.textContent = "Selected. Copy it with your keyboard.";
      }
    });
  }
})();
