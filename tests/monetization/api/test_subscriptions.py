"""GET, POST and PATCH /mail/v1/monetization/subscriptions"""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from monetization import subscriptions
from monetization.models import Subscription, SubscriptionEvent
from tests.monetization.conftest import (
    SUBSCRIPTION_BODY,
    SUBSCRIPTIONS,
    field_errors,
    form_errors,
    in_days,
    next_page,
    on_wire,
    refused,
)
from tests.monetization.records import clock_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def subscription(creator) -> Subscription:
    """A reader who pays 7.99 USD a month."""
    return subscriptions.record(
        creator=creator,
        subscriber_email="reader@example.com",
        plan="monthly",
        amount_cents=799,
        currency="USD",
    )


@pytest.fixture
def strangers_subscription(stranger) -> Subscription:
    return subscriptions.record(
        creator=stranger,
        subscriber_email="reader@example.com",
        plan="monthly",
        amount_cents=799,
        currency="USD",
    )


def address(subscription: Subscription) -> str:
    return f"{SUBSCRIPTIONS}/{subscription.pk}"


# --- Recorded ---------------------------------------------------------------------------------------


def test_a_subscription_answers_as_documented(api):
    response = api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY)
    subscription = Subscription.objects.get()
    assert response.status_code == 201
    assert response["Content-Type"] == "application/json"
    assert response.content.decode() == (
        f'{{"success":true,"data":{{"id":"{subscription.pk}","subscriber_email":"reader@example.com",'
        '"plan":"monthly","status":"active"}}'
    )
    assert re.fullmatch("sub_[0-9a-hjkmnp-tv-z]{26}", subscription.pk)


def test_all_that_was_said_of_a_subscription_is_kept(api, creator):
    api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY)
    kept = Subscription.objects.get()
    assert kept.creator == creator
    assert (kept.amount_cents, kept.currency) == (799, "USD")
    assert kept.stripe_subscription_id == "sub_1OaBcDeFgHiJkL"


def test_the_alias_is_the_same(api):
    first = api.post("/v1/monetization/subscriptions", SUBSCRIPTION_BODY)
    assert first.status_code == 201
    assert api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY).content == first.content


def test_an_address_is_answered_as_it_was_written(api):
    answer = api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY | {"subscriber_email": "Reader@Example.com"})
    assert answer.json()["data"]["subscriber_email"] == "Reader@Example.com"


def test_two_without_an_id_are_two(api):
    body = SUBSCRIPTION_BODY | {"stripe_subscription_id": None}
    assert api.post(SUBSCRIPTIONS, body).json() != api.post(SUBSCRIPTIONS, body).json()
    assert Subscription.objects.count() == 2


def test_nothing_is_an_amount(api):
    assert api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY | {"amount_cents": 0}).status_code == 201


# --- The same again ---------------------------------------------------------------------------------


def test_the_same_stripe_id_again_is_answered_the_same(api):
    first, again = api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY), api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY)
    assert (again.status_code, again.content) == (201, first.content)
    assert Subscription.objects.count() == 1


def test_it_is_the_first_answer_whatever_became_of_it_since(api):
    first = api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY)
    row = f"{SUBSCRIPTIONS}/{first.json()['data']['id']}"
    assert api.patch(row, {"status": "cancelled", "plan": "annual", "amount_cents": 7990}).status_code == 200
    again = api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY)
    assert (again.status_code, again.content) == (201, first.content)
    assert Subscription.objects.get().status == "cancelled"


@pytest.mark.parametrize("change", [{"amount_cents": 800}, {"currency": "EUR"}, {"plan": "annual"}])
def test_the_same_stripe_id_with_other_terms_is_a_conflict_that_names_patch(api, change):
    api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY)
    sentence = (
        "This stripe_subscription_id was recorded with another plan, amount or currency; "
        "use PATCH to change a subscription"
    )
    refused(api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY | change), 409, sentence)


def test_a_stripe_id_belongs_to_one_creator(api, strangers_api):
    api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY)
    assert strangers_api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY | {"amount_cents": 1}).status_code == 201


def test_the_same_key_again_is_answered_the_same(api):
    key = {"Idempotency-Key": "k"}
    body = SUBSCRIPTION_BODY | {"stripe_subscription_id": None}
    first, again = (api.post(SUBSCRIPTIONS, body, headers=key) for _ in range(2))
    assert (again.status_code, again.content) == (201, first.content)
    assert Subscription.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subscriber_email", "other@example.com"),
        ("plan", "annual"),
        ("amount_cents", 800),
        ("currency", "EUR"),
        ("stripe_subscription_id", "sub_other"),
    ],
)
def test_the_same_key_with_another_body_is_a_conflict(api, name, value):
    key = {"Idempotency-Key": "k"}
    api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY, headers=key)
    response = api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY | {name: value}, headers=key)
    refused(response, 409, "This Idempotency-Key was used for another request")


# --- The list ---------------------------------------------------------------------------------------


def test_a_subscription_in_the_list_is_as_documented(api, subscription):
    response = api.get(SUBSCRIPTIONS)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert response.content.decode() == (
        f'[{{"id":"{subscription.pk}","subscriber_email":"reader@example.com","plan":"monthly",'
        f'"amount_cents":799,"currency":"USD","status":"active","created_at":"{on_wire(subscription.created_at)}"}}]'
    )


def test_the_newest_comes_first_and_cancelled_ones_stay(api):
    for email in ("a@example.com", "b@example.com", "c@example.com"):
        body = SUBSCRIPTION_BODY | {"subscriber_email": email, "stripe_subscription_id": email}
        made = api.post(SUBSCRIPTIONS, body).json()["data"]["id"]
    api.patch(f"{SUBSCRIPTIONS}/{made}", {"status": "cancelled"})
    found = [(row["subscriber_email"], row["status"]) for row in api.get(SUBSCRIPTIONS).json()]
    assert found == [("c@example.com", "cancelled"), ("b@example.com", "active"), ("a@example.com", "active")]


@pytest.mark.parametrize("prefix", ["/mail/v1", "/v1"])
def test_pages_go_on_where_they_left_off_under_the_callers_prefix(api, creator, subscription, prefix):
    facts = {"plan": "monthly", "interval": "month", "currency": "USD", "yearly_cents": 0}
    Subscription.objects.bulk_create(
        Subscription(
            creator=creator,
            amount_cents=number,
            created_at=subscription.created_at,
            reader=str(number),
            **facts,
        )
        for number in range(6)
    )
    found, path = [], f"{prefix}/monetization/subscriptions?limit=3"
    while path:
        assert path.startswith(f"{prefix}/monetization/subscriptions?")
        response = api.get(path)
        found += [row["id"] for row in response.json()]
        path = next_page(response)
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 7


def test_a_foreign_cursor_is_a_validation_error(api, strangers_api, strangers_subscription):
    strangers_api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY)
    foreign = next_page(strangers_api.get(f"{SUBSCRIPTIONS}?limit=1"))
    assert field_errors(api.get(foreign)) == {"cursor": ["Is not a cursor of this list"]}


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
def test_a_limit_is_1_to_1000(api, limit):
    assert field_errors(api.get(SUBSCRIPTIONS, limit=limit)) == {
        "limit": ["Must be an integer from 1 to 1000"]
    }


# --- Changed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/mail/v1", "/v1"])
def test_a_change_answers_the_row_as_it_is_now(api, subscription, prefix):
    path = f"{prefix}/monetization/subscriptions/{subscription.pk}"
    response = api.patch(path, {"status": "past_due", "plan": "annual", "amount_cents": 7990})
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert response.json() == {
        "success": True,
        "data": {
            "id": subscription.pk,
            "subscriber_email": "reader@example.com",
            "plan": "annual",
            "amount_cents": 7990,
            "currency": "USD",
            "status": "past_due",
            "created_at": on_wire(subscription.created_at),
        },
    }
    assert api.get(SUBSCRIPTIONS).json() == [response.json()["data"]]


@pytest.mark.parametrize("status", ["active", "past_due", "cancelled"])
def test_each_status_can_be_set_and_nothing_else_changes(api, subscription, status):
    row = api.patch(address(subscription), {"status": status}).json()["data"]
    assert (row["status"], row["plan"], row["amount_cents"]) == (status, "monthly", 799)


def test_what_is_not_said_stays(api, subscription):
    row = api.patch(address(subscription), {"amount_cents": 900}).json()["data"]
    assert (row["status"], row["plan"], row["amount_cents"]) == ("active", "monthly", 900)
    row = api.patch(address(subscription), {"plan": "annual", "status": None}).json()["data"]
    assert (row["status"], row["plan"], row["amount_cents"]) == ("active", "annual", 900)


def test_an_older_change_is_answered_the_row_and_changes_nothing(api, subscription):
    path = address(subscription)
    api.patch(path, {"status": "cancelled", "occurred_at": in_days(-1)})
    older = api.patch(path, {"status": "active", "occurred_at": in_days(-2)})
    assert older.status_code == 200
    assert older.json()["data"]["status"] == "cancelled"


@pytest.mark.parametrize("later", [{}, {"occurred_at": 0}, {"occurred_at": 2}])
def test_a_change_ahead_of_the_clock_does_not_shut_out_the_next_one(api, subscription, later):
    path, now = address(subscription), timezone.now()
    times = {name: on_wire(now + timedelta(seconds=ahead)) for name, ahead in later.items()}
    with clock_at(now):
        ahead = {
            "status": "past_due",
            "amount_cents": 899,
            "occurred_at": on_wire(now + timedelta(seconds=2)),
        }
        assert api.patch(path, ahead).json()["data"]["status"] == "past_due"
        row = api.patch(path, {"status": "cancelled", "amount_cents": 999} | times).json()["data"]
    assert (row["status"], row["amount_cents"]) == ("cancelled", 999)
    assert api.get(SUBSCRIPTIONS).json() == [row]


@pytest.mark.parametrize("other", ["active", "past_due"])
@pytest.mark.parametrize("is_first", [True, False])
def test_of_one_second_cancelled_counts_whichever_came_first(api, subscription, other, is_first):
    path = address(subscription)
    first, second = ("cancelled", other) if is_first else (other, "cancelled")
    then = in_days(-1)
    for status in (first, second):
        row = api.patch(path, {"status": status, "occurred_at": then})
    assert row.json()["data"]["status"] == "cancelled"
    assert SubscriptionEvent.objects.latest("pk").status == "cancelled"


def test_each_real_change_is_one_event(api, subscription):
    for _ in range(2):
        api.patch(address(subscription), {"status": "past_due"})
    kinds = SubscriptionEvent.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["created", "past_due"]


def test_a_change_of_the_future_is_a_validation_error(api, subscription):
    body = {"status": "cancelled", "occurred_at": in_days(1)}
    assert field_errors(api.patch(address(subscription), body)) == {
        "occurred_at": ["Must not be in the future"]
    }
    subscription.refresh_from_db()
    assert subscription.status == "active"


def test_a_clock_a_little_ahead_is_forgiven(api, subscription):
    body = {"status": "cancelled", "occurred_at": on_wire(timezone.now() + timedelta(minutes=2))}
    assert api.patch(address(subscription), body).status_code == 200


@pytest.mark.parametrize("body", [{}, {"occurred_at": "2025-12-01"}, {"status": None}, {"currency": "EUR"}])
def test_a_change_says_what_changes(api, subscription, body):
    errors = form_errors(api.patch(address(subscription), body))
    assert errors == ["Say what changes: status, plan or amount_cents"]


def test_an_amount_is_in_steps_of_the_currency_it_was_recorded_in(api, creator):
    krona = subscriptions.record(
        creator=creator, subscriber_email="a@example.com", plan="monthly", amount_cents=500, currency="ISK"
    )
    errors = field_errors(api.patch(address(krona), {"amount_cents": 550, "plan": ""}))
    assert errors["plan"] == ["Must not be empty"]
    errors = field_errors(api.patch(address(krona), {"amount_cents": 550}))
    assert errors == {"amount_cents": ["Must be a multiple of 100 in ISK"]}
    assert api.patch(address(krona), {"amount_cents": 600}).status_code == 200


def test_another_creators_subscription_is_not_found(api, strangers_subscription):
    refused(api.patch(address(strangers_subscription), {"status": "cancelled"}), 404, "Not found")
    strangers_subscription.refresh_from_db()
    assert strangers_subscription.status == "active"


def test_nor_does_a_refusal_tell_that_it_is_there(api, stranger):
    theirs = subscriptions.record(
        creator=stranger, subscriber_email="a@example.com", plan="monthly", amount_cents=500, currency="ISK"
    )
    change: dict[str, Any] = {"amount_cents": 550}
    there, not_there = api.patch(address(theirs), change), api.patch(f"{SUBSCRIPTIONS}/sub_1", change)
    assert (there.status_code, there.content) == (not_there.status_code, not_there.content)
    assert there.status_code == 404
    change |= {"occurred_at": in_days(1)}
    there, not_there = api.patch(address(theirs), change), api.patch(f"{SUBSCRIPTIONS}/sub_1", change)
    assert (there.status_code, there.content) == (not_there.status_code, not_there.content)


@pytest.mark.parametrize("name", ["sub", "sub_", "SUB_1", "sub_" + "1" * 37])
def test_what_cannot_be_an_id_is_no_address(api, name):
    refused(api.patch(f"{SUBSCRIPTIONS}/{name}", {}), 404, "There is nothing at this address.")


def test_another_kinds_id_is_not_found(api):
    refused(api.patch(f"{SUBSCRIPTIONS}/tip_01j7xyz99", {"status": "active"}), 404, "Not found")
