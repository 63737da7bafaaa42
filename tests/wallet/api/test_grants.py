"""POST /io/wallet/grants and /io/wallet/grants/{id}/void: credits with an end, and grants taken back."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.conftest import product
from tests.wallet.api.endpoints import GRANTS
from wallet.grants import granting
from wallet.models import Entry, Lot, Wallet

pytestmark = pytest.mark.django_db

FUNDS = "/io/wallet/funds"


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
    """Also after its end, and with another key of the product, whose caps are smaller."""
    first = as_service.post(GRANTS, welcome)
    as_service.deduct(count=4)
    as_service.hold(count=3, ttl_seconds=10)
    clock.advance(days=1)
    small = product(rights=["grant"], grant_max=1, grant_month_max=1)
    for caller in (as_service, small):
        answer = caller.post(GRANTS, welcome | {"reason": "Another reason"})
        assert answer["Idempotent-Replayed"] == "true"
        assert answer["Cache-Control"] == "no-store"
        assert answer.content == first.content
    assert Lot.objects.count() == 1


def test_a_key_is_of_one_grant(as_service, welcome, clock):
    as_service.post(GRANTS, welcome)
    error = "This idempotency_key was used for another grant"
    for other in ({"credits": 11}, {"expires_at": wire(clock.now + timedelta(days=1, seconds=1))}):
        refuses(as_service.post(GRANTS, welcome | other), 409, error, "key_reused")
    assert Lot.objects.count() == 1


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


# --- What a grant may be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expires_at", "is_fine"),
    [
        ("2020-01-01T00:01:00Z", True),
        ("2020-01-01T00:00:59Z", False),
        ("2025-01-01T02:00:00.999+02:00", True),  # Parts of a second are cut off.
        ("2025-01-01T00:00:01Z", False),
        ("9999-12-31T23:59:59Z", False),
        ("0001-01-01", False),
    ],
)
def test_a_grant_lasts_between_a_minute_and_five_years(as_service, clock, welcome, expires_at, is_fine):
    response = as_service.post(GRANTS, welcome | {"expires_at": expires_at})
    if is_fine:
        assert response.json()["state"] == "active"
        return
    refuses(response, 400, "expires_at must be between one minute and five years ahead", "invalid")
    assert not Wallet.objects.exists()
    assert not Lot.objects.exists()


def test_an_end_may_be_written_in_several_ways(as_service, clock, welcome):
    first = as_service.post(GRANTS, welcome)
    assert first.json()["expires_at"] == "2020-01-02T00:00:00Z"
    for expires_at in ("2020-01-02", "2020-01-02 00:00", "2020-01-02T00:00:00.123+00:00"):
        assert as_service.post(GRANTS, welcome | {"expires_at": expires_at}).content == first.content


@pytest.mark.parametrize(("credits", "key"), [(1, "k"), (1_000_000, "k" * 255)])
def test_the_smallest_and_the_largest_grant(as_service, welcome, credits, key):
    body = welcome | {"credits": credits, "idempotency_key": key}
    assert as_service.post(GRANTS, body).json()["remaining"] == credits
    assert as_service.post(GRANTS, body)["Idempotent-Replayed"] == "true"


def test_a_reason_is_kept_as_it_was_sent(as_service, welcome):
    for reason in ("x", "x" * 200, "Danke für die Blumen\N{TULIP}", "a\N{SOFT HYPHEN}b"):
        body = welcome | {"reason": reason, "idempotency_key": f"{len(reason)}"}
        assert as_service.post(GRANTS, body).json()["reason"] == reason
        assert Entry.objects.latest("sequence").reason == reason


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


def test_the_grants_of_a_month_are_within_the_cap_of_the_key(clock, welcome):
    """What other keys of the product granted counts, too."""
    blog = product(rights=["grant"], grant_max=50, grant_month_max=60)
    other_key = product(rights=["grant"], grant_max=50, grant_month_max=70)

    def grant(caller, credits: int, key: str):
        return caller.post(GRANTS, welcome | {"credits": credits, "idempotency_key": key})

    assert grant(other_key, 50, "a").status_code == 200
    refuses(grant(blog, 11, "b"), 409, "The key may grant at most 10 credits now", "over_cap", left=10)
    assert grant(blog, 9, "c").status_code == 200
    refuses(grant(blog, 2, "d"), 409, "The key may grant at most 1 credit now", "over_cap", left=1)
    assert grant(other_key, 11, "e").status_code == 200
    refuses(grant(blog, 1, "f"), 409, "The key may grant at most 0 credits now", "over_cap", left=0)


def test_a_grant_beyond_the_limit_of_the_product_is_refused(as_service, welcome, monkeypatch):
    monkeypatch.setattr(granting, "GRANTS_OF_PRODUCT_MAX", 1)
    as_service.post(GRANTS, welcome)
    error = "This user has too many grants with credits left; void some first"
    refuses(as_service.post(GRANTS, welcome | {"idempotency_key": "more"}), 409, error, "too_many")
    assert product("mail", rights=["grant"]).post(GRANTS, welcome).status_code == 200
    assert as_service.post(GRANTS, welcome | {"user_id": "usr_2"}).status_code == 200


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
    clock.advance(days=2)
    again()
    funds = as_service.get(FUNDS, user_id="usr_1").json()
    assert (funds["balance"], funds["granted"]) == (5, 0)


def test_after_its_end_a_grant_is_not_voided(as_service, give, welcome, clock, article_rate):
    give("usr_1", 5)
    grant_id = as_service.post(GRANTS, welcome).json()["id"]
    as_service.hold(count=4, ttl_seconds=2 * 86_400)
    clock.advance(days=1)
    expected = {"id": grant_id, "state": "expired", "removed": 0, "held": 4}
    for _ in range(2):
        response = void(as_service, grant_id)
        assert (response.status_code, response.json()) == (200, expected)
        assert "Idempotent-Replayed" not in response  # Time ended it, no earlier request.
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
