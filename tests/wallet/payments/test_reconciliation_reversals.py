"""Refunds, disputes and balance transactions of Stripe against what the books have of them."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from tests.wallet import by_hand
from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from wallet.books import laws, ledger
from wallet.books.funds import available_of
from wallet.models import StripeDispute, StripeEvent, StripeRefund, TopUp
from wallet.payments import reversals, stripe_lists

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_on_its_way")]


def reconcile(*options):
    out = StringIO()
    try:
        call_command("reconcile_stripe", "--json", "--since", "1d", *options, stdout=out)
    except SystemExit as end:
        return end.code, json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def found(*options):
    """The kind and the object of each finding."""
    return {(each["kind"], each["stripe_id"]) for each in reconcile(*options)[1]["findings"]}


def is_clean():
    assert laws.violations() == []
    for options in ((), ("--apply",)):
        code, report = reconcile(*options)
        assert (code, report["findings"]) == (0, [])
    return True


@pytest.fixture
def paid(stand_in, start_topup, deliver):
    """usr_1 paid $25 and has 25 credits."""
    topup = start_topup("usr_1", 25)
    stand_in.happens("pay", topup.stripe_session_id)
    for event in stand_in.events(topup.stripe_session_id):
        deliver(event)
    return TopUp.objects.get()


@pytest.fixture
def happens(stand_in, paid):
    """Something happens to the payment, a refund or a dispute of it; the object at Stripe."""

    def happen(verb: str, of: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
        path = f"sessions/{paid.stripe_session_id}"
        if of is not None:
            path = f"{of['object']}s/{of['id']}"
        return stand_in.sandbox.control(f"{path}/{verb}", **body)

    return happen


def delivered(stand_in, deliver, *types):
    """Deliver the events of these types; all others are lost."""
    for event in stand_in.events(TopUp.objects.get().stripe_session_id):
        if event["type"] in types:
            assert deliver(event).status_code == 200


# --- Refunds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["succeeded", "pending", "requires_action"])
def test_a_refund_whose_events_were_lost(happens, status):
    refund = happens("refund", amount=1050, status=status)
    assert found() == {("reversal", refund["id"])}
    assert not StripeRefund.objects.exists()
    assert found("--apply") == {("followed", refund["id"])}
    assert available_of("usr_1") == 14
    assert is_clean()


def test_a_refund_that_failed_after_its_first_event(happens, stand_in, deliver):
    refund = happens("refund", amount=500)
    delivered(stand_in, deliver, "refund.created")
    assert available_of("usr_1") == 20
    happens("fail", refund)
    assert found() == {("reversal", refund["id"])}
    assert found("--apply") == {("followed", refund["id"])}
    assert available_of("usr_1") == 25
    assert is_clean()


def test_a_refund_of_which_only_the_charge_reported(happens, stand_in, deliver):
    """The credits are right, and yet a failure of the refund would not be noticed."""
    refund = happens("refund", amount=500)
    delivered(stand_in, deliver, "charge.refunded")
    assert available_of("usr_1") == 20
    assert found() == {("reversal", refund["id"])}
    assert found("--apply") == {("followed", refund["id"])}
    assert available_of("usr_1") == 20
    assert is_clean()


def test_a_status_without_money_is_updated_and_is_no_finding(happens, stand_in, deliver):
    """Stripe does not say when it changed, so its event may be on its way."""
    refund = happens("refund", amount=500, status="pending")
    delivered(stand_in, deliver, "refund.created")
    happens("succeed", refund)
    assert found() == set()
    assert found("--apply") == {("updated", refund["id"])}
    assert StripeRefund.objects.get().status == "succeeded"
    assert is_clean()


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("change", ["amount_cents = 100", "status = 'failed'"])
def test_a_stored_refund_that_was_changed(happens, stand_in, deliver, change):
    refund = happens("refund", amount=500)
    delivered(stand_in, deliver, "refund.created")
    sql(f"UPDATE wallet_striperefund SET {change}")
    assert found() == {("reversal", refund["id"])}
    # A refund that has ended stays so: a person must decide about the second one.
    stays = "failed" in change
    assert found("--apply") == {("reversal" if stays else "followed", refund["id"])}


@pytest.mark.breaks_the_books
def test_credits_that_do_not_follow_a_stored_refund(happens, stand_in, deliver, paid):
    refund = happens("refund", amount=500)
    delivered(stand_in, deliver, "refund.created")
    with resting_triggers():
        sql("DELETE FROM wallet_entry WHERE kind = 'clawback'")
        sql("UPDATE wallet_wallet SET balance = 25, entries_count = 1")
    assert found() == {("reversal", refund["id"])}
    assert found("--apply") == {("followed", refund["id"])}
    assert available_of("usr_1") == 20
    assert is_clean()


@pytest.mark.breaks_the_books
def test_what_stripe_does_not_know_is_an_orphan(paid):
    ended = {"happened_at": timezone.now()}
    made_up = {
        "payment_intent": paid.payment_intent_id,
        "currency": "usd",
        "amount": 300,
        "status": "succeeded",
    }
    reversals.refund(made_up | {"id": "re_made_up"}, **ended)
    moves = [{"id": "txn_made_up", "amount": -200, "currency": "usd"}]
    reversals.dispute(made_up | {"id": "dp_made_up", "balance_transactions": moves}, **ended)
    assert available_of("usr_1") == 20
    orphans = {("orphan", "re_made_up"), ("orphan", "dp_made_up")}
    assert found() == found("--apply") == orphans
    assert available_of("usr_1") == 20
    assert all(each["user_id"] == "usr_1" for each in reconcile()[1]["findings"])


@pytest.mark.breaks_the_books
def test_a_movement_that_stripe_does_not_know_is_an_orphan(happens, stand_in, deliver):
    dispute = happens("dispute")
    delivered(stand_in, deliver, "charge.dispute.funds_withdrawn")
    movements = StripeDispute.objects.get().movements | {"txn_made_up": 1000}
    StripeDispute.objects.update(movements=movements)
    assert ("orphan", dispute["id"]) in found()
    assert ("orphan", dispute["id"]) in found("--apply")


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("kind", ["clawback", "reinstatement"])
def test_a_move_without_a_refund_or_a_dispute_is_an_orphan(paid, kind):
    move = ledger.claw_back if kind == "clawback" else ledger.reinstate
    entry = move(
        user_id="usr_1", credits=5, actor="stripe", product="blog", stripe_session_id=paid.stripe_session_id
    )
    assert found() == found("--apply") == {("orphan", entry.pk)}


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("real_cents", [0, 100])
def test_a_clawback_for_more_than_stripe_refunded_is_an_orphan(happens, stand_in, deliver, paid, real_cents):
    """The books say that the charge reported it, so no law is broken."""
    if real_cents:
        happens("refund", amount=real_cents)
        delivered(stand_in, deliver, "refund.created")
    made_up = {"id": "ch_1", "payment_intent": paid.payment_intent_id, "currency": "usd"}
    reversals.charge(made_up | {"amount_refunded": 2000}, happened_at=timezone.now())
    assert available_of("usr_1") == 5
    assert laws.violations() == []
    assert found() == found("--apply") == {("orphan", paid.payment_intent_id)}


def test_what_the_books_follow_while_a_page_is_compared_is_no_finding(
    happens, stand_in, deliver, monkeypatch
):
    """The page still has the refund as pending; its failure came in meanwhile."""
    refund = happens("refund", amount=500, status="pending")
    delivered(stand_in, deliver, "refund.created")
    pages = stripe_lists.pages

    def and_then_it_fails(kind, **period):
        for page in pages(kind, **period):
            if kind is stripe_lists.REFUNDS:
                happens("fail", refund)
                delivered(stand_in, deliver, "refund.failed")
            yield page

    monkeypatch.setattr(stripe_lists, "pages", and_then_it_fails)
    assert found() == set()
    assert available_of("usr_1") == 25


# --- Disputes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "win", "lose", "win_part"])
def test_a_dispute_whose_events_were_lost(happens, ending):
    dispute = happens("dispute")
    if ending:
        happens(ending, dispute, **({"amount": 1000} if ending == "win_part" else {}))
    assert found() == {("reversal", dispute["id"])}
    assert found("--apply") == {("followed", dispute["id"])}
    assert available_of("usr_1") == {"": 0, "win": 25, "lose": 0, "win_part": 10}[ending]
    assert is_clean()


def test_a_dispute_that_was_won_after_its_first_events(happens, stand_in, deliver):
    dispute = happens("dispute")
    delivered(stand_in, deliver, "charge.dispute.created", "charge.dispute.funds_withdrawn")
    assert available_of("usr_1") == 0
    happens("win", dispute)
    assert found() == {("reversal", dispute["id"])}
    assert found("--apply") == {("followed", dispute["id"])}
    assert available_of("usr_1") == 25
    assert is_clean()


def test_an_inquiry_moves_no_money_and_is_no_finding(happens):
    inquiry = happens("dispute", kind="inquiry")
    assert found() == set()
    assert found("--apply") == {("updated", inquiry["id"])}
    happens("close", inquiry)
    assert found() == set()
    assert found("--apply") == {("updated", inquiry["id"])}
    assert StripeDispute.objects.get().status == "warning_closed"
    assert is_clean()


# --- A payment intent that came late -----------------------------------------------------------------


def test_a_payment_intent_that_no_event_named_is_added_with_its_refunds(stand_in, deliver):
    session_id = stand_in.paid_session()
    refund = stand_in.sandbox.control(f"sessions/{session_id}/refund", amount=500)
    for event in stand_in.events(session_id):
        event["data"]["object"] |= {"payment_intent": None}
        deliver(event)
    assert available_of("usr_1") == 25
    assert found() == {("payment", session_id)}
    assert found("--apply") == {("updated", session_id), ("followed", refund["id"])}
    assert available_of("usr_1") == 20
    assert is_clean()


# --- On its way, by hand, not ours ------------------------------------------------------------------


def test_what_happened_in_the_last_minutes_is_on_its_way(happens, stand_in, start_topup, monkeypatch):
    monkeypatch.undo()  # Of the fixture nothing_on_its_way.
    refund = happens("refund", amount=500)
    dispute = happens("dispute", amount=300)
    waiting = start_topup("usr_2")
    stand_in.happens("pay", waiting.stripe_session_id)
    late = start_topup("usr_3")
    stand_in.happens("pay_later", late.stripe_session_id)
    stand_in.paid_session(currency="eur", user_id="usr_4")
    code, report = reconcile()
    assert (code, report["findings"], report["on_their_way"]) == (0, [], 5)
    kinds = {each["user_id"]: each["kind"] for each in reconcile("--apply")[1]["findings"]}
    assert kinds == {"usr_1": "followed", "usr_2": "credited", "usr_3": "updated", "usr_4": "parked"}
    assert StripeRefund.objects.get().pk == refund["id"]
    assert StripeDispute.objects.get().pk == dispute["id"]
    assert available_of("usr_1") == 17


@pytest.fixture
def settle_by_hand(stand_in, deliver):
    """A payment that staff resolve by hand; its session."""

    def resolve(credits):
        session_id = stand_in.paid_session(currency="eur")
        for event in stand_in.events(session_id):
            deliver(event)
        parked = StripeEvent.objects.get(state="parked")
        user = {"user_id": "usr_1", "credits": credits} if credits else {}
        by_hand.resolve(parked, reason="Paid in euros", key="f" * 32, actor="user:staff:ada", **user)
        return stand_in.session(session_id)

    return resolve


def test_the_refund_of_a_payment_that_was_credited_by_hand_is_parked(settle_by_hand, stand_in, deliver):
    session = settle_by_hand(20)
    refund = stand_in.sandbox.control(f"sessions/{session['id']}/refund", amount=500)
    assert found() == found("--apply") == {("parked", refund["id"])}
    for event in stand_in.events(session["id"]):
        deliver(event)
    for parked in StripeEvent.objects.filter(state="parked"):
        by_hand.resolve(parked, reason="Taken back", key=parked.pk, actor="user:staff:ada")
    assert found() == found("--apply") == set()
    assert available_of("usr_1") == 20


def test_the_refund_of_a_payment_that_was_closed_by_hand_is_no_finding(settle_by_hand, stand_in):
    session = settle_by_hand(None)
    stand_in.sandbox.control(f"sessions/{session['id']}/refund", amount=500)
    assert found() == found("--apply") == set()


def test_refunds_and_disputes_of_others_are_not_ours(stand_in, deliver):
    session_id = stand_in.paid_session(type="tip")
    stand_in.sandbox.control(f"sessions/{session_id}/refund", amount=500)
    stand_in.sandbox.control(f"sessions/{session_id}/dispute")
    code, report = reconcile("--apply")
    assert (code, report["findings"], report["unknown"]) == (0, [], {})
    assert not StripeRefund.objects.exists()
    # The webhook keeps them, in case a top-up is reported later. They are no orphans either.
    for event in stand_in.events(session_id):
        deliver(event)
    assert StripeRefund.objects.exists()
    code, report = reconcile("--apply")
    assert (code, report["findings"]) == (0, [])


@pytest.mark.breaks_the_books
def test_a_top_up_of_another_origin_is_counted_and_said(stand_in, give):
    entry = give("usr_1", 25, session_id="cs_test_never_was")
    with resting_triggers():
        TopUp.objects.filter(entry=entry).update(origin="recharge")
    code, report = reconcile()
    assert (code, report["findings"]) == (0, [])
    assert report["unknown"] == {"top-ups that began as recharge": 1}
    out = StringIO()
    call_command("reconcile_stripe", "--since", "1d", stdout=out)
    assert out.getvalue().endswith("Not compared, because unknown here: 1 top-ups that began as recharge.\n")
    assert [violation.subject for violation in laws.violations()] == [entry.pk]
