"""Pictures of every page, from a sandbox that runs: `python -m tests.browser.pictures http://127.0.0.1:8000`.

They go to docs/pictures, one file a page, width and colour scheme. Run it after `make run` has printed its
welcome, with the DATA_DIR of that sandbox.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from misar_billing.sandbox.second_factor import code_at
from tests.chromium import CHROMIUM, FLAGS, SIZES

ROOT = Path(__file__).resolve().parent.parent.parent
PLACE = ROOT / "docs" / "pictures"
# Where a page is, by what its picture is called.
OF_NOBODY = {"sign-in": "/sign-in", "sign-in-staff": "/sign-in/staff", "not-found": "/nowhere"}
OF_A_USER = {
    "wallet": "/wallet",
    "statements": "/wallet/statements",
    "statement": "/wallet/statements/{month}",
    "account": "/account",
}
OF_STAFF = {
    "admin": "/admin/",
    "admin-wallets": "/admin/wallet/wallet/",
    "admin-wallet": "/admin/wallet/wallet/usr_5Fdemo/change/",
    "admin-adjust": "/admin/wallet/wallet/usr_5Fdemo/adjust/",
}


def main(address: str) -> None:
    PLACE.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                look: Any = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
                name = f"{size}-{scheme}"
                take(browser.new_context(**look).new_page(), address, OF_NOBODY, name)
                user = browser.new_context(**look).new_page()
                sign_in(user, address)
                take(user, address, OF_A_USER, name)
                top_up(user, address, name)
                staff = browser.new_context(**look).new_page()
                sign_in_as_staff(staff, address, name)
                take(staff, address, OF_STAFF, name)
        browser.close()


def take(page: Page, address: str, pages: dict[str, str], look: str) -> None:
    for name, path in pages.items():
        page.goto(address + path.format(month=last_month(page, address) if "{month}" in path else ""))
        picture(page, name, look)


def picture(page: Page, name: str, look: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PLACE / f"{name}-{look}.png", full_page=True)


def last_month(page: Page, address: str) -> str:
    """The newest month that is over."""
    page.goto(f"{address}/wallet/statements")
    links = page.locator("main a[href*='/wallet/statements/']")
    return str(links.nth(1).get_attribute("href")).rpartition("/")[2]


def sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}/wallet")
    page.get_by_role("button", name="Continue with Misar").click()
    page.get_by_role("button", name="Dana Demo").click()
    page.wait_for_url(f"{address}/wallet")


def top_up(page: Page, address: str, look: str) -> None:
    """Coming back from a payment that is not there yet."""
    page.goto(f"{address}/wallet")
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name="Pay later").click()
    page.wait_for_url(f"{address}/wallet?**")
    picture(page, "wallet-on-its-way", look)


def sign_in_as_staff(page: Page, address: str, look: str) -> None:
    kept = json.loads((Path(os.environ.get("DATA_DIR") or ROOT / "var") / "demo.json").read_text())
    page.goto(f"{address}/sign-in/staff")
    page.get_by_label("Name").fill("demo")
    page.get_by_label("Password").fill(kept["staff_password"])
    page.get_by_role("button", name="Sign in", exact=True).click()
    picture(page, "sign-in-code", look)
    while True:
        page.get_by_label("Code").fill(code_at(kept["staff_totp_secret"], time.time()))
        page.get_by_role("button", name="Continue").click()
        page.wait_for_load_state()
        if "/sign-in/code" not in page.url:
            return
        time.sleep(5)  # A code opens once: the next look waits for the next one.


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
