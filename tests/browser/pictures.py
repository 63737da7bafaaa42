"""Pictures of the pages of a running sandbox: `python -m tests.browser.pictures http://127.0.0.1:8000`.

It writes one file for each page to docs/pictures; docs/pages.md shows them. Run it after `make run` has
printed its welcome, with the same DATA_DIR. If pngquant is installed, the files get a third of the size.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright

from sandbox.second_factor import code_at
from tests.chromium import CHROMIUM, FLAGS, SIZES
from tests.environment import ROOT

PLACE = ROOT / "docs" / "pictures"
HEIGHT_MAX = 2400  # The beginning of a long list is enough.
# The pages by who is signed in: the name of each picture, and the page's address.
SIGNED_OUT = {
    "reference": "/docs",
    "sign-in": "/sign-in?next=/dashboard",
    "sign-in-staff": "/sign-in/staff",
    "not-found": "/nowhere",
}
USER = {
    "wallet": "/wallet",
    "statements": "/wallet/statements",
    "receipts": "/wallet/receipts",
    "account": "/account",
}
CREATOR = {
    "dashboard": "/dashboard",
    "sponsors": "/dashboard/sponsors",
    "sponsor-add": "/dashboard/sponsors/add",
    "subscriptions": "/dashboard/subscriptions",
    "tips": "/dashboard/tips",
    "keys": "/dashboard/keys",
}
# A page of each of these users.
OTHERS = {
    "usr_oskar": {"wallet-debt": "/wallet"},
    "usr_hana": {"wallet-held": "/wallet"},
    "usr_viktor": {"wallet-frozen": "/wallet"},
    "usr_ravi": {"wallet-granted": "/wallet", "budget": "/wallet/budget?of=blog&period=day"},
}
NEWCOMER = {"wallet-new": "/wallet", "dashboard-new": "/dashboard"}
STAFF = {
    "admin": "/admin/",
    "admin-find": "/admin/find/",
    "admin-user": "/admin/user/usr_5Fines/",
    "admin-user-creator": "/admin/user/usr_5Fdemo/",
    "admin-entries": "/admin/wallet/entry/",
    "admin-wallet": "/admin/wallet/wallet/usr_5Fdemo/change/",
    "admin-adjust": "/admin/wallet/wallet/usr_5Fdemo/adjust/",
    "admin-event": "/admin/wallet/stripeevent/evt_5Fdemo_5Fin_5Feuros/change/",
    "admin-resolve": "/admin/wallet/stripeevent/evt_5Fdemo_5Fin_5Feuros/resolve/",
    "admin-plan": "/admin/accounts/user/usr_5Fdemo/plan/",
    "admin-acts": "/admin/accounts/act/",
    "admin-month-ends": "/admin/month-end/",
    "admin-user-debt": "/admin/user/usr_5Foskar/",
    "admin-user-held": "/admin/user/usr_5Fhana/",
    "admin-holds": "/admin/wallet/hold/",
    "admin-user-granted": "/admin/user/usr_5Fravi/",
    "admin-grants": "/admin/wallet/lot/",
    "admin-grant": "/admin/wallet/wallet/usr_5Fravi/grant/",
    "admin-freeze": "/admin/wallet/wallet/usr_5Fines/freeze/",
}
# Staff actions on the first row of a list: the picture's name, the list, and the action.
ACTS = {
    "admin-give-back": ("/admin/wallet/entry/?kind__exact=deduct", "Give this charge back"),
    "admin-ask-stripe": ("/admin/wallet/topup/?state__exact=created", "Ask Stripe"),
    "admin-revoke": ("/admin/accounts/apikey/", "Revoke this key"),
    "admin-stop-product": ("/admin/accounts/servicekey/", "Stop this product"),
    "admin-key-rights": ("/admin/accounts/servicekey/", "Change rights"),
    "admin-refund": ("/admin/monetization/tip/", "Record a refund"),
    "admin-topup-refund": ("/admin/wallet/topup/?user_id__exact=usr_mara", "Refund this top-up"),
    "admin-rate": ("/admin/wallet/rate/", "Change this price"),
}


class Pictures:
    """A browser in which one person visits pages."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.page: Page = context.new_page()
        self.address = address

    def take(self, name: str) -> None:
        """Take a picture of the current page."""
        self.page.wait_for_load_state("networkidle")
        height = min(HEIGHT_MAX, self.page.evaluate("document.documentElement.scrollHeight"))
        clip: Any = {"x": 0, "y": 0, "width": self.page.viewport_size["width"], "height": height}  # type: ignore[index]
        self.page.screenshot(path=PLACE / f"{name}.png", full_page=True, clip=clip)

    def visit(self, pages: dict[str, str]) -> None:
        for name, path in pages.items():
            self.page.goto(self.address + path)
            self.take(name)

    def follow(self, path: str, link: str, name: str, *, which: int = 0) -> None:
        """Take a picture of a page that another page links to."""
        self.page.goto(self.address + path)
        self.page.locator(link).nth(which).click()
        self.page.wait_for_load_state()
        self.take(name)

    def act(self, name: str, path: str, label: str) -> None:
        """Take a picture of the form of an action on the first row of a list."""
        self.page.goto(self.address + path)
        self.page.locator("#result_list tbody tr th a").first.click()
        self.page.get_by_role("link", name=label, exact=True).first.click()
        self.page.wait_for_load_state()
        self.take(name)

    def sign_in(self, person: str) -> None:
        self.page.goto(f"{self.address}/account")
        self.page.get_by_role("button", name="Continue with Misar").click()
        if person == "Dana Demo":
            self.take("sandbox-sign-in")
            self.page.get_by_role("button", name=person).click()
        else:
            self.page.get_by_label("Misar ID").fill(person)
            self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(f"{self.address}/account")

    def make_key(self) -> None:
        """Make an API key, send some requests with it, and take a picture of the page that lists them."""
        self.page.goto(f"{self.address}/dashboard/keys")
        self.page.get_by_label("Name", exact=True).fill("website")
        self.page.get_by_role("button", name="Create key").click()
        secret = self.page.locator("#secret").inner_text()
        for path in ("stats", "tips?limit=5", "tip", "subscriptions"):
            self.page.context.request.get(
                f"{self.address}/mail/v1/monetization/{path}", headers={"Authorization": f"Bearer {secret}"}
            )
        self.follow("/dashboard/keys", "tbody a[href*='/dashboard/keys/']", "key")

    def top_up(self) -> None:
        """Go to the checkout, and come back from a payment that is not confirmed yet."""
        self.page.goto(f"{self.address}/wallet")
        self.page.get_by_role("button", name="Pay $25").click()
        self.take("sandbox-checkout")
        self.page.get_by_role("button", name="Pay later").click()
        self.page.wait_for_url(f"{self.address}/wallet?**")
        self.take("wallet-on-its-way")
        # Leave a second one on Stripe's page: staff ask Stripe about it below. The first page reloads itself.
        self.page = self.page.context.new_page()
        self.page.goto(f"{self.address}/wallet")
        self.page.get_by_role("button", name="Pay $25").click()
        self.page.get_by_role("button", name="Pay later").wait_for()

    def share_free_days(self) -> None:
        """Make the link that shows a creator's free days, and follow it."""
        self.page.goto(f"{self.address}/dashboard/sponsors/free-slots")
        self.page.locator("main form button").first.click()
        self.page.wait_for_load_state()
        self.take("sponsors-share")
        self.page.goto(self.page.locator("#link").inner_text())
        self.take("free-days")

    def preview(self) -> None:
        """Take a picture of an adjustment before it is saved."""
        self.page.goto(f"{self.address}/admin/wallet/wallet/usr_5Fines/adjust/")
        self.page.locator("[name=credits]").fill("10")
        self.page.locator("[name=reason]").fill("Promised in ticket 4711")
        self.page.get_by_role("button", name="Preview").click()
        self.page.wait_for_load_state()
        self.take("admin-preview")

    def sign_in_as_staff(self) -> None:
        kept = json.loads((Path(os.environ.get("DATA_DIR") or ROOT / "var") / "demo.json").read_text())
        self.page.goto(f"{self.address}/sign-in/staff")
        self.page.locator("[name=login]").fill("demo")
        self.page.locator("[name=password]").fill(kept["staff_password"])
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.take("sign-in-code")
        while "/sign-in/code" in self.page.url:
            self.page.locator("[name=code]").fill(code_at(kept["staff_totp_secret"], time.time()))
            self.page.get_by_role("button", name="Continue", exact=True).click()
            self.page.wait_for_load_state()
            time.sleep(5)  # A code works once; if it was used already, wait for the next.


def main(address: str) -> None:
    PLACE.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        width, height = SIZES["desktop"]
        look: Any = {"viewport": {"width": width, "height": height}, "color_scheme": "light"}
        take_all(partial(browser.new_context, **look), address)
        browser.close()
    make_small()


def take_all(new_context: Any, address: str) -> None:
    Pictures(new_context(), address).visit(SIGNED_OUT)
    dana = Pictures(new_context(), address)
    dana.sign_in("Dana Demo")
    dana.visit(USER)
    dana.follow("/wallet/statements", "main a[href*='/wallet/statements/']", "statement", which=1)
    dana.follow("/wallet/receipts", "main a[href*='/wallet/receipts/top_']:not([href$='pdf'])", "receipt")
    dana.visit(CREATOR)
    dana.make_key()
    dana.follow("/dashboard/tips", "tbody a[href*='/dashboard/tips/']", "tip")
    dana.follow("/dashboard/subscriptions", "tbody a[href*='/dashboard/subscriptions/']", "subscription")
    dana.share_free_days()
    dana.top_up()
    for person, pages in OTHERS.items():
        other = Pictures(new_context(), address)
        other.sign_in(person)
        other.visit(pages)
    nova = Pictures(new_context(), address)
    nova.sign_in("usr_nova")
    nova.visit(NEWCOMER)
    staff = Pictures(new_context(), address)
    staff.sign_in_as_staff()
    staff.visit(STAFF)
    for name, (path, label) in ACTS.items():
        staff.act(name, path, label)
    staff.follow("/admin/month-end/", "main tbody a[href*='/admin/month-end/']", "admin-month-end", which=1)
    staff.preview()


def make_small() -> None:
    """Reduce the colours if pngquant is installed."""
    if pngquant := shutil.which("pngquant"):
        pictures = sorted(str(each) for each in PLACE.glob("*.png"))
        subprocess.run(
            [pngquant, "--force", "--ext", ".png", "--skip-if-larger", "48", *pictures], check=False
        )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
