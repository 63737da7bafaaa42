/* Loads what a page names in `data-later` after its first sight, which waits for this file too. */

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
