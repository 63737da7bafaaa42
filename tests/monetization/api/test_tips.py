"""POST /mail/v1/monetization/tip and GET /mail/v1/monetization/tips"""

import json
import re
from functools import partial

import pytest

from accounts import plans
from accounts.models import User
from monetization import tips
from monetization.models import Tip
from tests.conftest import Caller
from tests.crowd import at_once
from tests.monetization.conftest import (
    TIP,
    TIP_BODY,
    TIPS,
    caller_with,
    field_errors,
    key_of,
    next_page,
    on_wire,
    refused,
)

pytestmark = pytest.mark.django_db

MINIMAL = {"amount_cents": 500}


# --- Recorded ---------------------------------------------------------------------------------------


def test_a_tip_answers_as_documented(api):
    response = api.post(TIP, TIP_BODY)
    tip = Tip.objects.get()
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response.content.decode() == (
        f'{{"success":true,"tip_id":"{tip.pk}","gross_amount_cents":500,"platform_fee_cents":25,'
        f'"net_amount_cents":475,"timestamp":"{on_wire(tip.created_at)}"}}'
    )
    assert re.fullmatch("tip_[0-9a-hjkmnp-tv-z]{26}", tip.pk)


def test_all_that_was_said_of_a_tip_is_kept(api, creator):
    api.post(TIP, TIP_BODY)
    tip = Tip.objects.get()
    assert tip.creator == creator
    assert (tip.gross_cents, tip.fee_cents, tip.net_cents, tip.currency) == (500, 25, 475, "USD")
    assert (tip.email, tip.name) == ("reader@example.com", "Alex")
    assert tip.message == "Love your weekly deep-dives — keep it up!"
    assert tip.stripe_payment_id == "pi_3OaBcDeFgHiJkL"


def test_an_amount_is_enough(api):
    assert api.post(TIP, MINIMAL).json()["net_amount_cents"] == 475
    tip = Tip.objects.get()
    assert (tip.currency, tip.email, tip.name, tip.message) == ("USD", "", "", "")
    assert tip.stripe_payment_id is None


def test_the_alias_is_the_same(api):
    assert api.post("/v1/monetization/tip", TIP_BODY).content == api.post(TIP, TIP_BODY).content


def test_null_in_an_optional_field_means_absent(api):
    nothing = dict.fromkeys(TIP_BODY) | MINIMAL
    assert api.post(TIP, nothing).status_code == 200
    assert Tip.objects.get().currency == "USD"


def test_unknown_parameters_are_ignored(api):
    more = MINIMAL | {"platform_fee_cents": 0, "net_amount_cents": 500, "creator": "usr_other", "id": "tip_1"}
    assert api.post(TIP, more).json()["platform_fee_cents"] == 25
    assert Tip.objects.get().pk != "tip_1"


@pytest.mark.parametrize(
    ("amount", "fee"), [(50, 3), (70, 4), (499, 25), (510, 26), (999, 50), (100000, 5000)]
)
def test_the_fee_is_rounded_half_up(api, amount, fee):
    answer = api.post(TIP, {"amount_cents": amount}).json()
    assert answer["gross_amount_cents"] == amount
    assert (answer["platform_fee_cents"], answer["net_amount_cents"]) == (fee, amount - fee)


@pytest.mark.parametrize(("plan", "fee"), [("free", 25), ("pro", 20), ("max", 15), ("enterprise", 10)])
def test_the_fee_is_the_plans(api, creator, plan, fee):
    User.objects.filter(pk=creator.pk).update(plan_id=plan)
    assert api.post(TIP, MINIMAL).json()["platform_fee_cents"] == fee


def test_a_currency_may_be_written_small(api):
    assert api.post(TIP, {"amount_cents": 500, "currency": "jpy"}).json()["platform_fee_cents"] == 25
    assert Tip.objects.get().currency == "JPY"


def test_tips_alike_without_an_id_are_each_their_own(api):
    first, second = api.post(TIP, MINIMAL).json(), api.post(TIP, MINIMAL).json()
    assert first["tip_id"] != second["tip_id"]


def test_a_message_is_kept_as_it_was_written(api):
    message = "<script>alert(1)</script>\n\n  Ünïcödé 👩‍👩‍👧 naïve & 'quoted' \"twice\"\r\nعربى "
    assert api.post(TIP, MINIMAL | {"message": message}).status_code == 200
    assert Tip.objects.get().message == message
    assert api.get(TIPS).json()[0]["message"] == message


# --- The same payment again ---------------------------------------------------------------------------


def test_the_same_payment_again_is_answered_the_same(api):
    first, again = api.post(TIP, TIP_BODY), api.post(TIP, TIP_BODY)
    assert (again.status_code, again.content) == (200, first.content)
    assert Tip.objects.count() == 1


def test_it_does_not_care_for_the_plan_or_the_fee_of_now(api, creator):
    first = api.post(TIP, TIP_BODY)
    plans.set_plan(slug="free", name="Free", fee_bps=900, key_limit=1, actor="user:staff:1")
    User.objects.filter(pk=creator.pk).update(plan_id="pro")
    assert api.post(TIP, TIP_BODY).content == first.content


def test_nor_for_who_else_is_named(api):
    first = api.post(TIP, TIP_BODY)
    again = api.post(TIP, TIP_BODY | {"email": "other@example.com", "name": "Eve", "message": "Hello"})
    assert again.content == first.content
    assert Tip.objects.get().name == "Alex"


@pytest.mark.parametrize("change", [{"amount_cents": 501}, {"currency": "EUR"}])
def test_the_same_payment_with_another_amount_is_a_conflict(api, change):
    api.post(TIP, TIP_BODY)
    sentence = "This stripe_payment_id was recorded with another amount or currency"
    refused(api.post(TIP, TIP_BODY | change), 409, sentence)
    assert Tip.objects.get().gross_cents == 500


def test_a_payment_belongs_to_one_creator(api, strangers_api):
    mine = api.post(TIP, TIP_BODY).json()
    theirs = strangers_api.post(TIP, TIP_BODY | {"amount_cents": 900})
    assert theirs.status_code == 200
    assert theirs.json()["tip_id"] != mine["tip_id"]


# --- The same key again -----------------------------------------------------------------------------


def with_key(api: Caller, key: str, body: dict | None = None, path: str = TIP):
    return api.post(path, MINIMAL if body is None else body, headers={"Idempotency-Key": key})


def test_the_same_key_again_is_answered_the_same(api):
    first, again = with_key(api, "k"), with_key(api, "k")
    assert (again.status_code, again.content) == (200, first.content)
    assert again["Cache-Control"] == "no-store"
    assert Tip.objects.count() == 1


def test_the_alias_shares_the_keys(api):
    first = with_key(api, "k")
    assert with_key(api, "k", path="/v1/monetization/tip").content == first.content


def test_what_the_body_means_is_compared_not_how_it_is_written(api):
    first = with_key(api, "k", {"amount_cents": 500, "name": "Alex"})
    same = {"unknown": 1, "name": "Alex", "currency": "usd", "amount_cents": 500, "email": None}
    assert with_key(api, "k", same).content == first.content


@pytest.mark.parametrize(
    "change", [{"amount_cents": 501}, {"currency": "EUR"}, {"name": "Eve"}, {"message": "Hi"}]
)
def test_the_same_key_with_another_body_is_a_conflict(api, change):
    with_key(api, "k")
    refused(with_key(api, "k", MINIMAL | change), 409, "This Idempotency-Key was used for another request")
    assert Tip.objects.count() == 1


def test_a_key_is_of_one_creator_and_one_endpoint(api, strangers_api):
    first = with_key(api, "k")
    assert with_key(strangers_api, "k").json()["tip_id"] != first.json()["tip_id"]
    body = {"subscriber_email": "a@example.com", "plan": "monthly", "amount_cents": 500, "currency": "USD"}
    assert with_key(api, "k", body, "/mail/v1/monetization/subscriptions").status_code == 201


def test_keys_are_compared_exactly(api):
    made = {with_key(api, key).json()["tip_id"] for key in ("k", "K", "k.", "k k")}
    assert len(made) == 4


def test_a_refusal_does_not_use_a_key_up(api):
    assert with_key(api, "k", {"amount_cents": 49}).status_code == 400
    assert with_key(api, "k").status_code == 200
    with_key(api, "other", MINIMAL | {"stripe_payment_id": "pi_1"})
    assert with_key(api, "third", {"amount_cents": 501, "stripe_payment_id": "pi_1"}).status_code == 409
    assert with_key(api, "third", {"amount_cents": 501}).status_code == 200


def test_another_key_for_the_same_payment_is_answered_the_same(api):
    first = with_key(api, "one", TIP_BODY)
    assert with_key(api, "two", TIP_BODY).content == first.content
    assert with_key(api, "two", TIP_BODY).content == first.content
    assert Tip.objects.count() == 1


def test_a_key_has_1_to_255_printable_characters(api):
    assert with_key(api, "k" * 255).status_code == 200
    for key in ("", "k" * 256, "a\tb", "ü"):
        body = with_key(api, key).json()
        assert body["error"] == "Validation failed"
        assert body["details"] == {
            "fieldErrors": {},
            "formErrors": ["Idempotency-Key must be 1 to 255 printable characters"],
        }
    assert Tip.objects.count() == 1


# --- Many at once -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by", ["payment", "key", "both"])
def test_of_the_same_tip_many_times_at_once_one_is_recorded_and_all_are_answered_it(creator, by):
    secret = key_of(creator, "monetization")
    headers = {} if by == "payment" else {"Idempotency-Key": "k"}
    body = MINIMAL if by == "key" else TIP_BODY
    callers = [caller_with(secret) for _ in range(8)]
    answers = at_once([partial(caller.post, TIP, body, headers=headers) for caller in callers])
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert Tip.objects.count() == 1


# --- The list ---------------------------------------------------------------------------------------


def test_a_tip_in_the_list_has_all_a_creator_needs(api):
    made = api.post(TIP, TIP_BODY).json()
    tips.refund(tip_id=made["tip_id"], amount_cents=100, key="k", actor="test")
    response = api.get(TIPS)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert response.json() == [
        {
            "id": made["tip_id"],
            "gross_amount_cents": 500,
            "platform_fee_cents": 25,
            "net_amount_cents": 475,
            "currency": "USD",
            "refunded_cents": 100,
            "fee_returned_cents": 5,
            "email": "reader@example.com",
            "name": "Alex",
            "message": "Love your weekly deep-dives — keep it up!",
            "stripe_payment_id": "pi_3OaBcDeFgHiJkL",
            "created_at": made["timestamp"],
        }
    ]


def test_no_tips_are_an_empty_array(api):
    response = api.get(TIPS)
    assert response.content == b"[]"
    assert "Link" not in response


def test_the_newest_comes_first_equal_ones_by_id(api, creator):
    for amount in (100, 200, 300):
        tips.record(creator=creator, amount_cents=amount)
    assert [tip["gross_amount_cents"] for tip in api.get(TIPS).json()] == [300, 200, 100]


def test_ties_do_not_lose_or_repeat_a_row(api, creator):
    moment = tips.record(creator=creator, amount_cents=100).created_at
    same = {"fee_bps": 500, "plan": "free", "currency": "USD", "gross_cents": 100, "fee_cents": 5}
    Tip.objects.bulk_create(Tip(creator=creator, net_cents=95, created_at=moment, **same) for _ in range(6))
    found, path = [], f"{TIPS}?limit=2"
    while path:
        response = api.get(path)
        found += [tip["id"] for tip in response.json()]
        path = next_page(response)
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 7


@pytest.mark.parametrize("prefix", ["/mail/v1", "/v1"])
def test_the_next_page_keeps_the_prefix_the_caller_used(api, creator, prefix):
    for amount in (100, 200, 300):
        tips.record(creator=creator, amount_cents=amount)
    first = api.get(f"{prefix}/monetization/tips?limit=2&note=a%26b")
    link = next_page(first)
    assert link.startswith(f"{prefix}/monetization/tips?")
    assert "limit=2" in link
    assert "note=a%26b" in link
    second = api.get(link)
    assert [tip["gross_amount_cents"] for tip in second.json()] == [100]
    assert "Link" not in second


def test_a_page_that_is_just_full_has_no_next(api, creator):
    for amount in (100, 200):
        tips.record(creator=creator, amount_cents=amount)
    assert "Link" not in api.get(f"{TIPS}?limit=2")


def test_a_tip_that_comes_meanwhile_moves_no_page(api, creator):
    for amount in (100, 200, 300):
        tips.record(creator=creator, amount_cents=amount)
    link = next_page(api.get(f"{TIPS}?limit=2"))
    tips.record(creator=creator, amount_cents=400)
    assert [tip["gross_amount_cents"] for tip in api.get(link).json()] == [100]


@pytest.mark.parametrize(
    "limit", ["0", "-1", "1001", "99999999", "9" * 5000, "1.0", "1e2", "ten", "", " 1", "٣"]
)
def test_a_limit_is_1_to_1000(api, limit):
    errors = field_errors(api.get(TIPS, limit=limit))
    assert errors == {"limit": ["Must be an integer from 1 to 1000"]}


@pytest.mark.parametrize("limit", ["1", "1000"])
def test_both_bounds_are_limits(api, limit):
    assert api.get(TIPS, limit=limit).status_code == 200


def test_a_thousand_is_the_default(api, creator):
    same = {"fee_bps": 500, "plan": "free", "currency": "USD", "gross_cents": 100, "fee_cents": 5}
    Tip.objects.bulk_create(Tip(creator=creator, net_cents=95, **same) for _ in range(1001))
    first = api.get(TIPS)
    assert len(first.json()) == 1000
    assert len(api.get(next_page(first)).json()) == 1


BAD_CURSORS = (
    "",
    "x",
    "tip_1",
    "é",
    "%00",
    "eyJpZCI6InR4bl8xMjMifQ",  # {"id":"txn_123"}
    "eyJpZCI6IlxkODAwIn0",
    "eyJpZCI6IlxcdWQ4MDAifQ",  # a lone surrogate
    "eyJpZCI6IlxcdTAwMDAifQ",  # NUL
    "eyJpZCI6MX0",
    "eyJpZCI6bnVsbH0",
    "bnVsbA",
    "W10",
    "MQ",
    "e30",
    "eyJpZCI6WyJ0aXBfMSJdfQ==",
    "W1tbW1tbW1tb" * 300,
)


@pytest.mark.parametrize("cursor", BAD_CURSORS)
def test_a_malformed_cursor_is_a_validation_error(api, creator, cursor):
    tips.record(creator=creator, amount_cents=100)
    assert field_errors(api.get(TIPS, cursor=cursor)) == {"cursor": ["Is not a cursor of this list"]}


def test_a_foreign_cursor_is_a_validation_error(api, strangers_api, creator, stranger):
    for amount in (100, 200):
        tips.record(creator=stranger, amount_cents=amount)
    foreign = next_page(strangers_api.get(f"{TIPS}?limit=1"))
    assert field_errors(api.get(foreign)) == {"cursor": ["Is not a cursor of this list"]}


def test_a_limit_or_cursor_given_twice_is_a_validation_error(api):
    assert field_errors(api.get(f"{TIPS}?limit=1&limit=2&cursor=a&cursor=a")) == {"limit": ["Is given twice"]}
    assert field_errors(api.get(f"{TIPS}?cursor=a&cursor=a")) == {"cursor": ["Is given twice"]}


def test_the_list_takes_the_same_few_queries_however_long_it_is(api, creator, django_assert_max_num_queries):
    same = {"fee_bps": 500, "plan": "free", "currency": "USD", "gross_cents": 100, "fee_cents": 5}
    Tip.objects.bulk_create(Tip(creator=creator, net_cents=95, **same) for _ in range(300))
    api.get(TIPS, limit=1)  # Notes the use of the key, as happens once a minute.
    with django_assert_max_num_queries(4):  # The key, the limit, the rows, the record of it.
        assert len(json.loads(api.get(TIPS).content)) == 300
