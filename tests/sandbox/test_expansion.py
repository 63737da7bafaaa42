"""`expand[]`, and the lists of payments and charges, with Stripe's own client."""

from typing import Any

import pytest
import stripe

from tests.sandbox.conftest import StandIn


def test_a_session_shows_its_payment_and_its_charge(stand_in: StandIn):
    paid = stand_in.paid_session()
    path = "payment_intent.latest_charge.balance_transaction.source"
    session: Any = stand_in.stripe.v1.checkout.sessions.retrieve(paid["id"], params={"expand": [path]})
    charge = session.payment_intent.latest_charge
    assert session.payment_intent.id == paid["payment_intent"]
    assert (charge.amount, charge.balance_transaction.source.id) == (2500, charge.id)
    # The next answer shows ids again.
    assert stand_in.stripe.v1.checkout.sessions.retrieve(paid["id"]).to_dict() == paid


def test_lists_are_expanded_below_data(stand_in: StandIn):
    stand_in.new_session()
    paid = stand_in.paid_session()
    stand_in.control(f"sessions/{paid['id']}/refund", amount=1000)
    stand_in.control(f"sessions/{paid['id']}/dispute")
    sessions: Any = stand_in.stripe.v1.checkout.sessions.list(
        params={"expand": ["data.payment_intent.latest_charge", "data.customer"]}
    )
    shown, waiting = sessions.data
    assert shown.payment_intent.latest_charge.amount_refunded == 1000
    assert (waiting.payment_intent, waiting.customer) == (None, None)

    moved: Any = stand_in.stripe.v1.balance_transactions.list(
        params={"expand": ["data.source.charge", "data.source.payment_intent"]}
    )
    sources = [each.source for each in moved.data]
    assert [each.object for each in sources] == ["dispute", "refund", "charge"]
    assert {each.payment_intent.id for each in sources} == {paid["payment_intent"]}
    assert {each.charge.id for each in sources[:2]} == {sources[2].id}


@pytest.mark.parametrize("kind", ["refunds", "disputes"])
def test_refunds_and_disputes_are_expanded(stand_in: StandIn, kind: str):
    paid = stand_in.paid_session()
    made = stand_in.control(f"sessions/{paid['id']}/{kind[:-1]}", amount=1000)
    service: Any = getattr(stand_in.stripe.v1, kind)
    one = service.retrieve(made["id"], params={"expand": ["charge", "payment_intent"]})
    (listed,) = service.list(params={"expand": ["data.charge", "data.payment_intent"]}).data
    assert one == listed
    assert (one.charge.amount, one.payment_intent.amount) == (2500, 2500)


def test_an_answer_to_a_post_is_expanded(stand_in: StandIn):
    paid = stand_in.paid_session()
    params: Any = {"payment_intent": paid["payment_intent"], "expand": ["charge", "balance_transaction"]}
    options: Any = {"idempotency_key": "key_1"}
    first: Any = stand_in.stripe.v1.refunds.create(params=params, options=options)
    assert (first.charge.amount_refunded, first.balance_transaction.amount) == (2500, -2500)
    assert stand_in.stripe.v1.refunds.create(params=params, options=options) == first


@pytest.mark.parametrize(
    ("path", "expand", "message"),
    [
        ("/v1/charges", "data.metadata", "This property cannot be expanded (metadata)."),
        ("/v1/charges", "data", "This property cannot be expanded (data)."),
        ("/v1/charges", "data.payment_intent.cash", "This property cannot be expanded (cash)."),
        ("/v1/charges", "data.", "This property cannot be expanded ()."),
        (
            "/v1/charges",
            "payment_intent",
            "This property cannot be expanded (payment_intent). "
            "You may want to try expanding 'data.payment_intent' instead.",
        ),
        ("/v1/events", "data.object", "This property cannot be expanded (object)."),
        ("/v1/balance_transactions", "data.source.evidence", "This property cannot be expanded (evidence)."),
        (
            "/v1/checkout/sessions",
            "data.payment_intent.latest_charge.balance_transaction.source",
            "You cannot expand more than 4 levels of a property "
            "(data.payment_intent.latest_charge.balance_transaction.source).",
        ),
    ],
)
def test_a_path_that_cannot_be_expanded_is_refused(stand_in: StandIn, path: str, expand: str, message: str):
    answer = stand_in.raw("GET", path, params={"expand[]": expand})
    assert answer.status_code == 400
    assert answer.json() == {"error": {"type": "invalid_request_error", "message": message}}


def test_expand_is_a_list(stand_in: StandIn):
    answer = stand_in.raw("GET", "/v1/charges", params={"expand": "data.payment_intent"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Invalid array")


def test_a_refused_path_changes_nothing_and_leaves_the_key_free(stand_in: StandIn):
    paid = stand_in.paid_session()
    options: Any = {"idempotency_key": "key_1"}
    params: Any = {"payment_intent": paid["payment_intent"]}
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        stand_in.stripe.v1.refunds.create(params=params | {"expand": ["buyer"]}, options=options)
    assert stand_in.stripe.v1.refunds.list().data == []
    assert stand_in.stripe.v1.refunds.create(params=params, options=options).amount == 2500


def test_payments_and_charges_are_listed(stand_in: StandIn):
    paid = [stand_in.paid_session() for _ in range(3)]
    declined = stand_in.control(f"sessions/{stand_in.new_session().id}/decline")
    intents = stand_in.stripe.v1.payment_intents.list(params={"limit": 2})
    expected = [session["payment_intent"] for session in (declined, *paid[::-1])]
    assert [each.id for each in intents.auto_paging_iter()] == expected
    assert stand_in.stripe.v1.payment_intents.list(params={"created": {"lt": 1_000_000}}).data == []
    assert stand_in.stripe.v1.payment_intents.list(params={"customer": "cus_1"}).data == []

    charges = stand_in.stripe.v1.charges.list(params={"limit": 1})
    assert [each.payment_intent for each in charges.auto_paging_iter()] == expected[1:]
    (charge,) = stand_in.stripe.v1.charges.list(params={"payment_intent": expected[1]}).data
    assert charge.payment_intent == expected[1]
    assert stand_in.stripe.v1.charges.list(params={"payment_intent": expected[0]}).data == []
    assert stand_in.stripe.v1.charges.list(params={"created": {"lt": 1_000_000}}).data == []
