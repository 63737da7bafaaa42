"""How a new creator is welcomed on the overview: three steps, ticked off one by one."""

import pytest

from monetization.dashboard.overview import tiles, welcome
from tests.factories import UserFactory
from tests.html import browser_of, link, words
from tests.monetization.conftest import key_of
from tests.monetization.dashboard.overview import page_of, value
from tests.monetization.records import place, tip
from tests.patterns import matched

pytestmark = pytest.mark.django_db


def test_a_new_creator_is_welcomed(settings):
    settings.PUBLIC_URL = "https://billing.misar.example"
    answer = browser_of().get("/dashboard")
    said = words(answer)
    assert "1,0" not in said
    assert "curl -X POST https://billing.misar.example/mail/v1/monetization/tip" in said
    assert "Authorization: Bearer YOUR_KEY" in said
    assert link(answer, "Create a key") == "/dashboard/keys"
    assert link(answer, "Add a sponsor") == "/dashboard/sponsors/add"
    for key in tiles.DEFINITIONS:
        assert value(answer, key) == "–"
    html = answer.content.decode()
    assert "data-chart" not in html
    assert "chart.js" not in html


def test_the_first_step_is_ticked_off_with_a_key_that_can_record():
    creator = UserFactory.create()
    key_of(creator, "read")
    assert "Done" not in words(page_of(creator))
    secret = key_of(creator, "monetization")
    said = words(page_of(creator))
    assert "Create an API key Done" in said
    assert "Create a key" not in said
    assert secret not in said


def test_the_welcome_stays_with_ticked_steps_until_all_are_done():
    creator = UserFactory.create()
    tip(creator)
    said = words(page_of(creator))
    assert "You have begun." in said
    assert "Record a test tip Done" in said
    assert (
        "curl -X POST"
        not in matched(r"(?s)<ol class=\"steps\">.*?</ol>", page_of(creator).content.decode())[0]
    )
    key_of(creator, "monetization")
    assert "Create an API key Done" in words(page_of(creator))
    place(creator)
    assert "Add a sponsor Done" not in words(page_of(creator))
    assert "You have begun." not in words(page_of(creator))


def test_a_creator_with_some_tips_is_welcomed_no_more():
    creator = UserFactory.create()
    for _ in range(welcome.TIPS_ENOUGH):
        tip(creator)
    assert "You have begun." not in words(page_of(creator))
