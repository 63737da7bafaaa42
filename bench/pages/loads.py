"""Load pages in a browser with a slow connection, and read when their largest part was there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.pages.sites import Site, SiteFailed
from tests.chromium import CHROMIUM, FLAGS

# A 4G connection as Lighthouse simulates it for a phone: 150 ms to the server and back, 1.6 Mbit/s down and
# 0.75 up. The processor is not slowed down.
LATENCY_MS, DOWN_BITS, UP_BITS = 150, 1_600_000, 750_000
PHONE = {"width": 390, "height": 844}
READER = "usr_demo"

# The last entry is the largest part: the browser reports each part that is larger than those before.
LARGEST = """new Promise(resolve => {
  let last = null;
  new PerformanceObserver(list => { for (const each of list.getEntries()) last = each; })
    .observe({ type: "largest-contentful-paint", buffered: true });
  setTimeout(() => resolve(last && [last.startTime, last.element ? last.element.tagName : ""]), 300);
})"""


@dataclass(frozen=True)
class Load:
    """One load without a cache: milliseconds until the largest part was painted, bytes and requests."""

    largest_ms: float
    largest_element: str
    bytes: int
    requests: int


@dataclass(frozen=True)
class Pair:
    """Two pages to compare, each by its site and path; `most` is the largest ratio of the medians allowed."""

    title: str
    ours: tuple[Site, str]
    other: tuple[Site, str]
    most: float
    loads: dict[str, list[Load]] = field(default_factory=lambda: {"ours": [], "other": []})

    def median(self, side: str) -> float:
        """The median of the times of one side (`ours`, `other`), in milliseconds."""
        return median(load.largest_ms for load in self.loads[side])

    @property
    def ratio(self) -> float:
        return self.median("ours") / self.median("other")


@contextmanager
def reader(sites: list[Site]) -> Iterator[Callable[[Site, str], Load]]:
    """Open a browser in which one user is signed in to each site. Yields what loads a page of a site once."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        contexts = {site.address: _signed_in(browser, site) for site in sites}
        yield lambda site, path: load(contexts[site.address], site.address + path)
        browser.close()


def _signed_in(browser: Browser, site: Site) -> BrowserContext:
    context = browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{site.address}/account")
    page.get_by_role("button", name="Continue with Misar").click()
    page.get_by_label("Misar ID").fill(READER)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{site.address}/account")
    page.close()
    return context


def load(context: BrowserContext, url: str) -> Load:
    """Load a page once, without a cache. Raises SiteFailed if the answer is not 200 or nothing is painted."""
    page = context.new_page()
    try:
        received = _slowed_down(page)
        answer = page.goto(url, wait_until="load")
        page.wait_for_load_state("networkidle")
        painted = page.evaluate(LARGEST)
    finally:
        page.close()
    if answer is None or answer.status != 200 or painted is None:
        raise SiteFailed(f"{url} was not shown.")
    return Load(painted[0], painted[1], sum(received), len(received))


def _slowed_down(page: Page) -> list[int]:
    """Slow the page's connection down. Returns a list that gets the bytes of each answer."""
    received: list[int] = []
    devtools = page.context.new_cdp_session(page)
    devtools.on("Network.loadingFinished", lambda event: received.append(int(event["encodedDataLength"])))
    devtools.send("Network.enable")
    devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
    devtools.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY_MS,
            "downloadThroughput": DOWN_BITS / 8,
            "uploadThroughput": UP_BITS / 8,
        },
    )
    return received
