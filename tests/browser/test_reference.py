"""The API reference in a real browser: in both colors and sizes, without JavaScript, and on paper."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.chromium import SIZES

LOOKS = [(size, scheme) for size in SIZES for scheme in ("light", "dark")]


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_nothing_on_it_stops_a_reader(open_browser, size, scheme):
    reader = open_browser(size=size, scheme=scheme)
    reader.goes_to("/docs")
    assert reader.sees("API reference")
    reader.page.evaluate("document.querySelectorAll('.parts details').forEach((each) => (each.open = true))")
    reader.is_never_stopped_by_the_page()


def test_a_narrow_window_never_scrolls_sideways(ada):
    ada.page.set_viewport_size({"width": 320, "height": 640})
    for language in ("curl", "python", "javascript"):
        ada.goes_to(f"/docs?lang={language}")
        wide = ada.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 320, language


def test_targets_are_large_enough_for_a_finger(open_browser):
    reader = open_browser(size="phone")
    reader.goes_to("/docs")
    reader.presses("Contents")
    small = reader.page.evaluate(
        """() => [...document.querySelectorAll(".contents a, .bar button, .bar a, summary, .copy")]
          .map((each) => [each.textContent, each.getBoundingClientRect()])
          .filter(([, box]) => box.width && (box.height < 24 || box.width < 24)).map(([name]) => name)"""
    )
    assert small == []


def test_a_chosen_language_changes_all_samples_where_they_are_and_is_remembered(ada):
    ada.goes_to("/docs#wallet-deduct")
    sample = ada.page.locator("#wallet-deduct").locator("xpath=ancestor::article").locator(".sample")
    assert sample.inner_text().startswith("curl ")
    ada.page.evaluate("window.isStillHere = true")
    ada.page.get_by_role("link", name="Python", exact=True).click()
    expect(sample).to_contain_text("import requests")
    assert ada.is_at("/docs?lang=python#wallet-deduct")
    assert ada.page.evaluate("window.isStillHere")
    expect(ada.page.locator(".sample", has_text="curl ")).to_have_count(0)
    assert ada.page.locator(".bar [aria-current]").all_inner_texts() == ["Python"]
    ada.goes_to("/docs")
    expect(sample).to_contain_text("import requests")


def test_a_search_leaves_the_text_where_it_is(ada):
    ada.goes_to("/docs")
    ada.page.locator("#contents").get_by_role("link", name="Errors", exact=True).click()
    ada.page.wait_for_function("scrollY > 0")
    before = ada.page.evaluate("scrollY")
    ada.page.keyboard.press("/")
    ada.page.keyboard.type("hold_ex")
    assert ada.sees("found")
    assert ada.page.evaluate("scrollY") == before


def test_a_reader_finds_a_field_by_keyboard(ada):
    ada.goes_to("/docs")
    ada.page.keyboard.press("/")
    ada.page.keyboard.type("ttl_sec")
    assert ada.sees("found")
    ada.page.keyboard.press("ArrowDown")
    ada.page.keyboard.press("Enter")
    ada.page.wait_for_url(re.compile(r"#wallet-hold"))
    ada.page.keyboard.press("/")
    ada.page.keyboard.press("ControlOrMeta+a")
    ada.page.keyboard.type("over_cap")
    ada.page.keyboard.press("Enter")
    assert ada.is_at("/docs#over_cap")
    ada.page.keyboard.press("/")
    ada.page.keyboard.press("ControlOrMeta+a")
    ada.page.keyboard.type("no such words")
    assert ada.sees("No match for “no such words”")
    ada.page.keyboard.press("Escape")
    expect(ada.page.get_by_role("link", name="Credentials", exact=True).first).to_be_visible()


def test_on_a_phone_one_button_opens_the_contents(open_browser):
    reader = open_browser(size="phone")
    reader.goes_to("/docs")
    link = reader.page.locator("#contents").get_by_role("link", name="Idempotency")
    expect(link).to_be_hidden()
    reader.presses("Contents")
    link.click()
    assert reader.is_at("/docs#idempotency")
    expect(link).to_be_hidden()


def test_without_javascript_every_part_is_there(open_browser):
    reader = open_browser(javascript=False)
    reader.goes_to("/docs")
    assert reader.page.locator("#find").is_hidden()
    reader.page.get_by_role("link", name="JavaScript", exact=True).click()
    assert reader.is_at("/docs?lang=javascript")
    assert reader.page.locator(".sample", has_text="await fetch(").count() > 30
    reader.page.locator("#contents").get_by_role("link", name="Errors", exact=True).click()
    assert reader.is_at("/docs?lang=javascript#errors")


def test_a_sample_is_copied_as_it_is_shown(ada):
    ada.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ada.page.clock.install()
    ada.goes_to("/docs")
    ada.page.clock.pause_at(timezone.now() + timedelta(hours=1))  # The button says it for two seconds.
    sample = ada.page.locator("article .sample").first
    ada.page.locator("article .copied").first.get_by_role("button", name="Copy").click()
    assert ada.sees("Copied")
    assert ada.page.evaluate("navigator.clipboard.readText()") == sample.inner_text()


def test_paper_has_every_sample_and_answer_and_no_navigation(ada):
    ada.goes_to("/docs")
    ada.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    ada.page.emulate_media(media="print")
    expect(ada.page.locator(".contents:visible, .bar:visible, .copy:visible")).to_have_count(0)
    assert ada.page.locator("pre:visible").count() == ada.page.locator("pre").count()
    ada.page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(ada.page.locator(".parts details[open]")).to_have_count(0)
