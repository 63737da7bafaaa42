"""POST /io/wallet/grants and /io/wallet/grants/{id}/void: credits with an end, and grants taken back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import product
from tests.wallet.api.endpoints import GRANTS
from tests.wallet.reversed import leave_owing
from wallet.grants import granting
from wallet.grants.caps import Caps
from wallet.grants.models import GrantedMonth
from wallet.models import Entry, Lot, Wallet

pytestmark = pytest.mark.django_db

FUNDS = "/io/wallet/funds"
MINUTE = timedelta(minutes=1)


def wire(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def void(caller, grant_id: str, user_id: str = "usr_1"):
    return caller.post(f"{GRANTS}/{grant_id}/void", {"user_id": user_id})


def refuses(response, status: int, error: str, code: str, **facts) -> None:
    assert (response.status_code, response.json()) == (status, {"error": error, "code": code} | facts)
    assert "Idempotent-Replayed" not in response


@pytest.fixture
def welcome(as_service, clock) -> dict[str, Any]:
    """A grant of 10 credits that ends in a day, as a body."""
    return {
        "user_id": "usr_1",
        "credits": 10,
        "expires_at": wire(clock.now + timedelta(days=1)),
        "reason": "Welcome",
        "idempotency_key": "welcome",
    }


# --- Granting ---------------------------------------------------------------------------------------


def test_the_answer_to_a_grant_which_makes_the_wallet(as_service, clock, welcome):
    response = as_service.post(GRANTS, welcome)
    lot, entry = Lot.objects.get(), Entry.objects.get()
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in response
    expected = {
        "id": lot.pk,
        "user_id": "usr_1",
        "product": "blog",
        "transaction_id": entry.pk,
        "state": "active",
        "credits": 10,
        "remaining": 10,
        "held": 0,
        "reason": "Welcome",
        "created_at": "2020-01-01T00:00:00Z",
        "expires_at": "2020-01-02T00:00:00Z",
    }
    assert response.content == json.dumps(expected, separators=(",", ":")).encode()
    assert (lot.pk[:6], entry.pk[:4]) == ("grant_", "txn_")
    rows = as_service.get("/io/wallet/transactions", user_id="usr_1").json()["items"]
    assert rows == [
        {
            "id": entry.pk,
            "type": "grant",
            "credits": 10,
            "balance_after": 10,
            "created_at": "2020-01-01T00:00:00Z",
        }
    ]
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 10}


def test_the_first_answer_comes_again_whatever_became_of_the_grant(as_service, welcome, clock, article_rate):
    def repeated():
        answer = as_service.post(GRANTS, welcome | {"reason": "Another reason"})
        assert answer["Idempotent-Replayed"] == "true"
        assert answer["Cache-Control"] == "no-store"
        assert answer.content == first.content

    first = as_service.post(GRANTS, welcome)
    repeated()
    as_service.deduct(count=4)
    as_service.hold(count=3, ttl_seconds=10)
    repeated()
    as_service.deduct(count=3)
    clock.advance(days=1)
    repeated()  # It has ended, and nothing wrote that down.
    as_service.grant(key="another", expires_at=wire(clock.now + timedelta(days=1)))
    assert Entry.objects.filter(kind="expiry").count() == 1
    repeated()
    # Also with another key of the product, whose caps are smaller.
    small = product(rights=["grant"], grant_max=1, grant_month_max=1)
    assert small.post(GRANTS, welcome).content == first.content
    assert Lot.objects.count() == 2


@pytest.mark.parametrize("field", ["credits", "expires_at"])
def test_a_key_is_of_one_grant(as_service, welcome, clock, field):
    as_service.post(GRANTS, welcome)
    other = {"credits": 11, "expires_at": wire(clock.now + timedelta(days=1, seconds=1))}
    for body in (welcome | {field: other[field]}, welcome | other):
        error = "This idempotency_key was used for another grant"
        refuses(as_service.post(GRANTS, body), 409, error, "key_reused")
    assert Lot.objects.count() == 1


def test_a_reused_key_is_said_before_all_else(as_service, welcome, clock):
    """Before that the grant was voided, that the end is out of range, and that a cap is reached."""
    void(as_service, as_service.post(GRANTS, welcome).json()["id"])
    small = product(rights=["grant"], grant_max=1, grant_month_max=1)
    for body in ({"credits": 11}, {"expires_at": wire(clock.now)}, {"credits": 1_000_000}):
        assert small.post(GRANTS, welcome | body).json()["code"] == "key_reused"


def test_keys_are_of_a_user_a_product_and_a_kind(as_service, give, welcome, article_rate):
    grant = as_service.post(GRANTS, welcome).json()
    others = [
        as_service.post(GRANTS, welcome | {"user_id": "usr_2"}).json(),
        product("mail", rights=["grant"]).post(GRANTS, welcome).json(),
    ]
    assert len({grant["id"], *(other["id"] for other in others)}) == 3
    assert as_service.deduct(idempotency_key="welcome").json()["deducted"] == 1
    assert as_service.hold(key="welcome").json()["held"] == 1
    assert as_service.refund(charge_key="welcome", key="welcome").json()["refunded"] == 1


def test_after_a_void_the_key_has_ended(as_service, welcome):
    void(as_service, as_service.post(GRANTS, welcome).json()["id"])
    error = "The grant of this key was voided; use a new key"
    refuses(as_service.post(GRANTS, welcome), 409, error, "key_ended")


def test_in_a_debt_the_grant_is_whole(as_service, give, article_rate):
    leave_owing(give, "usr_1", 15)
    grant = as_service.grant(credits=10).json()
    assert (grant["state"], grant["remaining"]) == ("active", 10)
    funds = as_service.get(FUNDS, user_id="usr_1").json()
    assert (funds["paid"], funds["granted"], funds["available"]) == (-15, 10, -5)
    assert as_service.deduct().json() == {"allowed": False, "balanceBefore": -5, "required": 1}
    as_service.grant(key="more", credits=8)
    assert as_service.deduct().json() == {
        "allowed": True,
        "balanceBefore": 3,
        "balanceAfter": 2,
        "deducted": 1,
    }
    assert as_service.get(FUNDS, user_id="usr_1").json()["paid"] == -15


# --- What a grant may be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "is_fine"), [(-1, False), (0, False), (59, False), (60, True), (61, True)]
)
def test_a_grant_lasts_a_minute_at_least(as_service, clock, welcome, seconds, is_fine):
    response = as_service.post(GRANTS, welcome | {"expires_at": wire(clock.now + timedelta(seconds=seconds))})
    in_range(response, is_fine)


@pytest.mark.parametrize(
    ("began", "expires_at", "is_fine"),
    [
        ("2020-01-01T00:00:00", "2025-01-01T00:00:00Z", True),
        ("2020-01-01T00:00:00", "2025-01-01T00:00:01Z", False),
        ("2020-01-01T00:00:00", "2025-01-01T02:00:00+02:00", True),
        ("2020-01-01T00:00:00", "9999-12-31T23:59:59Z", False),
        ("2020-01-01T00:00:00", "0001-01-01", False),
        # Parts of a second are cut off.
        ("2020-01-01T00:00:00", "2025-01-01T00:00:00.999Z", True),
        ("2020-01-01T00:00:00.500000", "2020-01-01T00:01:00.900Z", False),
        ("2024-02-29T12:00:00", "2029-03-01T12:00:00Z", True),
        ("2024-02-29T12:00:00", "2029-03-01T12:00:01Z", False),
    ],
)
def test_a_grant_lasts_five_years_at_most(as_service, clock, welcome, began, expires_at, is_fine):
    clock.set(datetime.fromisoformat(began).replace(tzinfo=UTC))
    in_range(as_service.post(GRANTS, welcome | {"expires_at": expires_at}), is_fine)


def in_range(response, is_fine: bool) -> None:
    if is_fine:
        assert response.json()["state"] == "active"
        return
    refuses(response, 400, "expires_at must be between one minute and five years ahead", "invalid")
    assert not Wallet.objects.exists()
    assert not Lot.objects.exists()


@pytest.mark.parametrize("expires_at", ["2020-01-02", "2020-01-02 00:00", "2020-01-02T00:00:00.123+00:00"])
def test_an_end_may_be_written_in_several_ways(as_service, clock, welcome, expires_at):
    first = as_service.post(GRANTS, welcome | {"expires_at": expires_at})
    assert first.json()["expires_at"] == "2020-01-02T00:00:00Z"
    assert as_service.post(GRANTS, welcome).content == first.content


@pytest.mark.parametrize(("credits", "key"), [(1, "k"), (1_000_000, "k" * 255)])
def test_the_smallest_and_the_largest_grant(as_service, welcome, credits, key):
    body = welcome | {"credits": credits, "idempotency_key": key}
    assert as_service.post(GRANTS, body).json()["remaining"] == credits
    assert as_service.post(GRANTS, body)["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("reason", ["x", "x" * 200, "Danke für die Blumen\N{TULIP}", "a\N{SOFT HYPHEN}b"])
def test_a_reason_is_kept_as_it_was_sent(as_service, welcome, reason):
    assert as_service.post(GRANTS, welcome | {"reason": reason}).json()["reason"] == reason
    assert Entry.objects.get().reason == reason


BAD: dict[str, dict[str, tuple[Any, ...]]] = {
    "reason": {
        "must not be empty": ("", " ", "\N{ZERO WIDTH SPACE}"),
        "must be text": (1, True, [], {}),
        "must be at most 200 characters": ("x" * 201,),
        "must hold printable characters only": ("a\x00b", "a\x1bb"),
        "is required": (None,),
    },
    "expires_at": {
        "is required": (None,),
        "must be a time in ISO 8601": (
            *("", "tomorrow", "2020-13-01", "2020-01-02T25:00:00Z", "1577923200", 1577923200, 1.5, True, []),
            *({}, ["2020-01-02"], "2020-01-02T00:00:00Z\n", "2020-1-2", "2020-W01-1", "x" * 5000),
        ),
    },
}


@pytest.mark.parametrize("field", BAD)
def test_a_bad_field_is_refused_and_named(as_service, welcome, subtests, field):
    for error, values in BAD[field].items():
        for value in values:
            with subtests.test(value=str(value)[:20]):
                response = as_service.post(GRANTS, welcome | {field: value})
                refuses(response, 400, f"{field} {error}", "invalid")
    missing = {name: value for name, value in welcome.items() if name != field}
    refuses(as_service.post(GRANTS, missing), 400, f"{field} is required", "invalid")
    assert not Wallet.objects.exists()


# --- Rights, caps and limits ------------------------------------------------------------------------


def test_without_the_right_nothing_is_granted_or_voided(as_service, welcome):
    grant_id = as_service.post(GRANTS, welcome).json()["id"]
    usual = product()
    for response in (usual.post(GRANTS, welcome), usual.post(GRANTS, {}), void(usual, grant_id)):
        refuses(response, 403, "This service key has no right to grant", "may_not_grant")
    assert usual.get(GRANTS, user_id="usr_1").json()["items"][0]["id"] == grant_id


def test_one_grant_is_within_the_cap_of_the_key(welcome):
    blog = product(rights=["grant"], grant_max=9, grant_month_max=100)
    error = "The key may grant at most 9 credits now"
    refuses(blog.post(GRANTS, welcome), 409, error, "over_cap", left=9)
    assert not Wallet.objects.exists()
    # The key of the refusal is not used up.
    assert blog.post(GRANTS, welcome | {"credits": 9}).json()["remaining"] == 9


def test_the_grants_of_a_month_are_within_the_cap_of_the_product(clock, welcome):
    blog = product(rights=["grant"], grant_max=50, grant_month_max=60)
    other_key = product(rights=["grant"], grant_max=50, grant_month_max=70)

    def grant(caller, credits: int, key: str, user_id: str = "usr_1"):
        body = {"credits": credits, "idempotency_key": key, "user_id": user_id}
        return caller.post(GRANTS, welcome | body | {"expires_at": wire(clock.now + timedelta(days=1))})

    assert grant(blog, 50, "a").status_code == 200
    refuses(grant(blog, 11, "b"), 409, "The key may grant at most 10 credits now", "over_cap", left=10)
    # For all users together, taken back or not. A repeated request counts once.
    void(blog, grant(blog, 9, "c", "usr_2").json()["id"], "usr_2")
    assert grant(blog, 50, "a")["Idempotent-Replayed"] == "true"
    refuses(grant(blog, 2, "d"), 409, "The key may grant at most 1 credit now", "over_cap", left=1)
    assert grant(other_key, 11, "e").status_code == 200
    refuses(grant(blog, 1, "f"), 409, "The key may grant at most 0 credits now", "over_cap", left=0)
    # Another product has a month of its own, and so has the next month.
    assert grant(product("mail", rights=["grant"], grant_month_max=5), 5, "a").status_code == 200
    clock.set(datetime(2020, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC))
    assert grant(blog, 1, "f").json()["left"] == 0
    clock.set(datetime(2020, 2, 1, tzinfo=UTC))
    assert grant(blog, 50, "f").status_code == 200
    counted = {str(row): row.credits for row in GrantedMonth.objects.all()}
    assert {row.rpartition(":")[0]: credits for row, credits in counted.items()} == {
        "blog 2020-01-01": 70,
        "mail 2020-01-01": 5,
        "blog 2020-02-01": 50,
    }


TOO_MANY = "This user has too many grants with credits left; void some first"


def test_a_product_has_20_grants_with_credits_left(as_service, clock, welcome, article_rate):
    bodies = [welcome | {"credits": 1, "idempotency_key": f"k{number}"} for number in range(21)]
    soon = {"expires_at": wire(clock.now + MINUTE)}
    made = [as_service.post(GRANTS, body).json()["id"] for body in [bodies[0] | soon, *bodies[1:20]]]
    refuses(as_service.post(GRANTS, bodies[20]), 409, TOO_MANY, "too_many")
    assert as_service.post(GRANTS, bodies[19])["Idempotent-Replayed"] == "true"
    assert product("mail", rights=["grant"]).post(GRANTS, welcome).status_code == 200
    assert as_service.post(GRANTS, welcome | {"user_id": "usr_2"}).status_code == 200
    # One that was voided, spent or has ended leaves room.
    void(as_service, made[5])
    assert as_service.post(GRANTS, bodies[20]).status_code == 200
    more = welcome | {"idempotency_key": "one more"}
    assert as_service.post(GRANTS, more).json()["code"] == "too_many"
    as_service.deduct()
    assert Lot.objects.get(pk=made[0]).remaining == 0
    assert as_service.post(GRANTS, more | soon).status_code == 200
    clock.advance(60)
    assert as_service.post(GRANTS, welcome | {"idempotency_key": "at the end"}).status_code == 200


def test_a_user_has_100_grants_with_credits_left(as_service, clock, welcome):
    whole = as_service.post(GRANTS, welcome).json()
    entry = Entry.objects.get()
    facts: dict[str, Any] = {
        "user_id": "usr_1",
        "credits": 1,
        "expires_at": clock.now + timedelta(days=1),
        "reason": "x",
    }
    facts |= {"actor": "service:wsk_test", "caps": Caps(1, 100)}
    for number in range(99):
        name = ("mail", "reach", "dev", "post", "seo")[number // 20]
        granting.grant(**facts, key=f"{number}", product=name)
    assert Lot.objects.filter(remaining__gt=0).count() == 100
    refuses(as_service.post(GRANTS, welcome | {"idempotency_key": "b"}), 409, TOO_MANY, "too_many")
    assert as_service.post(GRANTS, welcome).json() == whole | {"transaction_id": entry.pk}
    void(as_service, whole["id"])
    assert as_service.post(GRANTS, welcome | {"idempotency_key": "b"}).status_code == 200


# --- Void -------------------------------------------------------------------------------------------


def test_a_void_takes_what_is_free_and_answers_the_same_again(as_service, give, welcome, clock, article_rate):
    give("usr_1", 5)
    grant_id = as_service.post(GRANTS, welcome | {"credits": 12}).json()["id"]
    as_service.deduct(count=2)
    hold_id = as_service.hold(count=3).json()["holdId"]
    clock.advance(1)
    first = void(as_service, grant_id)
    assert first.status_code == 200
    assert first["Cache-Control"] == "no-store"
    assert first.content == b'{"id":"%s","state":"voided","removed":7,"held":3}' % grant_id.encode()
    assert "Idempotent-Replayed" not in first
    row = as_service.get("/io/wallet/transactions", user_id="usr_1").json()["items"][0]
    assert (row["type"], row["credits"], row["balance_after"]) == ("expiry", -7, 8)
    funds = as_service.get(FUNDS, user_id="usr_1").json()
    assert (funds["balance"], funds["held"], funds["paid"], funds["granted"]) == (8, 3, 5, 3)

    def again():
        response = void(as_service, grant_id)
        assert (response.status_code, response.content) == (200, first.content)
        assert response["Idempotent-Replayed"] == "true"

    again()
    as_service.end(hold_id, "capture", count=1)
    again()  # The two that the hold released were lost.
    clock.advance(days=2)
    again()
    funds = as_service.get(FUNDS, user_id="usr_1").json()
    assert (funds["balance"], funds["granted"]) == (5, 0)


def test_a_void_of_what_was_spent_takes_nothing(as_service, welcome, clock, article_rate):
    grant_id = as_service.post(GRANTS, welcome).json()["id"]
    as_service.deduct(count=10)
    clock.advance(1)
    assert void(as_service, grant_id).json() == {
        "id": grant_id,
        "state": "voided",
        "removed": 0,
        "held": 0,
    }
    assert Entry.objects.count() == 2


def test_after_its_end_a_grant_is_not_voided(as_service, give, welcome, clock, article_rate):
    give("usr_1", 5)
    grant_id = as_service.post(GRANTS, welcome).json()["id"]
    as_service.hold(count=4, ttl_seconds=2 * 86_400)
    clock.advance(days=1, microseconds=-1)
    clock.advance(microseconds=1)  # At its very end it has ended.
    expected = {"id": grant_id, "state": "expired", "removed": 0, "held": 4}
    for _ in range(2):
        response = void(as_service, grant_id)
        assert (response.status_code, response.json()) == (200, expected)
        assert "Idempotent-Replayed" not in response  # Time ended it, no earlier request.
    assert as_service.post(GRANTS, welcome)["Idempotent-Replayed"] == "true"
    assert Lot.objects.get().voided_at is None


def test_a_void_reaches_the_grant_of_its_product_and_user_alone(as_service, welcome):
    grant_id = as_service.post(GRANTS, welcome).json()["id"]
    mail = product("mail", rights=["grant"])
    mail.post(GRANTS, welcome)
    mail.post(GRANTS, welcome | {"user_id": "usr_2"})
    for response in (
        void(mail, grant_id),
        void(as_service, grant_id, "usr_2"),
        void(as_service, grant_id, "usr_new"),
        void(as_service, grant_id.upper()),
        *(void(as_service, odd) for odd in ("grant_1", "%00", "%ff", "x" * 3000, Entry.objects.all()[0].pk)),
    ):
        refuses(response, 404, "There is no such grant", "not_found")
    assert Lot.objects.filter(voided_at=None).count() == 3
    assert not Wallet.objects.filter(user_id="usr_new").exists()


def test_a_user_may_read_grants_but_not_grant(as_user, welcome):
    for response in (as_user("usr_1").post(GRANTS, welcome), void(as_user("usr_1"), "grant_1")):
        assert (response.status_code, response.json()["code"]) == (403, "no_credentials")
    assert not Wallet.objects.exists()
