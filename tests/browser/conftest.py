"""A real Chromium on the real pages: Django's live server, with the sandbox as Stripe and as issuer.

Every complaint of the browser fails a test: an error on the console, a violation of the content security
policy, a missing file.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings as django_settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Locator, Page, Route, expect

from accounts import key_requests, users
from accounts.models import User
from tests.browser.longest import LongestValues
from tests.chromium import CHROMIUM, SIZES
from tests.conftest import Sandbox
from tests.deployment import eventually
from tests.factories import enter
from tests.wallet.conftest import StandIn, forget_the_client

WAIT_MS_MAX = 60_000
expect.set_options(timeout=WAIT_MS_MAX)
HTML_BYTES_MAX = 150 * 1024
SCRIPT_BYTES_MAX = 100 * 1024
# The rule about targets of 24 px is off by default. axe-core would load sheets and media again, for two rules
# that are experimental or not serious. From that the page would get 404s and violations of the policy, also
# after axe-core's answer.
RUN_AXE = """
(rules) => axe.run(document, {
  ...(rules.length ? { runOnly: rules } : { rules: { "target-size": { enabled: true } } }),
  resultTypes: ["violations"],
  preload: false,
}).then((results) => results.violations)
"""
# axe-core calls this moderate. Two landmarks of one name are no help to a person who moves between them.
ALSO_REFUSED = {"landmark-unique"}
# Chromium reports violations on the console as well, but not all of them in all frames.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} blocked ${event.blockedURI}`));
"""

# A click returns before the browser leaves the page. What is read then can be of either page, so a page notes
# that it is being left; the next page has no such note.
NOTE_LEAVING = """
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
  if (link.href.split("#")[0] !== location.href.split("#")[0] || !link.hash) window.leaving = true;
});
addEventListener("submit", (event) => {
  if (!event.defaultPrevented) window.leaving = true;
});
"""
IS_WHOLE = "!window.leaving && document.readyState === 'complete'"
# Some scripts and sheets are loaded after that: static/js/later.js.
IS_WHOLE_WITH_SCRIPTS = f"{IS_WHOLE} && !document.querySelector('[data-later]')"
# Where pages run no scripts, the test makes this note before it clicks on what leads away from the page.
LEADS_AWAY = (
    "each => each.matches('a[href]:not([href^=\"#\"]), form button:not([type=button], [popovertarget])')"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.django_db(transaction=True))
            if not CHROMIUM.exists():
                item.add_marker(pytest.mark.skip(reason=f"there is no {CHROMIUM} here"))


@pytest.fixture
def site(
    live_server: Any, sandbox: Sandbox, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator["Site"]:
    """The service and the sandbox, with each other's address."""
    # A thread of the test before may record a request of a key that is gone. That is no reason to rest.
    monkeypatch.setattr(key_requests, "REST_SECONDS", 0)
    monkeypatch.setattr(key_requests, "_rests_until", 0)
    settings.PUBLIC_URL = live_server.url
    settings.MFA_TOTP_TOLERANCE = 4  # A busy machine is slow to enter a code.
    forget_the_client()
    sandbox.control("reset")
    sandbox.control("settings", redirect_origins=[live_server.url])
    yield Site(live_server.url, sandbox)
    # What is under way arrives before the books are cleared.
    deliveries = partial(StandIn(sandbox).look, "deliveries")
    eventually(lambda: all(each["tries"] or each["state"] != "waiting" for each in deliveries()))
    sandbox.control("reset")
    forget_the_client()


class Site:
    """The addresses of the service's pages, and the sandbox."""

    def __init__(self, address: str, sandbox: Sandbox) -> None:
        self.address, self.sandbox = address, sandbox

    def at(self, path: str) -> str:
        return self.address + path


def answer_as_another_site(route: Route) -> None:
    """Answer for a site that the tests cannot reach: with a picture, such as a sponsor's logo."""
    picture = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="3"><path d="M0 0h9v3"/></svg>'
    route.fulfill(body=picture, content_type="image/svg+xml")


@pytest.fixture
def open_browser(chromium: Browser, site: Site) -> Iterator[Callable[..., "Person"]]:
    """Open a separate browser for a person. Complaints of any of them fail the test at its end."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def complain(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.text} ({message.location.get('url')})")

    def open_one(
        *, size: str = "desktop", scheme: Any = "light", javascript: bool = True, may_fail: bool = False
    ) -> Person:
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=javascript,
            is_mobile=size == "phone",
            has_touch=size == "phone",
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.route(lambda url: url.startswith("https://"), answer_as_another_site)
        context.set_default_timeout(WAIT_MS_MAX)
        page = context.new_page()
        if javascript:
            page.add_init_script(REPORT_VIOLATIONS)
            page.add_init_script(NOTE_LEAVING)
        if not may_fail:  # Chromium also reports the errors that a test causes on purpose.
            page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return Person(page, site, complaints, javascript=javascript)

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def ada(open_browser: Callable[..., "Person"]) -> "Person":
    """A user with a desktop browser in light colours."""
    return open_browser()


@pytest.fixture
def longest(site: Site, settings: Any, deliver: Any, checkout_event: Any) -> LongestValues:
    settings.MAIL_ENABLED = True
    return LongestValues(deliver, checkout_event)


class Person:
    """A person with a browser: what they do and what they see."""

    def __init__(self, page: Page, site: Site, complaints: list[str], *, javascript: bool = True) -> None:
        self._page, self.site, self.complaints, self.javascript = page, site, complaints, javascript
        page.on("download", lambda _: page.evaluate("window.leaving = false"))

    @property
    def page(self) -> Page:
        """Their page, once it is whole: after a link or a form, the page that it leads to."""
        self.waits()
        return self._page

    @page.setter
    def page(self, page: Page) -> None:
        self._page = page

    def waits(self) -> None:
        """Wait until their page is whole. Then the service has also done what a form asked for."""
        is_whole = IS_WHOLE_WITH_SCRIPTS if self.javascript else IS_WHOLE
        for _ in range(WAIT_MS_MAX // 20):
            try:
                if self._page.evaluate(is_whole):
                    return
            except Error as error:
                if "navigat" not in str(error):
                    raise
            self._page.wait_for_timeout(20)
        raise AssertionError(f"The page after {self._page.url} never came")

    def goes_to(self, path: str) -> None:
        self.page.goto(self.site.at(path))

    def presses(self, name: str) -> None:
        self.clicks(self.page.get_by_role("button", name=name, exact=True))

    def follows(self, name: str) -> None:
        self.clicks(self.page.get_by_role("link", name=name, exact=True).first)

    def clicks(self, control: Locator) -> None:
        """Click on a link or a button, and wait for the page that it leads to."""
        if not self.javascript and control.evaluate(LEADS_AWAY):
            control.evaluate("() => { window.leaving = true }")
        control.click()
        self.waits()

    def clicks_twice(self, name: str) -> None:
        """Click twice on a button that leads to another page.

        The request waits for the second click, which could otherwise be a click on the next page.
        """
        self.page.route("**/*", lambda request: None)
        self.page.get_by_role("button", name=name, exact=True).dblclick()
        self._page.unroute("**/*")  # What was held back goes on.
        self.waits()

    def chooses(self, name: str) -> None:
        """Choose one of several by its label. A button may say the same."""
        self.page.locator("label").and_(self.page.get_by_text(name, exact=True)).click()

    def types(self, label: str | re.Pattern[str], text: str) -> None:
        """Fill in a field. A list can have the same label, as one of the back-office's menu has."""
        named = self.page.get_by_label(label, exact=True)
        self.page.locator("input, textarea").and_(named).fill(text)

    def sees(self, text: str) -> bool:
        """Waits until the text appears."""
        self.page.get_by_text(text).first.wait_for()
        return True

    def is_at(self, path: str) -> bool:
        """Waits until this is the address, with its query."""
        self.page.wait_for_url(self.site.at(path))
        return True

    def reads(self) -> str:
        return self.page.locator("main").inner_text()

    def signs_in(self, name: str = "Dana Demo", *, going_to: str = "/wallet") -> None:
        """Signs in on the issuer's page as one of the demo's users."""
        self.goes_to(going_to)
        self.presses("Continue with Misar")
        self.page.get_by_role("button", name=name).click()
        self.page.wait_for_url(lambda url: url.startswith(self.site.address))

    def comes_signed_in(self, user: User | None = None, *, going_to: str = "/wallet") -> None:
        """With a session already, as Dana Demo or another. (See test_signing_in.py and test_staff.py.)"""
        user = user or users.arrive(misar_id="usr_demo", name="Dana Demo", email="dana@example.com")
        client = Client()
        if user.is_staff:
            enter(client, user)
        else:
            client.force_login(user)
        session = client.cookies[django_settings.SESSION_COOKIE_NAME].value
        cookie: Any = {
            "name": django_settings.SESSION_COOKIE_NAME,
            "value": session,
            "url": self.site.address,
        }
        self.page.context.add_cookies([cookie])
        self.goes_to(going_to)

    def weighs(self, path: str) -> None:
        """Opens a page and checks the size of its HTML and scripts, and that nothing is inline."""
        self.goes_to(path)
        sources = self.page.eval_on_selector_all("script[src]", "all => all.map((each) => each.src)")
        scripts = sum(len(requests.get(source, timeout=120).content) for source in sources)
        assert scripts < SCRIPT_BYTES_MAX, f"{path} has {scripts} bytes of scripts"
        served = self.page.context.request.get(self.site.at(path)).text()
        assert len(served.encode()) < HTML_BYTES_MAX, path
        assert inline_parts(served) == [], path

    def visits(self, path: str) -> None:
        """Opens a page, and weighs it at a desk: the same page is served to a phone."""
        if self.page.viewport_size == {"width": SIZES["desktop"][0], "height": SIZES["desktop"][1]}:
            self.weighs(path)
        else:
            self.goes_to(path)

    def finds(self, *, rules: Sequence[str] = (), but_for: Sequence[str] = ()) -> list[str]:
        """Return what axe-core finds serious on the page as it is, by `rules` or by all rules but some."""
        if not self.page.evaluate("window.axe !== undefined"):
            self.page.evaluate(AXE_SCRIPT)
        violations = self.page.evaluate(RUN_AXE, list(rules))
        also = ALSO_REFUSED if "/admin/" in self.page.url else set()
        return [
            f"{each['id']} ({each['impact']}): {node['html'][:200]} {node['failureSummary']}"
            for each in violations
            if each["id"] not in but_for and (each["impact"] in ("serious", "critical") or each["id"] in also)
            for node in each["nodes"]
        ]

    def is_never_stopped_by_the_page(self, *, but_for: Sequence[str] = ()) -> None:
        """Check that axe-core finds nothing serious but by some rules, and that nothing is too wide."""
        assert self.finds(but_for=but_for) == [], self.page.url
        too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(too_wide) <= 0, f"{self.page.url} scrolls sideways"


class InlineParts(HTMLParser):
    """Finds what the policy would block in the HTML that is served, before any script runs."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if tag == "style" or (tag == "script" and "src" not in names):
            self.parts.append(tag)
        self.parts += [f"{tag} {name}" for name in names if name == "style" or name.startswith("on")]
        self.parts += [
            f"{tag} {value}" for _, value in attrs if (value or "").strip().lower().startswith("javascript:")
        ]


def inline_parts(html: str) -> list[str]:
    """The scripts, styles and handlers inside the page itself."""
    parser = InlineParts()
    parser.feed(html)
    return parser.parts


@pytest.fixture
def issuer_address() -> str:
    return str(django_settings.SSO_ISSUER)
