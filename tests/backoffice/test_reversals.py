"""What staff see of refunds and disputes: lists, a top-up, a user, the overview, the find box, events."""

import ast
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from backoffice.credits import parked, reversals
from backoffice.find import search
from backoffice.overview import attention
from tests.backoffice.members import member_of, signed_in
from tests.backoffice.overviews import behind
from tests.backoffice.refunds import form_of, page_of, send, spend
from tests.source import ROOT
from tests.wallet import by_hand
from tests.wallet.resting import resting_triggers
from wallet.books.funds import available_of
from wallet.models import Entry, RefundRequest, StripeDispute, StripeEvent, StripeRefund, TopUp
from wallet.payments import handlers

pytestmark = pytest.mark.django_db

LISTS = {
    model: reverse(f"admin:wallet_{model._meta.model_name}_changelist")
    for model in (StripeRefund, StripeDispute, RefundRequest)
}


def happens(stand_in, what, topup, **body):
    return stand_in.sandbox.control(f"sessions/{topup.stripe_session_id}/{what}", **body)


def refund_of(**fields):
    now = timezone.now()
    return StripeRefund(
        **{"id": "re_1", "payment_intent_id": "pi_1", "amount_cents": 1000, "created_at": now}
        | {"reported_at": now, "status": "succeeded"}
        | fields
    )


def dispute_of(**fields):
    now = timezone.now()
    return StripeDispute(
        **{"id": "dp_1", "payment_intent_id": "pi_1", "amount_cents": 2500, "created_at": now}
        | {"reported_at": now, "status": "needs_response"}
        | fields
    )


# --- In plain words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (refund_of(), "Refunded $10.00"),
        (refund_of(status="pending"), "Refund of $10.00 pending"),
        (refund_of(status="requires_action"), "Refund of $10.00 waits for the user's bank details"),
        (refund_of(status="failed"), "Refund of $10.00 failed"),
        (refund_of(status="canceled"), "Refund of $10.00 cancelled"),
        (refund_of(status="of_tomorrow"), "Refund of $10.00 of_tomorrow"),
        (dispute_of(), "Disputed $25.00, no money withdrawn"),
        (dispute_of(movements={"t1": -2500}), "Disputed $25.00, money withdrawn"),
        (dispute_of(status="lost", movements={"t1": -2500}), "Dispute of $25.00 lost, money withdrawn"),
        (
            dispute_of(status="lost", movements={"t1": -2500, "t2": 1000}),
            "Dispute of $25.00 lost, $10.00 of it returned",
        ),
        (
            dispute_of(status="won", movements={"t1": -2500, "t2": 2500}),
            "Dispute of $25.00 won, money returned",
        ),
        (dispute_of(status="won"), "Dispute of $25.00 won, no money withdrawn"),
        (dispute_of(status="warning_needs_response"), "Inquiry about $25.00, no money withdrawn"),
        (dispute_of(status="prevented"), "Dispute of $25.00 prevented"),
    ],
)
def test_refunds_and_disputes_are_sentences(row, words):
    assert reversals.in_words(row) == words


# --- A top-up and its user ----------------------------------------------------------------------------


def test_a_top_up_shows_what_became_of_its_payment(stand_in, pay, report, staff):
    topup = pay()
    happens(stand_in, "refund", topup, amount=500)
    happens(stand_in, "refund", topup, amount=300, status="pending")
    report(topup)
    page = staff.get(page_of(topup, "change"))
    standing = page.context["standing"]
    assert (standing.reported.refunded_cents, standing.reported.pending_cents) == (500, 300)
    assert standing.left_cents == 1700
    assert {"Refunded $5.00", "Refund of $3.00 pending"} == {
        each.sentence for each in page.context["refunds"]
    }
    assert [entry.kind for entry in page.context["entries"]] == ["clawback", "clawback", "topup"]
    types = {event.type for event in page.context["events"]}
    assert {"checkout.session.completed", "refund.created", "charge.refunded"} <= types


def test_a_disputed_payment_on_the_pages_of_its_top_up_and_its_user(stand_in, pay, report, staff):
    topup = pay()
    spend(10)
    dispute = happens(stand_in, "dispute", topup)
    report(topup)
    shown = "Disputed $25.00, money withdrawn"
    page = staff.get(page_of(topup, "change"))
    assert shown in page.text
    assert page.context["standing"].left_cents == 0
    user = staff.get(reverse("admin:one_user", args=["usr_5F1"]))
    assert shown in user.text
    assert "Owes" in user.text
    types = {event.type for event in user.context["payments"][0].events}
    assert "charge.dispute.funds_withdrawn" in types
    row = staff.get(page_of(StripeDispute.objects.get(pk=dispute["id"]), "change")).text
    assert "The bank took the money, and its credits were taken back." in row
    assert "Answer it in Stripe&#x27;s dashboard." in row


def test_a_request_without_an_answer_is_on_the_users_page(give, staff):
    give("usr_1", 25)
    by_hand.request_refund(
        topup=TopUp.objects.get(), amount_cents=1000, reason="r", actor="user:x", form_key="k"
    )
    user = staff.get(reverse("admin:one_user", args=["usr_5F1"]))
    assert "Refund of $10.00 asked for, no answer from Stripe yet" in user.text


def test_the_users_page_runs_as_many_queries_for_ten_payments_as_for_two(give, staff):
    def queries():
        with CaptureQueriesContext(connection) as asked:
            assert staff.get(reverse("admin:one_user", args=["usr_5F1"])).status_code == 200
        return len(asked)

    for _ in range(2):
        give("usr_1", 25)
    few = queries()
    for _ in range(8):
        give("usr_1", 25)
    assert queries() == few


# --- The lists ----------------------------------------------------------------------------------------


@pytest.fixture
def reversed_twice(stand_in, pay, report):
    """Two users: the payment of one was refunded in part, that of the other is disputed."""
    one, two = pay(), pay(user_id="usr_2")
    happens(stand_in, "refund", one, amount=500)
    happens(stand_in, "dispute", two)
    for topup in (one, two):
        report(topup)
    return one, two


def found(client, model, **query):
    answer = client.get(LISTS[model], query)
    assert answer.status_code == 200
    return [row.pk for row in answer.context["cl"].result_list]


@pytest.mark.parametrize("role", ["support", "billing", "admin"])
def test_each_role_sees_the_lists_with_users_and_top_ups(reversed_twice, role):
    one, two = reversed_twice
    client = signed_in(member_of(role))
    for model, topup in ((StripeRefund, one), (StripeDispute, two)):
        page = client.get(LISTS[model]).text
        assert topup.user_id in page
        assert topup.pk in page
        of_row = client.get(page_of(model.objects.get(), "change")).text
        assert topup.user_id in of_row
        assert f"/test/payments/{topup.payment_intent_id}" in of_row


def test_the_lists_are_searched_by_whole_ids(reversed_twice, staff):
    one, two = reversed_twice
    for model, topup in ((StripeRefund, one), (StripeDispute, two)):
        row = model.objects.get()
        for term in (row.pk, row.charge_id, topup.payment_intent_id, topup.user_id, topup.pk):
            assert found(staff, model, q=term) == [row.pk], term
        for term in (row.pk[:-1], "usr_3", "pi_"):
            assert found(staff, model, q=term) == [], term


def test_the_lists_are_filtered_by_status(staff):
    for number, status in enumerate(["succeeded", "pending", "failed"]):
        refund_of(id=f"re_{number}", status=status).save()
    for number, status in enumerate(["needs_response", "warning_needs_response", "won", "lost"]):
        dispute_of(id=f"dp_{number}", status=status).save()
    assert found(staff, StripeRefund, status__exact="pending") == ["re_1"]
    assert found(staff, StripeDispute, status__exact="lost") == ["dp_3"]
    assert set(found(staff, StripeDispute, status__exact="unanswered")) == {"dp_0", "dp_1"}
    page = staff.get(LISTS[StripeDispute]).text
    assert "Inquiry, needs an answer" in page


def test_a_refund_of_no_top_up_says_so(staff):
    refund_of().save()
    page = staff.get(page_of(StripeRefund.objects.get(), "change")).text
    assert "No top-up that was credited automatically" in page


def test_a_request_is_listed_with_its_refund(pay, report, staff):
    topup = pay()
    send(staff, topup, amount="5")
    report(topup)
    requested = RefundRequest.objects.get()
    assert found(staff, RefundRequest, q="usr_1") == [requested.pk]
    assert found(staff, RefundRequest, q=topup.pk) == [requested.pk]
    assert found(staff, RefundRequest, state__exact="asking") == []
    page = staff.get(page_of(requested, "change")).text
    assert page_of(StripeRefund.objects.get(), "change") in page
    assert page_of(requested, "change") in staff.get(page_of(StripeRefund.objects.get(), "change")).text


@pytest.mark.parametrize("model", [StripeRefund, StripeDispute])
def test_a_list_runs_as_many_queries_for_many_rows_as_for_few(staff, model):
    make = refund_of if model is StripeRefund else dispute_of

    def queries():
        with CaptureQueriesContext(connection) as asked:
            found(staff, model)
        return len(asked)

    make(id="x_0").save()
    few = queries()
    for number in range(1, 30):
        make(id=f"x_{number}", payment_intent_id=f"pi_{number}").save()
    assert queries() == few


# --- The find box -------------------------------------------------------------------------------------


def test_ids_of_refunds_disputes_and_their_charges_lead_to_the_user(reversed_twice):
    for model, user_id in ((StripeRefund, "usr_1"), (StripeDispute, "usr_2")):
        row = model.objects.get()
        for term in (row.pk, row.charge_id):
            single = search.look(term, may=lambda permission: True).single
            assert single, term
            assert (single.about, single.row) == (user_id, row)


def test_the_id_of_a_request_leads_to_the_user(give):
    give("usr_1", 25)
    requested = by_hand.request_refund(
        topup=TopUp.objects.get(), amount_cents=1000, reason="r", actor="user:x", form_key="k"
    )
    match = search.look(requested.pk, may=lambda permission: True).single
    assert match
    assert (match.about, match.says) == ("usr_1", "No answer from Stripe yet, $10.00")


def test_the_page_of_the_user_names_the_refund_that_was_found(reversed_twice, staff):
    refund = StripeRefund.objects.get()
    answer = staff.post(reverse("admin:find"), {"sought": refund.pk}, follow=True)
    assert "Stripe refund" in answer.text
    assert "Refunded $5.00" in answer.text


# --- The overview -------------------------------------------------------------------------------------


def line_about(words):
    all_lines = attention.lines(at=timezone.now(), sees=lambda permission: True)
    return next((line for line in all_lines if words in line.sentence), None)


def test_a_dispute_says_when_our_answer_is_due_while_the_bank_waits_for_one(stand_in, pay, report, staff):
    topup = pay()
    dispute = happens(stand_in, "dispute", topup)
    report(topup)
    stored = StripeDispute.objects.get()
    assert stored.due_at == datetime.fromtimestamp(dispute["evidence_details"]["due_by"], tz=UTC)
    page = reverse("admin:wallet_stripedispute_changelist")
    due = f"{stored.due_at.day} {stored.due_at:%b %Y}"
    assert due in staff.get(page).text
    StripeDispute.objects.update(status="under_review")
    assert due not in staff.get(page).text


def test_the_overview_says_how_many_users_owe_how_much(stand_in, pay, report, staff):
    assert line_about("owe") is None
    topups = [pay(user_id=f"usr_{number}") for number in range(3)]
    for topup, credits in zip(topups, (10, 5, 0), strict=True):
        if credits:
            spend(credits, topup.user_id)
        happens(stand_in, "refund", topup)
        report(topup)
    line = line_about("owe")
    assert line.sentence == "2 users owe 15 credits in total."
    assert {wallet.pk for wallet in behind(staff, line.url)} == {"usr_0", "usr_1"}


def test_the_overview_leads_to_disputes_that_need_an_answer(staff):
    for number, status in enumerate(["needs_response", "warning_needs_response", "under_review", "lost"]):
        dispute_of(id=f"dp_{number}", status=status).save()
    line = line_about("dispute")
    assert line.sentence == "2 disputes need an answer."
    assert line.what_to_do.endswith("or the money is lost.")
    StripeDispute.objects.filter(pk="dp_1").update(due_at=datetime(2026, 12, 8, 23, 59, tzinfo=UTC))
    assert line_about("dispute").what_to_do.endswith("; the next one is on 8 Dec 2026.")
    assert {row.pk for row in behind(staff, line.url)} == {"dp_0", "dp_1"}


def test_the_overview_leads_to_refunds_without_an_answer(give, staff):
    give("usr_1", 25)
    requested = by_hand.request_refund(
        topup=TopUp.objects.get(), amount_cents=1000, reason="r", actor="user:x", form_key="k"
    )
    assert line_about("no answer from Stripe") is None  # It was asked for just now.
    with resting_triggers():
        RefundRequest.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    line = line_about("no answer from Stripe")
    assert line.sentence == "1 refund has no answer from Stripe."
    assert list(behind(staff, line.url)) == [requested]


# --- Events -------------------------------------------------------------------------------------------


def event_of(**fields):
    return StripeEvent.objects.create(
        **{"id": "evt_1", "type": "charge.refunded", "state": "parked"} | fields
    )


def test_events_of_an_earlier_release_can_be_handled_again(stand_in, pay, staff):
    topup = pay()
    happens(stand_in, "refund", topup, amount=1000)
    [sent] = [each for each in stand_in.events(topup.stripe_session_id) if each["type"] == "charge.refunded"]

    event = event_of(
        id=sent["id"],
        state="kept",
        payload=json.dumps(sent),
        payment_intent_id=topup.payment_intent_id,
        user_id="usr_1",
    )
    line = line_about("earlier release")
    assert line.sentence == "An earlier release only stored 1 Stripe event."
    assert list(behind(staff, line.url)) == [event]
    for page in (page_of(event, "change"), reverse("admin:one_user", args=["usr_5F1"])):
        assert "An earlier release stored it" in staff.get(page).text
    assert staff.post(page_of(event, "replay"), form_of()).status_code == 302
    assert available_of("usr_1") == 15
    event.refresh_from_db()
    assert event.state == "handled"
    assert parked.what_to_do(event) == ""


def reasons():
    """Every reason for which the code parks an event, with its values left out."""
    for path in sorted((ROOT / "wallet/payments").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Parked":
                yield node.args[0]
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                if ast.unparse(node.value.elts[0]) == "State.PARKED":
                    yield node.value.elts[1]


def test_each_reason_for_which_an_event_is_parked_has_its_advice():
    named = {
        "BY_HAND": "were given by hand",
        "RESOLVED": "was resolved by hand before",
        "MOVED": "for another payment",
    }
    unreadable = (
        *("has no id", "amount_total is not", "is no list", "is not an integer", "not a possible amount"),
        *("livemode is neither", "differ in livemode", "for another payment", "It is no "),
    )
    seen = 0
    for node in reasons():
        text = named.get(ast.unparse(node)) or ast.unparse(node)
        if text == "str(parked)":
            continue
        seen += 1
        has_advice = any(part in text for part, _ in parked.ADVICE)
        assert has_advice or any(part in text for part in unreadable), text
    assert seen > 20


def test_an_event_page_says_what_to_do(staff):
    event = event_of(remark="It is not in US dollars.")
    text = staff.get(page_of(event, "change")).text
    assert "Look in Stripe&#x27;s dashboard how much went back." in text
    assert "Look in Stripe&#x27;s dashboard how much went back." in staff.get(page_of(event, "resolve")).text


def test_the_form_shows_what_was_reported_of_the_payment_before_staff_decide(staff):
    now = timezone.now()
    StripeRefund.objects.create(
        id="re_1",
        payment_intent_id="pi_1",
        amount_cents=1000,
        status="succeeded",
        created_at=now,
        reported_at=now,
    )
    event = event_of(
        type="checkout.session.completed",
        payment_intent_id="pi_1",
        remark="The payment is not in US dollars.",
    )
    assert "Refunded $10.00" in staff.get(page_of(event, "resolve")).text


def test_a_parked_refund_or_dispute_offers_no_credits(staff):
    for number, kind in enumerate(handlers.HANDLERS):
        event = event_of(id=f"evt_{number}", type=kind, remark="It is not in US dollars.")
        fields = staff.get(page_of(event, "resolve")).context["form"].fields
        assert ("credits" in fields) == (kind in handlers.OF_SESSIONS), kind
    event = event_of(id="evt_a", remark="It is not in US dollars.")
    page = staff.get(page_of(event, "resolve")).text
    assert "moves no credits" in page
    form = form_of(credits="5", user_id="usr_1")
    assert staff.post(page_of(event, "resolve"), form).status_code == 302
    event.refresh_from_db()
    assert (event.state, Entry.objects.exists()) == ("resolved", False)


def test_the_filter_of_events_offers_each_type_that_is_handled(staff):
    page = staff.get(reverse("admin:wallet_stripeevent_changelist")).text
    for kind in handlers.HANDLERS:
        assert re.search(rf">\s*{re.escape(kind)}\s*<", page), kind
