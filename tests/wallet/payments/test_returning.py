"""A user comes back from the checkout while the webhook arrives: the payment is credited once."""

from functools import partial

import pytest

from tests.crowd import at_once
from tests.factories import UserFactory
from tests.html import browser_of
from wallet.books.funds import available_of
from wallet.models import Entry, StripeEvent, TopUp
from wallet.payments.returning import ask_stripe


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(3))
def test_pages_and_the_webhook_at_once_credit_once(stand_in, start_topup, deliver, settings, round_):
    user = UserFactory.create(misar_id="usr_1")
    session_id = start_topup().stripe_session_id
    stand_in.happens("pay", session_id)
    browsers = [browser_of(user) for _ in range(3)]
    looks = [partial(browser.get, "/wallet/top-up/state", {"session": session_id}) for browser in browsers]
    events = [partial(deliver, event) for event in stand_in.events(session_id)]
    answers = at_once([*looks, *events, *events])
    assert {answer.status_code for answer in answers} == {200}
    assert available_of("usr_1") == 25
    assert Entry.objects.count() == 1
    assert TopUp.objects.get().state == "paid"
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"handled"}


@pytest.mark.django_db(transaction=True)
def test_settling_alone_races_with_the_webhook(stand_in, start_topup, deliver, monkeypatch):
    """Without the limit of one question a minute, every page settles at the same moment."""
    monkeypatch.setattr("wallet.payments.returning.ASKED_A_MINUTE", 1000)
    topup = start_topup()
    stand_in.happens("pay", topup.stripe_session_id)
    events = [partial(deliver, event) for event in stand_in.events(topup.stripe_session_id)]
    at_once([*[partial(ask_stripe, topup)] * 6, *events * 2])
    assert (available_of("usr_1"), Entry.objects.count()) == (25, 1)


@pytest.mark.django_db
def test_it_is_stripes_entry_like_that_of_the_webhook(stand_in, start_topup):
    topup = start_topup()
    stand_in.happens("pay", topup.stripe_session_id)
    ask_stripe(topup)
    topup.refresh_from_db()
    assert (topup.state, topup.paid_cents, topup.entry.actor) == ("paid", 2500, "stripe")
    assert topup.payment_intent_id.startswith("pi_")
    assert topup.entry.product == "blog"


@pytest.mark.django_db
def test_a_top_up_without_a_session_is_not_asked_about(stand_in):
    ask_stripe(TopUp.objects.create(user_id="usr_1", state="creating"))
    assert not Entry.objects.exists()
