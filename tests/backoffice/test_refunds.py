"""Staff refund a top-up through Stripe: the form, what Stripe answers, and when the books move."""

import pytest

from accounts.models import Act
from backoffice.credits import refunds
from foundation import erased_texts
from tests.backoffice.members import member_of, ready, signed_in
from tests.backoffice.refunds import errors_of, form_of, page_of, refunds_at, send, spend
from tests.crowd import at_once, locked_by_another
from tests.factories import StaffFactory
from tests.scripted_server import content, json_of
from tests.wallet import by_hand
from tests.wallet.conftest import forget_the_client
from tests.wallet.granted import grant
from tests.wallet.resting import resting_triggers
from wallet.books.funds import available_of
from wallet.models import RefundRequest, StripeDispute, StripeRefund, TopUp
from wallet.payments import refund_requests

pytestmark = pytest.mark.django_db

DEBT = "This refund takes back 25 credits. The user has 5, so it leaves a debt of 20 credits."
UNANSWERED = "Stripe has not answered, so the refund may have been made or not."


@pytest.fixture
def billing():
    return signed_in(member_of("billing"))


# --- The way of a refund ------------------------------------------------------------------------------


def test_the_books_move_when_stripe_reports_the_refund(stand_in, pay, billing, report):
    topup = pay()
    assert send(billing, topup, amount="10").status_code == 302
    requested = RefundRequest.objects.get()
    assert (requested.state, requested.amount_cents, requested.topup_id) == ("made", 1000, topup.pk)
    assert [refund["id"] for refund in refunds_at(stand_in, topup)] == [requested.stripe_refund_id]
    assert available_of("usr_1") == 25
    assert "Stripe refunds $10.00." in billing.get(page_of(topup, "change")).text
    act = Act.objects.get()
    assert (act.told, act.about, act.row_id) == ("Asked Stripe to refund $10.00.", "usr_1", topup.pk)
    report(topup)
    assert available_of("usr_1") == 15
    assert StripeRefund.objects.get().pk == requested.stripe_refund_id
    assert send(billing, topup, amount="").status_code == 302
    report(topup)
    assert available_of("usr_1") == 0
    assert sum(refund["amount"] for refund in refunds_at(stand_in, topup)) == 2500


def test_a_refund_that_waits_takes_the_credits_and_one_that_fails_gives_them_back(
    stand_in, pay, billing, report
):
    topup = pay()
    stand_in.misbehaves(refunds_pending=True)
    send(billing, topup, amount="10")
    report(topup)
    assert available_of("usr_1") == 15
    assert "Refund of $10.00 pending" in billing.get(page_of(topup, "change")).text
    stand_in.sandbox.control(f"refunds/{StripeRefund.objects.get().pk}/fail")
    report(topup)
    assert available_of("usr_1") == 25
    page = billing.get(page_of(topup, "change")).text
    assert "Refund of $10.00 failed" in page
    assert "Reinstatement" in page


@pytest.mark.parametrize(
    ("written", "cents"),
    [("10", 1000), ("$10", 1000), (" 10.5 ", 1050), ("0.01", 1), ("1,000.00", 100_000), ("", 200_000)],
)
def test_an_amount_is_written_in_dollars_with_cents(stand_in, pay, staff, written, cents):
    topup = pay(dollars=2000)
    assert send(staff, topup, amount=written, debt="0").status_code == 302
    assert RefundRequest.objects.get().amount_cents == cents


@pytest.mark.parametrize(
    "written",
    ["0", "0.00", "-1", "12,5", "1,00.00", "1e3", "10.555", ".5", "1 0", "ten", "1234567", "\u0663"],
)
def test_an_amount_that_cannot_be_meant_is_refused(staff, give, written):
    give("usr_1", 25)
    topup = TopUp.objects.get()
    answer = send(staff, topup, amount=written)
    assert answer.context["form"].errors["amount"] == ["Enter an amount in US dollars, such as 10 or 10.50."]
    assert not RefundRequest.objects.exists()


def test_no_more_than_is_left_is_asked_for(pay, billing):
    topup = pay()
    assert errors_of(send(billing, topup, amount="25.01")) == ["$25.00 is left to refund"]
    assert send(billing, topup, amount="15").status_code == 302  # Stripe has not reported it yet.
    assert errors_of(send(billing, topup, amount="10.01")) == ["$10.00 is left to refund"]
    assert send(billing, topup, amount="").status_code == 302
    assert sorted(RefundRequest.objects.values_list("amount_cents", flat=True)) == [1000, 1500]
    assert billing.get(page_of(topup)).status_code == 404
    assert errors_of(send(billing, topup, amount="")) == ["Nothing is left to refund"]


def test_the_form_shows_what_a_full_refund_does(pay, billing, report):
    topup = pay()
    send(billing, topup, amount="10.50")
    report(topup)
    spend(9)
    facts = dict(billing.get(page_of(topup)).context["facts"])
    assert {name: value for name, value in facts.items() if value} == {
        "Paid": "$25.00",
        "Refunded": "$10.50",
        "Left to refund": "$14.50",
        "Available": "5 credits",
        "A full refund takes back": "14 credits",
        "And leaves a debt of": "9 credits",
    }


# --- A debt -------------------------------------------------------------------------------------------


def test_a_refund_that_leaves_a_debt_asks_first(pay, billing, report):
    topup = pay()
    spend(20)
    form = form_of(amount="25")
    answer = billing.post(page_of(topup), form)
    assert errors_of(answer) == [DEBT]
    assert "Nothing has changed yet." in answer.text
    assert not RefundRequest.objects.exists()
    shown = answer.context["form"]
    assert (shown["debt"].value(), shown["accept_debt"].value()) == ("20", False)
    # Without the tick, the form comes back.
    assert errors_of(billing.post(page_of(topup), form | {"debt": "20"})) == [DEBT]
    assert billing.post(page_of(topup), form | {"debt": "20", "accept_debt": "on"}).status_code == 302
    report(topup)
    assert available_of("usr_1") == -20


def test_granted_credits_do_not_lessen_the_debt(pay, billing):
    """A refund takes back paid credits only."""
    topup = pay()
    spend(20)
    grant("usr_1", 40)
    assert errors_of(billing.post(page_of(topup), form_of(amount="25"))) == [DEBT]


def test_a_debt_that_has_grown_since_is_asked_about_again(pay, billing):
    topup = pay()
    spend(20)
    form = form_of(amount="25", debt="20", accept_debt="on")
    spend(5)
    grown = "This refund takes back 25 credits. The user has 0, so it leaves a debt of 25 credits."
    answer = billing.post(page_of(topup), form)
    assert errors_of(answer) == [grown]
    assert answer.context["form"]["debt"].value() == "25"
    assert not answer.context["form"]["accept_debt"].value()
    assert not RefundRequest.objects.exists()


def test_what_stripe_has_not_reported_yet_counts_for_the_debt(pay, billing, report):
    topup = pay()
    spend(10)
    assert send(billing, topup, amount="10").status_code == 302
    said = "This refund takes back 15 credits. The user has 5, so it leaves a debt of 10 credits."
    assert errors_of(send(billing, topup, amount="15")) == [said]
    report(topup)
    assert errors_of(send(billing, topup, amount="15")) == [said]


def test_a_refund_of_less_than_a_credit_leaves_no_debt(pay, billing):
    """The payment is $25.00. A refund of 1 cent takes back the 25th credit; the next 99 cents take none."""
    topup = pay()
    spend(25)
    assert "takes back 1 credit. The user has 0" in errors_of(send(billing, topup, amount="0.01"))[0]
    accepted = {"debt": "1", "accept_debt": "on"}
    assert send(billing, topup, amount="0.01", **accepted).status_code == 302
    assert send(billing, topup, amount="0.99").status_code == 302


# --- Stripe does not answer ---------------------------------------------------------------------------


def test_a_form_that_got_no_answer_can_be_sent_again(stand_in, pay, billing):
    topup, form = pay(), form_of(amount="10")
    stand_in.misbehaves(api_failure=429)
    forget_the_client()
    answer = billing.post(page_of(topup), form)
    assert UNANSWERED in errors_of(answer)[0]
    assert "Nothing has changed" not in answer.text
    assert answer.context["form"]["key"].value() == form["key"]
    requested = RefundRequest.objects.get()
    assert requested.state == "asking"
    stand_in.misbehaves(api_failure=None)
    assert billing.post(page_of(topup), form).status_code == 302
    requested.refresh_from_db()
    assert (requested.state, len(refunds_at(stand_in, topup))) == ("made", 1)
    assert billing.post(page_of(topup), form).status_code == 302
    assert (RefundRequest.objects.count(), Act.objects.count()) == (1, 1)
    assert len(refunds_at(stand_in, topup)) == 1


@pytest.fixture
def lost(stand_in, pay, billing):
    """A request that Stripe has carried out, although its answer did not arrive."""
    topup, form = pay(), form_of(amount="10")
    stand_in.misbehaves(api_failure=429)
    forget_the_client()
    billing.post(page_of(topup), form)
    stand_in.misbehaves(api_failure=None)
    requested = RefundRequest.objects.get()

    def carry_out(key=""):
        params = {
            "payment_intent": topup.payment_intent_id,
            "amount": 1000,
            "metadata": {"type": "wallet_refund", "refund_request": requested.pk},
        }
        options = {"idempotency_key": key or requested.pk}
        return stand_in.client.v1.refunds.create(params=params, options=options).id

    return topup, form, requested, carry_out


def test_a_refund_whose_answer_was_lost_is_not_made_twice(stand_in, lost, billing):
    topup, form, requested, carry_out = lost
    made = carry_out()
    assert billing.post(page_of(topup), form).status_code == 302
    requested.refresh_from_db()
    assert (requested.state, requested.stripe_refund_id) == ("made", made)
    assert len(refunds_at(stand_in, topup)) == 1


def test_stripes_report_finds_the_request_whose_answer_was_lost(lost, billing, report):
    topup, form, requested, carry_out = lost
    made = carry_out()
    report(topup)
    requested.refresh_from_db()
    assert (requested.state, requested.stripe_refund_id) == ("made", made)
    assert billing.post(page_of(topup), form).status_code == 302
    assert available_of("usr_1") == 15


def test_a_report_that_does_not_fit_finds_no_request(stand_in, lost, deliver):
    topup, _, requested, carry_out = lost
    carry_out()
    events = [each for each in stand_in.events(topup.stripe_session_id) if each["type"] == "refund.created"]
    for number, change in enumerate([{"amount": 999}, {"payment_intent": "pi_other"}, {"metadata": {}}]):
        event = events[0] | {"id": f"evt_{number}"}
        event["data"] = {"object": events[0]["data"]["object"] | {"id": f"re_{number}"} | change}
        assert deliver(event).status_code == 200
    requested.refresh_from_db()
    assert requested.state == "asking"


def test_staff_ask_again_from_the_page_of_the_top_up(stand_in, lost, billing):
    topup, _, requested, _ = lost
    page = page_of(requested, "ask-again")
    assert page in billing.get(page_of(topup, "change")).text
    assert billing.post(page, form_of()).status_code == 302
    requested.refresh_from_db()
    assert (requested.state, len(refunds_at(stand_in, topup))) == ("made", 1)
    assert billing.get(page).status_code == 404
    assert page not in billing.get(page_of(topup, "change")).text


def test_for_an_old_request_its_refund_is_looked_for_first(stand_in, lost, billing):
    """Stripe may have forgotten the idempotency key, so another refund would be made with it."""
    topup, _, requested, carry_out = lost
    made = carry_out(key="forgotten since")
    with resting_triggers():
        RefundRequest.objects.update(created_at=requested.created_at - refund_requests.KEY_IS_SURE)
    assert billing.post(page_of(requested, "ask-again"), form_of()).status_code == 302
    requested.refresh_from_db()
    assert (requested.state, requested.stripe_refund_id) == ("made", made)
    assert len(refunds_at(stand_in, topup)) == 1


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_could_not_be_saved_is_asked_for_again(stand_in, lost, billing):
    topup, _, requested, _ = lost
    page, form = page_of(requested, "ask-again"), form_of()
    with locked_by_another("SELECT 1 FROM wallet_refundrequest WHERE id = %s", requested.pk):
        answer = billing.post(page, form)
    assert errors_of(answer) == [refunds.UNSAVED]
    assert "Nothing has changed" not in answer.text
    assert billing.post(page, form).status_code == 302
    requested.refresh_from_db()
    assert (requested.state, len(refunds_at(stand_in, topup))) == ("made", 1)


ANSWER = {"id": "re_1", "object": "refund", "amount": 1000, "payment_intent": "pi_1", "status": "succeeded"}
WRONG_ANSWERS = {
    "nothing": content(b""),
    "no JSON": content(b"<html>", Content_Type="text/html"),
    "a list": json_of([ANSWER]),
    "an empty object": json_of({}),
    "no id": json_of(ANSWER | {"id": None}),
    "a long id": json_of(ANSWER | {"id": "re_" + "1" * 300}),
    "a charge": json_of(ANSWER | {"object": "charge"}),
    "another amount": json_of(ANSWER | {"amount": 2500}),
    "an amount in text": json_of(ANSWER | {"amount": "1000"}),
    "another payment": json_of(ANSWER | {"payment_intent": "pi_2"}),
    "an outage": json_of({"error": {"type": "api_error", "message": "out of order"}}, 400),
    "a wrong key": json_of({"error": {"type": "invalid_request_error", "message": "no"}}, 401),
}


@pytest.fixture
def paid_row(give):
    """A paid top-up whose payment no Stripe knows: pi_1."""
    give("usr_1", 25, session_id="1")
    return TopUp.objects.get()


@pytest.mark.parametrize("answer", WRONG_ANSWERS)
def test_a_wrong_answer_is_no_answer(stripe_at, paid_row, billing, answer):
    stripe_at.answers["/v1/refunds"] = WRONG_ANSWERS[answer]
    form = form_of(amount="10")
    assert UNANSWERED in errors_of(billing.post(page_of(paid_row), form))[0]
    assert RefundRequest.objects.get().state == "asking"
    stripe_at.answers["/v1/refunds"] = json_of(ANSWER)
    assert billing.post(page_of(paid_row), form).status_code == 302
    assert RefundRequest.objects.get().stripe_refund_id == "re_1"


# --- Stripe refuses -----------------------------------------------------------------------------------

REFUSALS = {
    "charge_already_refunded": "Stripe has refunded this payment in full already.",
    "charge_disputed": "This payment is disputed, so Stripe does not refund it.",
    "resource_missing": "Stripe does not know this payment.",
    "other_reason": "Stripe refused the refund (other_reason).",
    "sk_live_secret": "Stripe refused the refund (?).",
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_said_in_plain_words(stripe_at, paid_row, billing, code):
    error = {"type": "invalid_request_error", "code": code, "message": "as Stripe says"}
    stripe_at.answers["/v1/refunds"] = json_of({"error": error}, 400)
    answer = send(billing, paid_row, amount="10")
    assert errors_of(answer) == [REFUSALS[code]]
    assert "Stripe made no refund." in answer.text
    requested = RefundRequest.objects.get()
    assert (requested.state, requested.remark) == ("refused", REFUSALS[code])


def test_a_refund_made_at_stripe_before_is_refused_and_the_form_can_be_changed(stand_in, pay, billing):
    topup, form = pay(), form_of(amount="25")
    stand_in.sandbox.control(f"sessions/{topup.stripe_session_id}/refund", amount=1500)
    answer = billing.post(page_of(topup), form)
    assert errors_of(answer) == ["Less than this is left of the payment at Stripe."]
    # The form that the browser kept is refused again, and asks for nothing.
    assert errors_of(billing.post(page_of(topup), form)) == errors_of(answer)
    changed = form | {"amount": "10", "key": answer.context["form"]["key"].value()}
    assert billing.post(page_of(topup), changed).status_code == 302
    states = RefundRequest.objects.order_by("amount_cents").values_list("amount_cents", "state")
    assert list(states) == [(1000, "made"), (2500, "refused")]


def test_a_dispute_that_stripe_has_not_reported_yet(stand_in, pay, billing):
    topup = pay()
    stand_in.sandbox.control(f"sessions/{topup.stripe_session_id}/dispute")
    assert errors_of(send(billing, topup)) == ["This payment is disputed, so Stripe does not refund it."]


# --- What cannot be refunded --------------------------------------------------------------------------


def is_not_offered(client, topup, why):
    assert page_of(topup) not in client.get(page_of(topup, "change")).text
    assert client.get(page_of(topup)).status_code == 404
    assert errors_of(send(client, topup)) == [why]
    assert not RefundRequest.objects.exists()


def test_a_disputed_payment_cannot_be_refunded(stand_in, pay, billing, report):
    topup = pay()
    stand_in.sandbox.control(f"sessions/{topup.stripe_session_id}/dispute")
    report(topup)
    is_not_offered(billing, topup, refund_requests.DISPUTED)
    dispute = StripeDispute.objects.get()
    stand_in.sandbox.control(f"disputes/{dispute.pk}/lose")
    report(topup)
    is_not_offered(billing, topup, refund_requests.DISPUTED)


def test_a_payment_with_an_inquiry_or_a_dispute_that_was_won_can_be_refunded(stand_in, pay, billing, report):
    one, two = pay(), pay()
    stand_in.sandbox.control(f"sessions/{one.stripe_session_id}/dispute", kind="inquiry")
    stand_in.sandbox.control(f"sessions/{two.stripe_session_id}/dispute")
    report(two)
    stand_in.sandbox.control(f"disputes/{StripeDispute.objects.get().pk}/win")
    for topup in (one, two):
        report(topup)
        assert send(billing, topup, amount="5").status_code == 302


def test_an_unpaid_top_up_cannot_be_refunded(start_topup, billing):
    is_not_offered(billing, start_topup(), refund_requests.UNPAID)


def test_a_payment_of_an_unknown_mode_can_be_asked_for(paid_row, billing):
    """Old rows do not say in which mode they were paid. Stripe finds the payment only in its mode."""
    assert paid_row.livemode is None
    assert billing.get(page_of(paid_row)).status_code == 200


def test_a_payment_of_the_other_mode_cannot_be_refunded(paid_row, billing):
    TopUp.objects.update(livemode=True)
    is_not_offered(billing, paid_row, refund_requests.OTHER_MODE)


def test_a_payment_without_an_id_cannot_be_refunded(deliver, checkout_event, billing):
    deliver(checkout_event(payment_intent=None))
    is_not_offered(billing, TopUp.objects.get(), refund_requests.NO_PAYMENT)


def test_a_payment_that_was_reported_for_another_checkout_first(deliver, checkout_event, billing):
    for session in ("cs_test_1", "cs_test_2"):
        deliver(checkout_event(session_id=session, payment_intent="pi_1"))
    second = TopUp.objects.get(stripe_session_id="cs_test_2")
    is_not_offered(billing, second, refund_requests.ANOTHERS)


def test_staff_refund_no_payment_of_their_own(pay):
    member = StaffFactory.create(misar_id="staff:ada")
    topup = pay(user_id="staff:ada")
    client = signed_in(member)
    assert client.get(page_of(topup)).status_code == 404
    assert "You can't do this for your own account" in errors_of(send(client, topup))[0]
    assert not RefundRequest.objects.exists()


def test_an_erased_address_is_erased_from_the_reason_of_a_request(paid_row):
    by_hand.request_refund(
        topup=paid_row, amount_cents=100, reason="fan@example.com paid it", actor="user:x", form_key="k"
    )
    erased_texts.erase_from_texts("fan@example.com")
    assert RefundRequest.objects.get().reason == "(erased) paid it"


# --- Forms at once ------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_one_form_sent_twice_at_once_makes_one_refund(stand_in, pay):
    topup, member, form = pay(), member_of("billing"), form_of(amount="10")
    clients = [signed_in(member) for _ in range(3)]
    calls = [ready(client, page_of(topup), form) for client in clients]
    answers = at_once(calls)
    # Only a few calls to Stripe may run at once, so a form may come back. Then it is sent again.
    assert 302 in [answer.status_code for answer in answers]
    assert all(UNANSWERED in errors_of(answer)[0] for answer in answers if answer.status_code != 302)
    assert calls[0]().status_code == 302
    assert len(refunds_at(stand_in, topup)) == RefundRequest.objects.count() == Act.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_colleagues_who_refund_the_same_top_up_at_once_do_not_ask_for_more_than_is_left(stand_in, pay):
    topup = pay()
    clients = [signed_in(member_of("billing")) for _ in range(3)]
    answers = at_once([ready(client, page_of(topup), form_of(amount="15")) for client in clients])
    assert sorted(answer.status_code for answer in answers) == [200, 200, 302]
    assert RefundRequest.objects.count() == 1
    assert [refund["amount"] for refund in refunds_at(stand_in, topup)] == [1500]
