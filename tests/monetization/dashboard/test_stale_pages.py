"""Forms of outdated pages: what changed meanwhile stays, and the answer says so."""

import re
from datetime import timedelta
from functools import partial
from html import unescape

import pytest
from django.db import transaction
from django.utils import timezone

from monetization import sponsors, subscriptions
from monetization.dashboard.tips.views import refund_key
from monetization.models import Refund, Sponsor, Subscription, Tip
from tests.crowd import begin, wait_until_another_waits
from tests.html import browser_of, hidden, words
from tests.monetization.conftest import SUBSCRIPTIONS, on_wire
from tests.monetization.records import change, clock_at, days, place, refund, subscribe, tip
from tests.patterns import matched

SENT = ("status", "plan", "price", "seen", "confirmed")

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(creator):
    return browser_of(creator)


def ago(seconds):
    return on_wire(timezone.now() - timedelta(seconds=seconds))


# --- Subscriptions ----------------------------------------------------------------------------------


def page_of(one):
    return f"/dashboard/subscriptions/{one.pk}"


def preview(page, one, **changes):
    """What the confirmation of these changes sends."""
    opened = page.get(page_of(one)).content.decode()
    assert 'name="seen"' in opened
    requested = {"status": one.status, "plan": one.plan, "price": "7.99"} | changes
    answer = page.post(page_of(one), requested)
    return {name: hidden(answer, name) for name in SENT}


def test_a_new_price_does_not_block_a_cancellation_that_arrives_late(creator, page, api):
    one = subscribe(creator)
    assert page.post(page_of(one), preview(page, one, price="9.99")).status_code == 302
    late = {"status": "cancelled", "occurred_at": ago(30)}
    assert api.patch(f"{SUBSCRIPTIONS}/{one.pk}", late).status_code == 200
    one.refresh_from_db()
    assert (one.status, one.amount_cents) == ("cancelled", 999)


def test_a_cancellation_does_not_block_a_new_price_that_arrives_late(creator, page, api):
    one = subscribe(creator)
    assert page.post(page_of(one), preview(page, one, status="past_due")).status_code == 302
    late = {"amount_cents": 999, "occurred_at": ago(30)}
    assert api.patch(f"{SUBSCRIPTIONS}/{one.pk}", late).status_code == 200
    one.refresh_from_db()
    assert (one.status, one.amount_cents) == ("past_due", 999)


def test_a_cancellation_sent_again_after_stripe_undid_it_changes_nothing(creator, page):
    one = subscribe(creator)
    sent = preview(page, one, status="cancelled")
    assert page.post(page_of(one), sent).status_code == 302
    change(one, status="active")  # By the webhook.
    again = page.post(page_of(one), sent)
    assert again.status_code == 409
    assert "The subscription was changed meanwhile, so nothing was saved yet." in words(again)
    one.refresh_from_db()
    assert (one.status, one.events.count()) == ("active", 3)


def test_the_preview_of_an_outdated_form_shows_the_change(creator, page):
    one = subscribe(creator)
    seen = hidden(page.get(page_of(one)), "seen")
    change(one, status="cancelled")
    requested = {"status": "active", "plan": "monthly", "price": "9.99", "seen": seen}
    answer = page.post(page_of(one), requested)
    assert answer.status_code == 409
    assert "from Cancelled to Active" in words(answer)


@pytest.mark.parametrize("seen", ["", "0", "x", "9" * 64])
def test_a_confirmation_without_the_newest_event_changes_nothing(creator, page, seen):
    one = subscribe(creator)
    requested = {"status": "cancelled", "plan": "monthly", "price": "7.99", "seen": seen, "confirmed": "1"}
    assert page.post(page_of(one), requested).status_code == 409
    one.refresh_from_db()
    assert one.status == "active"


@pytest.mark.django_db(transaction=True)
def test_a_webhook_between_the_read_and_the_lock_is_noticed(creator):
    one = subscribe(creator)
    page = browser_of(creator)
    sent = preview(page, one, status="cancelled")
    with transaction.atomic():
        Subscription.objects.select_for_update().get(pk=one.pk)
        waiting = begin(partial(page.post, page_of(one), sent))
        wait_until_another_waits()
        subscriptions.change(creator=creator, subscription_id=one.pk, plan="annual")
    answer = waiting.result()
    assert answer.status_code == 409
    assert "from annual to monthly" in words(answer)
    one.refresh_from_db()
    assert (one.status, one.plan) == ("active", "annual")


# --- Sponsors ---------------------------------------------------------------------------------------


FIELDS = (
    "first_day",
    "starts_at",
    "last_day",
    "ends_at",
    "target_url",
    "logo_url",
    "sponsor_name",
    "price",
    "currency",
    "seen",
)


def form_of(sponsor):
    return f"/dashboard/sponsors/{sponsor.pk}/edit"


def filled(page, sponsor, **changes):
    """What a browser sends for the current form."""
    return shown(page.get(form_of(sponsor))) | {"position": sponsor.position} | changes


def shown(answer):
    """The values of the form on a page."""
    inputs = [tag for tag in re.findall("<input[^>]*>", answer.content.decode()) if "value=" in tag]
    values = {
        matched('name="([^"]*)"', tag)[1]: unescape(matched('value="([^"]*)"', tag)[1]) for tag in inputs
    }
    values["currency"] = matched('<option value="([^"]*)" selected', answer.content.decode())[1]
    return {name: values.get(name, "") for name in FIELDS}


@pytest.fixture
def sponsor(creator):
    begins = timezone.now().replace(microsecond=0) + days(1)
    return place(creator, "Acme", starts=begins, ends=begins + days(7), price_cents=100, currency="USD")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sponsor_name": "Globex"}, "these can no longer change: sponsor's name."),
        ({"position": "footer", "price": "2"}, "these can no longer change: position and price."),
        ({"position": "sidebar"}, "only its end and its addresses can still change."),
    ],
)
def test_a_form_opened_before_a_placement_began_names_the_closed_fields(
    creator, page, sponsor, changes, named
):
    sent = filled(page, sponsor, target_url="https://b.example/x", **changes)
    with clock_at(sponsor.active_from + days(1)):
        answer = browser_of(creator).post(form_of(sponsor), sent)
    assert answer.status_code == 409
    assert f"This placement has begun, so {named} Nothing was saved." in words(answer)
    assert sponsors.fingerprint(Sponsor.objects.get()) == sponsors.fingerprint(sponsor)


def test_what_is_still_open_is_saved_from_a_form_opened_before_it_began(creator, page, sponsor):
    sent = filled(page, sponsor, target_url="https://b.example/x")
    with clock_at(sponsor.active_from + days(1)):
        assert browser_of(creator).post(form_of(sponsor), sent).status_code == 302
    assert Sponsor.objects.get().target_url == "https://b.example/x"


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_form_sent_after_the_end_is_never_saved(creator, page, sponsor, is_cancelled):
    sent = filled(page, sponsor)
    if is_cancelled:
        sponsors.cancel(creator=creator, sponsor_id=sponsor.pk)
    with clock_at(sponsor.active_from + days(1 if is_cancelled else 8)):
        answer = browser_of(creator).post(form_of(sponsor), sent)
    assert answer.status_code == 409
    sentence = "Acme was cancelled already." if is_cancelled else "Acme is over already."
    assert f"{sentence} Nothing was saved." in words(answer)


def test_a_form_opened_before_another_edit_does_not_undo_it(page, sponsor):
    stale = filled(page, sponsor, sponsor_name="Globex")
    page.post(form_of(sponsor), filled(page, sponsor, target_url="https://b.example/x"))
    answer = page.post(form_of(sponsor), stale)
    assert answer.status_code == 409
    assert "This placement was changed meanwhile. Nothing was saved." in words(answer)
    fresh = shown(answer)
    assert (fresh["sponsor_name"], fresh["target_url"]) == ("Acme", "https://b.example/x")
    again = fresh | {"position": "header", "sponsor_name": "Globex"}
    assert page.post(form_of(sponsor), again).status_code == 302
    placed = Sponsor.objects.get()
    assert (placed.sponsor_name, placed.target_url) == ("Globex", "https://b.example/x")


def test_the_same_edit_sent_twice_is_saved_once(page, sponsor):
    sent = filled(page, sponsor, sponsor_name="Globex")
    assert [page.post(form_of(sponsor), sent).status_code for _ in range(2)] == [302, 302]
    assert Sponsor.objects.get().sponsor_name == "Globex"


@pytest.mark.django_db(transaction=True)
def test_an_edit_between_the_read_and_the_lock_is_noticed(creator):
    begins = timezone.now().replace(microsecond=0) + days(1)
    sponsor = place(creator, "Acme", starts=begins, ends=begins + days(7), price_cents=100)
    page = browser_of(creator)
    sent = filled(page, sponsor, sponsor_name="Globex")
    with transaction.atomic():
        sponsors.edit(creator=creator, sponsor_id=sponsor.pk, target_url="https://b.example/x")
        answer = begin(partial(page.post, form_of(sponsor), sent))
        wait_until_another_waits()
    assert answer.result().status_code == 409
    placed = Sponsor.objects.get()
    assert (placed.sponsor_name, placed.target_url) == ("Acme", "https://b.example/x")


# --- Refunds ----------------------------------------------------------------------------------------


def refund_of(one):
    return f"/dashboard/tips/{one.pk}/refund"


def confirmation_of(page, one, amount):
    """What the confirmation of this refund sends."""
    seen = hidden(page.get(refund_of(one)), "seen")
    answer = page.post(refund_of(one), {"amount": amount, "seen": seen})
    return {name: hidden(answer, name) for name in ("amount", "seen", "fee", "confirmed")}


def test_another_amount_from_the_same_page_is_refused_with_the_recorded_one(creator, page):
    one = tip(creator, 1000)
    sent = confirmation_of(page, one, "4.00")
    page.post(refund_of(one), sent)
    answer = page.post(refund_of(one), sent | {"amount": "1.00"}, follow=True)
    assert "A refund of 4.00 USD was recorded from this page, and stands; one of 1.00 USD was not." in words(
        answer
    )
    assert Refund.objects.get().amount_cents == 400


def test_a_fee_that_has_changed_is_shown_again(creator, page, settings):
    one = tip(creator, 1000)
    sent = confirmation_of(page, one, "4.00")
    settings.REFUNDS_RETURN_THE_FEE = False
    answer = page.post(refund_of(one), sent)
    assert answer.status_code == 409
    assert "You give back 4.00 USD Fee returned 0.00 USD" in words(answer)
    assert not Refund.objects.exists()
    fresh = {name: hidden(answer, name) for name in ("amount", "seen", "fee", "confirmed")}
    assert page.post(refund_of(one), fresh).status_code == 302
    assert Refund.objects.get().fee_returned_cents == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("meanwhile", "status"), [(300, 409), (700, 400)])
def test_a_refund_between_the_read_and_the_lock_is_noticed(creator, meanwhile, status):
    one = tip(creator, 1000)
    page = browser_of(creator)
    sent = confirmation_of(page, one, "4.00")
    with transaction.atomic():
        Tip.objects.select_for_update().get(pk=one.pk)
        answer = begin(partial(page.post, refund_of(one), sent))
        wait_until_another_waits()
        refund(one, meanwhile)  # By staff.
    assert answer.result().status_code == status
    assert Refund.objects.get().amount_cents == meanwhile


@pytest.mark.django_db(transaction=True)
def test_of_two_amounts_at_once_the_answer_names_the_recorded_one(creator):
    one = tip(creator, 1000)
    page = browser_of(creator)
    sent = confirmation_of(page, one, "4.00")
    with transaction.atomic():
        Tip.objects.select_for_update().get(pk=one.pk)
        answer = begin(partial(page.post, refund_of(one), sent))
        wait_until_another_waits()
        refund(one, 100, key=refund_key(0))
    assert answer.result().status_code == 302
    page_text = words(page.get(answer.result()["Location"]))
    assert (
        "A refund of 1.00 USD was recorded from this page, and stands; one of 4.00 USD was not." in page_text
    )
    assert Refund.objects.get().amount_cents == 100
