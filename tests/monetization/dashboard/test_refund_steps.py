"""Refunds in a currency with a step: a partial refund is a multiple of it, the rest of a tip need not be."""

import pytest

from monetization import tips
from monetization.models import Refund
from tests.html import browser_of, hidden, words
from tests.monetization.records import refund, tip

pytestmark = pytest.mark.django_db


def test_a_partial_refund_must_be_a_multiple_of_the_step(creator):
    one = tip(creator, 1050, currency="ISK")
    for attempt in (lambda: refund(one, 150), lambda: tips.preview_refund(one, 150)):
        with pytest.raises(tips.NotAMultiple, match="in ISK is a multiple of 100"):
            attempt()
    assert refund(one, 100).amount_cents == 100
    assert not Refund.objects.exclude(amount_cents=100).exists()


def test_the_rest_of_a_tip_can_be_refunded_whatever_the_step(creator):
    one = tip(creator, 1050, currency="ISK")
    assert refund(one, 1050).amount_cents == 1050


def test_the_page_refunds_the_rest_but_no_other_amount_off_the_step(creator):
    one = tip(creator, 1050, currency="ISK")
    page = browser_of(creator)
    path = f"/dashboard/tips/{one.pk}/refund"
    refused = page.post(path, {"amount": "1.50", "seen": "0"})
    assert refused.status_code == 400
    assert "An amount in ISK is a multiple of 1.00 ISK." in words(refused)
    answer = page.post(path, {"amount": "10.50", "seen": "0"})
    sent = {name: hidden(answer, name) for name in ("amount", "seen", "fee", "confirmed")}
    assert page.post(path, sent).status_code == 302
    assert Refund.objects.get().amount_cents == 1050
