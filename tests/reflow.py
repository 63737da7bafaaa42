"""Measures in a real browser whether pages fit into windows of any width."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.urls import URLResolver

# The narrowest phone, just above the widths at which the layout changes, and a desktop.
WIDTHS = (320, 641, 961, 1280)
WIDTHS_OF_THE_BACK_OFFICE = (320, 768, 1025, 1280)
PAPER = 673  # An A4 page between the margins of look.css.

# Shows what is hidden until the user opens it, or scrolls to it.
OPEN_ALL = """
for (const each of document.querySelectorAll(".section")) each.style.contentVisibility = "visible";
for (const each of document.querySelectorAll("details")) each.open = true;
for (const each of document.querySelectorAll("form[data-filters]")) each.classList.add("is-open");
for (const each of document.querySelectorAll("[hidden]:not(.chart-read-out)")) each.hidden = false;
for (const each of document.querySelectorAll("input[value=other]")) each.checked = true;
"""
# The filters of a list would replace parts of the page; without their script, the answer is a page.
SEND = """
form => {
  form.noValidate = true;
  form.matches("[data-filters]") ? form.submit() : form.requestSubmit();
}
"""
# All is there that comes after the first sight: static/js/later.js.
IS_WHOLE = "() => !document.querySelector('[data-later]')"
# A chart takes its new width after the next frame.
REDRAW = """
async () => {
  const frame = () => new Promise(requestAnimationFrame);
  if (document.querySelector(".uplot")) await frame().then(frame);
}
"""
# Sets every word of many W in letters that join to one grapheme cluster. Chromium never breaks such a word,
# so its box must clip it.
JOIN_LETTERS = """
() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    text.data = text.data.replace(/W{20,}/g, (word) => "ᄀ".repeat(word.length));
  }
}
"""
# Finds the parts that stick out of the window or of their own box, and the scrolling frames that a keyboard
# cannot reach or that have no name.
MEASURE = """
() => {
  const root = document.documentElement;
  const found = [];
  const nameOf = (each) =>
    [each.tagName.toLowerCase() + (each.id && `#${each.id}`), ...each.classList].join(".");
  const complain = (each, what) => {
    const path = [each.parentElement?.parentElement, each.parentElement, each].filter(Boolean).map(nameOf);
    const text = each.textContent.trim().replace(/\\s+/g, " ").slice(0, 40);
    found.push(`${path.join(" > ")} ${what}: "${text}"`);
  };
  // A grapheme cluster of many characters is clipped, and not broken.
  const holdsCluster = (each) =>
    [...new Intl.Segmenter().segment(each.textContent)].some(({ segment }) => segment.length > 20);
  const look = (each) => {
    const style = getComputedStyle(each);
    if (style.display === "none") return;
    const known = found.length;
    const spill = each.clientWidth && each.scrollWidth - each.clientWidth - 1;
    if (/visible|clip/.test(style.overflowX)) [...each.children].forEach(look);
    else if (/auto|scroll/.test(style.overflowX) && spill > 0) {
      const label = document.getElementById(each.getAttribute("aria-labelledby"))?.textContent;
      const name = each.getAttribute("aria-label") ?? label;
      if (each.tabIndex !== 0 || !name) complain(each, "scrolls, but has no name or cannot be focused");
    }
    const box = each.getBoundingClientRect();
    const after = Math.ceil(box.right - root.clientWidth - 0.5);
    const before = Math.ceil(-box.left - 0.5);
    const isAway = !box.width || box.right <= 0;  // As the link that skips to the content.
    const isOut = after > 0 || before > 0 || (style.overflowX === "visible" && spill > 0);
    if (isAway || !isOut || found.length > known || holdsCluster(each)) return;
    if (after > 0) complain(each, `ends ${after} px beyond the window`);
    else if (before > 0) complain(each, `begins ${before} px before the window`);
    else complain(each, `holds something ${spill} px too wide`);
  };
  look(document.body);
  return { tooWide: root.scrollWidth - root.clientWidth, found };
}
"""


class Measurer:
    """Opens pages and measures each at every width. `problems` names what sticks out."""

    def __init__(self, page: Any, address: str, widths: Sequence[int] = WIDTHS) -> None:
        self.page, self.address, self.widths = page, address, widths
        self.problems: list[str] = []
        self.seen: set[str] = set()  # The paths.

    def opens(self, path: str, *, again: bool = False) -> None:
        """Open a page and measure it, unless it was opened before. `again`: measure it all the same."""
        self.page.set_viewport_size({"width": self.widths[0], "height": 800})
        self._goes_to(path)
        is_new = self.path not in self.seen
        self.seen |= {urlsplit(path).path, self.path}
        if is_new or again:
            self.measures()

    def sends(self, selector: str, **values: str) -> None:
        """Fill in a form on the page, send it, and measure the answer."""
        self.page.evaluate(OPEN_ALL)
        form = self.page.locator(selector).first
        for name, value in values.items():
            form.locator(f"[name={name}]").first.fill(value)
        with self.page.expect_navigation():
            form.evaluate(SEND)
        self.page.wait_for_function(IS_WHOLE)
        self.seen.add(self.path)
        self.measures(f"after {selector}")

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    def measures(self, what: str = "") -> None:
        """Measure the page as it is."""
        self.page.evaluate(OPEN_ALL)
        for width in self.widths:
            self.page.set_viewport_size({"width": width, "height": 800})
            self._measure(f"{what} at {width} px")
        if self.page.locator(".u-over").count():
            self._measures_read_outs(what)
        self.page.evaluate(JOIN_LETTERS)
        for width in (self.widths[-1], self.widths[0]):
            self.page.set_viewport_size({"width": width, "height": 800})
            self._measure(f"{what} with joined letters at {width} px")

    def prints(self, path: str) -> None:
        """Open a page and measure it as it is printed."""
        self._goes_to(path)
        self.page.emulate_media(media="print")
        self.page.set_viewport_size({"width": PAPER, "height": 1000})
        self._measure("on paper")
        self.page.emulate_media(media="screen")

    def _goes_to(self, path: str) -> None:
        self.page.goto(self.address + path)
        self.page.wait_for_function(IS_WHOLE)

    def _measures_read_outs(self, what: str) -> None:
        """Point at both ends of each chart, on the narrowest phone."""
        self.page.set_viewport_size({"width": self.widths[0], "height": 800})
        self.page.evaluate(REDRAW)
        for plot in self.page.locator(".u-over").all():
            width = plot.bounding_box()["width"]
            for x in (1, width - 2):
                plot.hover(position={"x": x, "y": 20})
                self._measure(f"{what} with the chart's values")

    def _measure(self, what: str) -> None:
        self.page.evaluate(REDRAW)
        answer = self.page.evaluate(MEASURE)
        if answer["tooWide"] > 0 or answer["found"]:
            lines = [f"{self.path[:100]} {what} is {answer['tooWide']} px too wide", *answer["found"][:6]]
            self.problems.append("\n    ".join(lines))


def routes(patterns: Sequence[Any], before: str = "") -> Iterator[str]:
    """Every route of a URL configuration, such as dashboard/tips/<slug:pk>."""
    for each in patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, route)
        else:
            yield route
