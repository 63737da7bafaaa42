"""How a new creator is welcomed on the overview: four steps that tick themselves off."""

import re

import pytest

from monetization.models import Earner
from tests.factories import UserFactory
from tests.html import browser_of, link, words
from tests.monetization.conftest import key_of
from tests.monetization.dashboard.overview import page_of, value
from tests.monetization.records import place, subscribe, tip

pytestmark = pytest.mark.django_db


def done(answer):
    """The steps that are ticked off, in order."""
    return re.findall(r'(?s)<li class="is-done">\s*<h3>(.*?) <span', answer.content.decode())


def test_a_new_creator_sees_what_to_do_and_no_empty_figure(settings):
    settings.PUBLIC_URL = "https://billing.misar.example"
    answer = browser_of().get("/dashboard")
    page_text, html = words(answer), answer.content.decode()
    for path in ("tip", "subscriptions"):
        assert f"curl -X POST https://billing.misar.example/mail/v1/monetization/{path}" in page_text
    assert "Authorization: Bearer YOUR_KEY" in page_text
    assert link(answer, "Create a key") == "/dashboard/keys"
    assert link(answer, "Add a sponsor") == "/dashboard/sponsors/add"
    assert done(answer) == []
    for part in ("data-figure", "data-chart", "chart.js", "Dismiss"):
        assert part not in html


def test_the_first_step_is_ticked_off_with_a_key_that_can_record():
    creator = UserFactory.create()
    key_of(creator, "read")
    assert done(page_of(creator)) == []
    secret = key_of(creator, "monetization")
    answer = page_of(creator)
    assert done(answer) == ["API key made"]
    assert "Create a key" not in words(answer)
    assert secret not in answer.content.decode()


def test_the_steps_tick_themselves_off_until_all_four_are_done():
    creator = UserFactory.create()
    tip(creator)
    answer = page_of(creator)
    assert done(answer) == ["First tip recorded"]
    assert value(answer, "earned") == "4.75 USD"  # A figure is there as soon as there is one to show.
    subscribe(creator)
    place(creator)
    assert done(page_of(creator)) == [
        "First tip recorded",
        "First subscription recorded",
        "First sponsor added",
    ]
    key_of(creator, "monetization")
    assert "First steps" not in words(page_of(creator))


def test_only_the_next_step_is_open():
    creator = UserFactory.create()
    key_of(creator, "monetization")
    opened = re.findall(r"(?s)<details open>\s*<summary>(.*?)</summary>", page_of(creator).content.decode())
    assert opened == ["Record your first tip"]


def test_the_steps_can_be_dismissed_once_there_is_income():
    creator = UserFactory.create()
    browser = browser_of(creator)
    browser.post("/dashboard/dismiss", {"part": "first_steps"})
    assert "Create a key" in words(page_of(creator))
    assert not Earner.objects.exists()
    tip(creator)
    answer = browser.post("/dashboard/dismiss?range=7d&next=evil", {"part": "first_steps"}, follow=True)
    assert answer.redirect_chain == [("/dashboard?range=7d", 302)]
    assert "The first steps are dismissed." in words(answer)
    assert "Create a key" not in words(page_of(creator))  # Also in another browser.
