"""The JSON of an event in the back-office: whole, without secrets, and never longer than a page bears."""

import json

import pytest
from django.contrib.admin.utils import quote
from django.urls import reverse

from backoffice.credits import payloads
from tests.html import words
from wallet.models import StripeEvent


def test_everything_is_shown_in_its_order_but_secrets():
    about = {"client_secret": "pi_1_secret_x", "amount": 5, "of": [{}]}
    shown = payloads.as_text(json.dumps({"id": "evt_1", "data": {"object": about}}))
    assert json.loads(shown)["data"]["object"] == about | {"client_secret": "(hidden)"}
    assert list(json.loads(shown)) == ["id", "data"]
    assert shown.startswith('{\n  "id": "evt_1",\n')
    assert json.loads(payloads.as_text('{"client_secret": null}')) == {"client_secret": None}


@pytest.mark.parametrize("payload", ["no JSON", "[" * 100_000, ""])
def test_what_cannot_be_parsed_is_shown_as_it_came(payload):
    assert payloads.as_text(payload) == payload


def test_a_secret_in_what_cannot_be_parsed_is_not_shown():
    assert "pi_1" not in payloads.as_text('{"client_secret": "pi_1_secret_x", ' + "[" * 100_000)


def test_half_of_a_surrogate_pair_is_escaped():
    assert payloads.as_text('{"name": "\\ud800"}') == '{\n  "name": "\\ud800"\n}'


def test_a_payload_that_is_too_long_says_how_much_is_left_out():
    shown = payloads.as_text("x" * (payloads.SHOWN_MAX + 1234))
    assert shown.endswith("x\n… and 1,234 more characters")
    assert len(shown) < payloads.SHOWN_MAX + 50


@pytest.mark.django_db
def test_the_page_of_an_event_shows_its_payload_escaped_with_a_button_that_copies_it(staff):
    event = StripeEvent.objects.create(
        id="evt_1", type="charge.refunded", state="parked", payload='{"name": "<b>Ada</b>"}'
    )
    answer = staff.get(reverse("admin:wallet_stripeevent_change", args=[quote(event.pk)]))
    page = answer.text
    assert "&quot;name&quot;: &quot;&lt;b&gt;Ada&lt;/b&gt;&quot;" in page
    assert 'data-copy="payload"' in page
    assert "js/lists.js" in page
    assert '"name": "<b>Ada</b>"' in words(answer)
