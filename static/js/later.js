/* Loads what a page can do without for a moment, and names in `data-later`. A connection brings everything at once,
   so what is not needed for the first sight comes after the rest, and this file is small. */

"use strict";

{
  const addresses = document.currentScript.dataset.later.split(" ");
  addEventListener("load", () => {
    for (const address of addresses) {
      const [name, parts] = /\.css$/.test(address)
        ? ["link", { rel: "stylesheet", href: address }]
        : ["script", { src: address, async: false }];
      document.head.append(Object.assign(document.createElement(name), parts));
    }
  });
}
