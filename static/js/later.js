/* Loads what a page names in `data-later` after its first sight, which waits for this file too.
   The attribute goes once all of it is there. */

"use strict";

{
  const { dataset } = document.currentScript;
  const load = (address) =>
    new Promise((resolve) => {
      const [name, parts] = /\.css$/.test(address)
        ? ["link", { rel: "stylesheet", href: address }]
        : ["script", { src: address, async: false }];
      const element = Object.assign(document.createElement(name), parts, { onload: resolve, onerror: resolve });
      document.head.append(element);
    });
  addEventListener("load", async () => {
    await Promise.all(dataset.later.split(" ").map(load));
    delete dataset.later;
  });
}
