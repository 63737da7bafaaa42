/* Optional help for the pages of sponsors: it fills in the addresses of a sponsor who was placed before, shows the
   initials where a logo is missing, and takes the Undo button away when it no longer works. */

"use strict";

(() => {
  // --- Known sponsors --------------------------------------------------------------------------------

  const name = document.querySelector("input[list=known_sponsors]");
  const fields = ["target_url", "logo_url"].map((each) => document.querySelector(`input[name=${each}]`));
  const filled = new Map(); // What this script wrote into a field. What the creator wrote stays.
  name?.addEventListener("input", () => {
    const known = [...name.list.options].find((each) => each.value === name.value);
    if (!known) return;
    for (const field of fields) {
      if (field.value && field.value !== filled.get(field)) continue;
      field.value = known.getAttribute(`data-${field.name}`);
      filled.set(field, field.value);
    }
  });

  // --- Logos -----------------------------------------------------------------------------------------

  // These events do not bubble. Listening here also serves the rows that a filter brings later.
  const show = (logo) => logo.closest(".logo")?.classList.toggle("has-logo", logo.naturalWidth > 0);
  for (const each of ["load", "error"]) {
    document.addEventListener(each, ({ target }) => target instanceof HTMLImageElement && show(target), true);
  }
  for (const logo of document.querySelectorAll(".logo img")) if (logo.complete) show(logo);

  // --- Undo ------------------------------------------------------------------------------------------

  for (const form of document.querySelectorAll("[data-undo]")) {
    setTimeout(() => {
      if (form.contains(document.activeElement)) form.closest(".notices").focus();
      if (!form.classList.contains("is-busy")) form.remove();
    }, 10_000);
  }
})();
