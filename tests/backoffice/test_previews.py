"""Before credits move by hand, the form says what the balance becomes, and nothing else is then done."""

import secrets
from datetime import timedelta
from functools import partial
from html import unescape

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Act
from monetization import tips
from monetization.models import Refund
from tests.backoffice.members import member_of, signed_in
from tests.crowd import at_once
from tests.factories import UserFactory
from tests.wallet.granted import grant
from tests.wallet.held import capture, hold
from tests.wallet.past import charged
from tests.wallet.resting import resting_triggers
from wallet.books import ledger
from wallet.books.funds import funds_of
from wallet.charges import give_backs, holds
from wallet.models import Entry, Lot, Payment, RefundRequest, StripeEvent, StripeRefund, Wallet

pytestmark = pytest.mark.django_db

FRESH = ""  # What a form says that was opened and not sent before.


@pytest.fixture
def billing():
    return signed_in(member_of("billing"))


@pytest.fixture(autouse=True)
def usual_limits(settings):
    settings.STAFF_CREDITS_A_DAY = {"billing": 1000}


def address(action, row_id, of="wallet"):
    return reverse(f"admin:wallet_{of}_{action}", args=[quote(row_id)])


def asked(**fields):
    return {"reason": "asked by mail", "key": secrets.token_hex(8), "seen": FRESH} | fields


def again(page, form, **changed):
    """Send the form as the page shows it now, with what a staff member changed."""
    shown = page.context["form"]
    hidden = {name: shown[name].value() for name in ("seen", "basis") if name in shown.fields}
    return form | hidden | changed


def effects(page):
    assert page.status_code == 200
    preview = page.context["form"].preview
    return [(effect.label, effect.before, effect.after) for effect in preview.effects] if preview else None


def adjust(client, form, user_id="usr_1"):
    return client.post(address("adjust", user_id), form)


def test_an_adjustment_is_shown_first_and_done_when_the_form_is_sent_again(give, billing):
    give("usr_1", 28)
    assert billing.get(address("adjust", "usr_1")).context["button"] == "Preview"
    form = asked(credits="3")
    page = adjust(billing, form)
    assert effects(page) == [("Balance", 28, 31)]
    assert page.context["button"] == "Adjust the balance"
    assert 'id="preview"' in page.text
    assert Entry.objects.count() == 1
    assert not Act.objects.exists()
    for _ in range(2):  # The second form of the two is as good as none.
        assert adjust(billing, again(page, form)).status_code == 302
    assert funds_of("usr_1").balance == 31
    assert Act.objects.get().told == "Adjusted by +3 credits to 31."


def test_other_values_are_shown_again_and_another_reason_is_not(give, billing):
    give("usr_1", 28)
    form = asked(credits="3")
    page = adjust(billing, form)
    changed = again(page, form, credits="30")
    page = adjust(billing, changed)
    assert effects(page) == [("Balance", 28, 58)]
    assert funds_of("usr_1").balance == 28
    assert adjust(billing, again(page, changed, reason="As agreed")).status_code == 302
    assert funds_of("usr_1").balance == 58


@pytest.mark.parametrize("seen", [None, "", "-", "0:", "x" * 101])
def test_a_form_that_has_not_shown_its_effects_does_nothing(give, billing, seen):
    give("usr_1", 28)
    form = asked(credits="3", seen=seen)
    if seen is None:
        del form["seen"]
    # The browser of tests sends a form without this field twice.
    page = Client.post(billing, address("adjust", "usr_1"), form)
    assert effects(page) == [("Balance", 28, 31)]
    assert funds_of("usr_1").balance == 28
    assert not Act.objects.exists()


def test_held_credits_are_told_from_the_balance(give, billing, article_rate):
    give("usr_1", 28)
    hold("usr_1", 5)
    assert effects(adjust(billing, asked(credits="-3"))) == [("Balance", 28, 25), ("Available", 23, 20)]


def test_what_cannot_be_done_is_refused_before_it_is_shown(give, billing, settings):
    give("usr_1", 28)
    settings.STAFF_CREDITS_A_DAY = {"billing": 50}
    for credits, words in (("-29", "available"), ("51", "in 24 hours")):
        page = adjust(billing, asked(credits=credits))
        assert effects(page) is None
        assert words in " ".join(page.context["form"].non_field_errors())
        assert page.context["button"] == "Preview"
    assert Entry.objects.count() == 1


def test_a_preview_creates_no_wallet(billing):
    assert effects(adjust(billing, asked(credits="3"))) == [("Balance", 0, 3)]
    assert not Wallet.objects.exists()


def test_a_charge_after_the_preview_does_not_stop_the_adjustment(give, billing):
    give("usr_1", 28)
    form = asked(credits="3")
    page = adjust(billing, form)
    charged(5, timezone.now())
    assert adjust(billing, again(page, form)).status_code == 302
    assert Act.objects.get().told == "Adjusted by +3 credits to 26."


def test_a_colleagues_act_after_the_preview_stops_the_action(give, billing):
    give("usr_1", 28)
    form = asked(credits="3")
    page = adjust(billing, form)
    colleague = signed_in(member_of("billing"))
    other = asked(credits="3")
    assert adjust(colleague, again(adjust(colleague, other), other)).status_code == 302
    refused = adjust(billing, again(page, form))
    assert (
        "A colleague has acted on this user since you saw what would change: Adjusted by +3 credits to 31."
        in refused.text
    )
    assert funds_of("usr_1").balance == 31
    # The page shows what would change now. The form that it shows is done when it is sent.
    assert "Below is what would change now." in refused.text
    assert effects(refused) == [("Balance", 31, 34)]
    assert adjust(billing, again(refused, form)).status_code == 302
    assert funds_of("usr_1").balance == 34


def test_ones_own_act_in_another_window_stops_the_action_and_is_called_ones_own(give, billing):
    give("usr_1", 28)
    forms = [asked(credits="3"), asked(credits="4")]
    pages = [adjust(billing, form) for form in forms]
    assert adjust(billing, again(pages[0], forms[0])).status_code == 302
    refused = adjust(billing, again(pages[1], forms[1]))
    assert "You have acted on this user since you saw what would change" in refused.text
    assert "colleague has" not in refused.text
    assert effects(refused) == [("Balance", 31, 35)]


def test_a_colleagues_act_is_noticed_though_their_hosts_clock_is_behind(give, billing):
    give("usr_1", 28)
    first, form, other = asked(credits="1"), asked(credits="3"), asked(credits="4")
    adjust(billing, again(adjust(billing, first), first))
    with resting_triggers():  # The host of the first act had a clock that was a minute ahead.
        Act.objects.update(created_at=timezone.now() + timedelta(minutes=1))
    page = adjust(billing, form)
    colleague = signed_in(member_of("billing"))
    assert adjust(colleague, again(adjust(colleague, other), other)).status_code == 302
    refused = adjust(billing, again(page, form))
    assert "A colleague has acted on this user" in refused.text
    assert effects(refused) == [("Balance", 33, 36)]


@pytest.mark.django_db(transaction=True)
def test_of_two_colleagues_who_saw_the_same_balance_one_acts(give, billing):
    give("usr_1", 28)
    clients = [billing, signed_in(member_of("billing"))]
    forms = [asked(credits="3") for _ in clients]
    sent = [again(adjust(client, form), form) for client, form in zip(clients, forms, strict=True)]
    calls = [partial(adjust, client, form) for client, form in zip(clients, sent, strict=True)]
    answers = [answer.status_code for answer in at_once(calls)]
    assert sorted(answers) == [200, 302]
    assert funds_of("usr_1").balance == 31


def test_a_grant_and_its_end(give, billing):
    give("usr_1", 28)
    ends = timezone.now() + timedelta(days=2)
    form = asked(
        credits="5",
        shown_reason="Sorry",
        expires_at_0=ends.date().isoformat(),
        expires_at_1=ends.strftime("%H:%M"),
    )
    page = billing.post(address("grant", "usr_1"), form)
    assert effects(page) == [("Balance", 28, 33)]
    assert not Lot.objects.exists()
    assert billing.post(address("grant", "usr_1"), again(page, form)).status_code == 302
    lot = Lot.objects.get()
    form = asked()
    page = billing.post(address("void", lot.pk, "lot"), form)
    assert effects(page) == [("Balance", 33, 28)]
    assert funds_of("usr_1").balance == 33
    sent = again(page, form)
    assert billing.post(address("void", lot.pk, "lot"), sent).status_code == 302
    assert funds_of("usr_1").balance == 28


def test_no_more_of_a_grant_is_removed_than_was_shown(give, billing, article_rate):
    give("usr_1", 28)
    lot = grant("usr_1", 5)
    held = hold("usr_1", 4)
    there, form = address("void", lot.pk, "lot"), asked()
    page = billing.post(there, form)
    assert effects(page) == [("Balance", 33, 32), ("Available", 29, 28)]
    holds.void(user_id="usr_1", hold_id=held.pk, product=None)
    refused = billing.post(there, again(page, form))
    assert "This would now remove 5 credits, and you saw 1" in refused.text
    assert effects(refused) == [("Balance", 33, 28)]
    lot.refresh_from_db()
    assert (lot.voided_at, Act.objects.exists(), funds_of("usr_1").balance) == (None, False, 33)
    sent = again(refused, form)
    assert billing.post(there, sent).status_code == 302
    assert funds_of("usr_1").balance == 28


def test_less_of_a_grant_may_be_removed_than_was_shown(give, billing, article_rate):
    give("usr_1", 28)
    lot = grant("usr_1", 5)
    there, form = address("void", lot.pk, "lot"), asked()
    page = billing.post(there, form)
    assert effects(page) == [("Balance", 33, 28)]
    hold("usr_1", 4)
    assert billing.post(there, again(page, form)).status_code == 302
    assert (
        Act.objects.get().told
        == "Voided a grant of MisarBlog: 1 credit removed; 4 credits kept for open holds."
    )


def test_a_hold_is_voided_after_a_preview(give, billing, article_rate):
    give("usr_1", 28)
    there, form = address("void", hold("usr_1", 4).pk, "hold"), asked()
    page = billing.post(there, form)
    assert effects(page) == [("Available", 24, 28)]
    assert funds_of("usr_1").held == 4
    assert billing.post(there, again(page, form)).status_code == 302
    assert funds_of("usr_1").held == 0


def test_a_refund_of_a_tip_is_recorded_after_a_preview(billing, settings):
    settings.STAFF_REFUND_CENTS_MAX = {"billing": 1000}
    tip = tips.record(
        creator=UserFactory.create(), amount_cents=1000, email="alex@example.com", stripe_payment_id="pi_1"
    )
    kept, fee_returned = tip.net_cents, tip.fee_cents * 400 // 1000
    there = reverse("admin:monetization_tip_refund", args=[quote(tip.pk)])
    form = asked(amount_cents="400")
    page = billing.post(there, form)
    assert effects(page) == [
        ("Left of the tip", 1000, 600),
        ("Kept by the creator", kept, kept - 400 + fee_returned),
    ]
    assert "10.00 USD" in page.text
    assert not Refund.objects.exists()
    assert billing.post(there, again(page, form)).status_code == 302
    assert Refund.objects.get().amount_cents == 400


def test_a_refund_that_the_creator_recorded_after_the_preview_is_not_recorded_twice(billing, settings):
    settings.STAFF_REFUND_CENTS_MAX = {"billing": 1000}
    tip = tips.record(
        creator=UserFactory.create(), amount_cents=1000, email="alex@example.com", stripe_payment_id="pi_1"
    )
    there, form = reverse("admin:monetization_tip_refund", args=[quote(tip.pk)]), asked(amount_cents="400")
    page = billing.post(there, form)
    tips.refund(tip_id=tip.pk, amount_cents=400, key="theirs", actor="user:usr_1")
    refused = billing.post(there, again(page, form))
    assert "This tip was refunded since you saw what would change" in refused.text
    assert effects(refused)[0] == ("Left of the tip", 600, 200)
    assert Refund.objects.count() == 1
    assert billing.post(there, again(refused, form)).status_code == 302
    assert Refund.objects.count() == 2


def test_a_part_of_a_charge_is_given_back(give, billing, article_rate):
    give("usr_1", 28)
    grant("usr_1", 4)
    capture(hold("usr_1", 6))
    charge = Entry.objects.get(kind=Entry.Kind.CAPTURE)
    before = funds_of("usr_1").balance
    form = asked(credits="1")
    page = billing.post(address("give-back", charge.pk, "entry"), form)
    assert effects(page) == [("Balance", before, before + 1)]
    assert billing.post(address("give-back", charge.pk, "entry"), again(page, form)).status_code == 302
    assert funds_of("usr_1").balance == before + 1


def test_credits_that_were_given_back_after_the_preview_are_not_given_back_twice(give, billing):
    give("usr_1", 28)
    charge = charged(6, timezone.now())
    there, form = address("give-back", charge.pk, "entry"), asked(credits="2")
    page = billing.post(there, form)
    give_backs.give_back(entry=charge, credits=2, reason="", key="theirs", actor="service:wsk_1")
    refused = billing.post(there, again(page, form))
    assert "Credits of this charge were given back since you saw what would change" in refused.text
    assert effects(refused) == [("Balance", 24, 26)]
    assert billing.post(there, again(refused, form)).status_code == 302
    assert funds_of("usr_1").balance == 26


def test_an_event_is_resolved_after_a_preview_with_and_without_credits(
    give, billing, deliver, checkout_event
):
    give("usr_2", 28)
    deliver(checkout_event(currency="eur"))
    event = StripeEvent.objects.get()
    page = billing.post(address("resolve", event.pk, "stripeevent"), asked(credits="5", user_id="usr_2"))
    assert effects(page) == [("Balance", 28, 33)]
    assert page.context["original"].state == StripeEvent.State.PARKED
    event.refresh_from_db()
    assert event.state == StripeEvent.State.PARKED
    form = asked()
    page = billing.post(address("resolve", event.pk, "stripeevent"), form)
    assert effects(page) == []
    assert "No credits will move." in page.text
    event.refresh_from_db()
    assert event.state == StripeEvent.State.PARKED
    assert billing.post(address("resolve", event.pk, "stripeevent"), again(page, form)).status_code == 302
    event.refresh_from_db()
    assert event.state == StripeEvent.State.RESOLVED


def test_an_event_is_resolved_without_credits_though_the_form_names_another_user(
    give, billing, deliver, checkout_event
):
    """Without credits the act is about the user of the event, so acts about this user count."""
    deliver(checkout_event(currency="eur"))
    event = StripeEvent.objects.get()
    give(event.user_id, 28)
    adjustment = asked(credits="3")
    adjust(billing, again(adjust(billing, adjustment, event.user_id), adjustment), event.user_id)
    form = asked(user_id="usr_other")
    page = billing.post(address("resolve", event.pk, "stripeevent"), form)
    assert effects(page) == []
    assert billing.post(address("resolve", event.pk, "stripeevent"), again(page, form)).status_code == 302
    event.refresh_from_db()
    assert event.state == StripeEvent.State.RESOLVED


def test_a_refund_of_a_top_up_says_what_the_balance_becomes(billing, pay, settings):
    settings.STAFF_TOPUP_REFUND_CENTS_A_DAY = {"billing": 10_000}
    topup = pay()
    form = asked(amount="10")
    page = billing.post(address("refund", topup.pk, "topup"), form)
    assert effects(page) == [("Balance, once Stripe reports it", 25, 15)]
    assert not RefundRequest.objects.exists()
    assert billing.post(address("refund", topup.pk, "topup"), again(page, form)).status_code == 302
    assert RefundRequest.objects.get().amount_cents == 1000


def test_an_empty_amount_refunds_what_was_shown_even_if_more_is_left_then(
    billing, pay, settings, stand_in, report
):
    settings.STAFF_TOPUP_REFUND_CENTS_A_DAY = {"billing": 10_000}
    topup = pay()
    form = asked(amount="10")
    there = address("refund", topup.pk, "topup")
    stand_in.misbehaves(refunds_pending=True)
    assert billing.post(there, again(billing.post(there, form), form)).status_code == 302
    report(topup)
    form = asked(amount="")
    page = billing.post(there, form)
    assert effects(page) == [("Balance, once Stripe reports it", 15, 0)]
    shown = page.context["form"]["amount"].value()
    assert shown == "15.00"
    stand_in.sandbox.control(f"refunds/{StripeRefund.objects.get().pk}/fail")
    report(topup)
    for _ in range(2):
        assert billing.post(there, again(page, form, amount=shown)).status_code == 302
    assert RefundRequest.objects.latest("created_at").amount_cents == 1500
    assert RefundRequest.objects.count() == 2


def test_a_refund_that_was_made_at_stripe_after_the_preview_is_not_made_twice(
    billing, pay, settings, stand_in, report
):
    settings.STAFF_TOPUP_REFUND_CENTS_A_DAY = {"billing": 10_000}
    topup = pay()
    there, form = address("refund", topup.pk, "topup"), asked(amount="10")
    page = billing.post(there, form)
    assert effects(page) == [("Balance, once Stripe reports it", 25, 15)]
    stand_in.sandbox.control(f"sessions/{topup.stripe_session_id}/refund", amount=1000)
    report(topup)
    refused = billing.post(there, again(page, form))
    assert "Of this payment $15.00 are left, and you saw $25.00" in unescape(refused.text)
    assert effects(refused) == [("Balance, once Stripe reports it", 15, 5)]
    assert not RefundRequest.objects.exists()
    assert billing.post(there, again(refused, form)).status_code == 302
    assert RefundRequest.objects.get().amount_cents == 1000


def test_a_form_that_was_done_is_not_shown_again(billing, give, pay, settings):
    """A browser that goes back shows the form with its old key."""
    settings.STAFF_TOPUP_REFUND_CENTS_A_DAY = {"billing": 10_000}
    give("usr_1", 28)
    for there, form in (
        (address("refund", pay("usr_2").pk, "topup"), asked(amount="10")),
        (address("adjust", "usr_1"), asked(credits="3")),
    ):
        assert billing.post(there, again(billing.post(there, form), form)).status_code == 302
        page = billing.post(there, form)
        assert effects(page) is None
        assert "This form was used already" in page.text


def test_a_preview_locks_a_payment_before_the_wallet_as_a_payment_that_comes_in_does(
    give, billing, deliver, checkout_event, monkeypatch
):
    give("usr_2", 28)
    deliver(checkout_event(currency="eur"))
    there = address("resolve", StripeEvent.objects.get().pk, "stripeevent")
    lock, has_claimed = ledger.lock, []

    def locked(*args, **options):
        has_claimed.append(Payment.objects.exists())
        return lock(*args, **options)

    monkeypatch.setattr(ledger, "lock", locked)
    assert effects(billing.post(there, asked(credits="5", user_id="usr_2"))) == [("Balance", 28, 33)]
    assert all(has_claimed)


@pytest.mark.django_db(transaction=True)
def test_of_two_colleagues_who_refund_two_top_ups_of_a_user_one_sees_the_other(billing, pay, settings):
    settings.STAFF_TOPUP_REFUND_CENTS_A_DAY = {"billing": 10_000}
    calls = []
    for client in (billing, signed_in(member_of("billing"))):
        there = address("refund", pay().pk, "topup")
        calls.append((client, there, asked(amount="10")))
    sent = [
        partial(client.post, there, again(client.post(there, form), form)) for client, there, form in calls
    ]
    answers = at_once(sent)
    assert sorted(answer.status_code for answer in answers) == [200, 302]
    [refused] = [answer for answer in answers if answer.status_code == 200]
    assert "A colleague has acted on this user" in refused.text
    assert RefundRequest.objects.count() == Act.objects.count() == 1
