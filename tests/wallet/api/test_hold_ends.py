"""POST /io/wallet/holds/{id}/capture, /void and /extend: a hold ends once."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from tests.conftest import product
from tests.wallet.holding import past_hold, standing, wait_for_the_end
from tests.wallet.reversed import take_back
from wallet.models import Entry, Hold, Wallet
from wallet.prices import rates

pytestmark = pytest.mark.django_db

ARTICLE = "blog.article.generate"
VERBS: dict[str, dict[str, Any]] = {"capture": {}, "void": {}, "extend": {"ttl_seconds": 60}}


@pytest.fixture
def held(as_service, give, article_rate):
    """A user has 42 credits, of which a hold has set 5 aside; the hold's id."""
    give("usr_1", 42)
    return as_service.hold(count=5).json()["holdId"]


def conflict(response, code: str, sentence: str) -> None:
    assert response.status_code == 409
    assert response.json() == {"error": sentence, "code": code}


CAPTURED = ("hold_captured", "This hold was captured")
VOIDED = ("hold_voided", "This hold was voided")
EXPIRED = ("hold_expired", "This hold has expired")
TOO_OLD = ("hold_too_old", "A hold lasts at most 7 days from its beginning")


# --- Capture ----------------------------------------------------------------------------------------


def test_a_capture_charges_what_was_needed_and_releases_the_rest(as_service, held):
    before = as_service.get(f"/io/wallet/holds/{held}", user_id="usr_1").json()
    response = as_service.end(held, "capture", count=3)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in response
    row = response.json()
    charge = Entry.objects.get(kind="capture")
    ended_at = f"{Hold.objects.get().ended_at:%Y-%m-%dT%H:%M:%SZ}"
    assert list(row) == [
        *("id", "user_id", "product", "state", "feature", "count", "credits", "captured_count"),
        *("captured_credits", "transaction_id", "created_at", "expires_at", "ended_at"),
    ]
    assert row == before | {
        "state": "captured",
        "captured_count": 3,
        "captured_credits": 3,
        "transaction_id": charge.pk,
        "ended_at": ended_at,
    }
    assert standing() == (39, 0, 0)
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 39}
    assert as_service.get("/io/wallet/transactions", user_id="usr_1").json()["items"][0] == {
        "id": charge.pk,
        "type": "capture",
        "feature": ARTICLE,
        "credits": -3,
        "balance_after": 39,
        "created_at": ended_at,
    }
    assert (charge.count, charge.product, charge.hold_id, charge.idempotency_key) == (3, "blog", held, "")
    assert charge.actor.startswith("service:wsk_")


@pytest.mark.parametrize("body", [{}, {"count": None}, {"count": 5}])
def test_a_capture_is_of_all_unless_it_says_less(as_service, held, body):
    first = as_service.end(held, "capture", **body)
    assert first.json()["captured_credits"] == 5
    again = as_service.end(held, "capture")
    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")
    assert standing() == (37, 0, 0)


def test_a_capture_of_one_unit(as_service, give):
    rates.set_rate(feature=ARTICLE, label="L", credits=7, unit="u", actor="test")
    give("usr_1", 42)
    hold_id = as_service.hold(count=6).json()["holdId"]
    assert as_service.end(hold_id, "capture", count=1).json()["captured_credits"] == 7
    assert standing() == (35, 0, 0)


@pytest.mark.parametrize("count", [6, 1_000_000])
def test_a_capture_is_never_more_than_was_held(as_service, held, count):
    response = as_service.end(held, "capture", count=count)
    assert response.status_code == 400
    assert response.json() == {
        "error": "count must be at most 5, the count of the hold",
        "code": "invalid",
    }
    assert standing() == (42, 5, 1)
    assert as_service.end(held, "capture", count=5).status_code == 200


def test_a_hold_is_captured_once(as_service, held):
    first = as_service.end(held, "capture", count=3)
    for count in (1, 2, 4, 5, None):
        conflict(as_service.end(held, "capture", count=count), *CAPTURED)
    again = as_service.end(held, "capture", count=3)
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert again["Cache-Control"] == "no-store"
    assert standing() == (39, 0, 0)
    assert Entry.objects.filter(kind="capture").count() == 1


def test_a_replay_of_a_capture_is_the_same_after_a_refund(as_service, held):
    first = as_service.end(held, "capture", count=3)
    as_service.refund(hold_id=held)
    assert as_service.end(held, "capture", count=3).content == first.content


def test_a_hold_is_honoured_after_a_clawback_into_debt(as_service, give, article_rate):
    payment = give("usr_1", 5)
    hold_id = as_service.hold(count=5).json()["holdId"]
    take_back(payment)
    funds = as_service.get("/io/wallet/funds", user_id="usr_1").json()
    assert (funds["balance"], funds["held"], funds["available"], funds["paid"]) == (0, 5, -5, 0)
    # Nothing else is covered, and a capture of less leaves less of a debt.
    assert as_service.deduct().json() == {"allowed": False, "balanceBefore": -5, "required": 1}
    assert as_service.hold(key="chat:78").json() == {"allowed": False, "balanceBefore": -5, "required": 1}
    assert as_service.end(hold_id, "capture", count=4).json()["captured_credits"] == 4
    assert standing() == (-4, 0, 0)
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": -4}


def test_a_hold_of_a_debt_can_be_voided(as_service, give, article_rate):
    payment = give("usr_1", 5)
    hold_id = as_service.hold(count=5).json()["holdId"]
    take_back(payment)
    assert as_service.end(hold_id, "void").json()["state"] == "voided"
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 0}


def test_a_capture_does_not_ask_for_the_feature_or_its_price_again(as_service, held):
    rates.set_rate(feature=ARTICLE, label="L", credits=9, unit="u", active=False, actor="test")
    limited = product("blog", feature_prefixes=["mail."])
    assert limited.end(held, "capture").json()["captured_credits"] == 5


# --- After the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tidied", [False, True])
@pytest.mark.parametrize("verb", ["capture", "extend"])
def test_at_its_end_a_hold_is_over_whether_it_was_tidied_or_not(as_service, give, verb, tidied):
    give("usr_1", 42)
    hold = past_hold(credits=5)
    if tidied:
        call_command("tidy")
    conflict(as_service.end(hold.pk, verb, **VERBS[verb]), *EXPIRED)
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 42}
    assert Entry.objects.count() == 1


@pytest.mark.parametrize("tidied", [False, True])
def test_a_void_of_an_expired_hold_says_that_it_expired(as_service, give, tidied):
    give("usr_1", 42)
    hold = past_hold(credits=5)
    if tidied:
        call_command("tidy")
    response = as_service.end(hold.pk, "void")
    assert response.status_code == 200
    assert "Idempotent-Replayed" not in response
    row = response.json()
    assert (row["state"], row["ended_at"]) == ("expired", row["expires_at"])
    assert standing() == (42, 0, 0)


def test_a_capture_of_more_than_an_expired_hold_is_still_invalid(as_service, give):
    give("usr_1", 42)
    assert as_service.end(past_hold(credits=5).pk, "capture", count=6).json()["code"] == "invalid"


# --- Void -------------------------------------------------------------------------------------------


def test_a_void_releases_everything_and_asking_twice_is_asking_once(as_service, held):
    first = as_service.end(held, "void")
    assert first.status_code == 200
    assert "Idempotent-Replayed" not in first
    row = first.json()
    assert row["state"] == "voided"
    assert row["ended_at"] == f"{Hold.objects.get().ended_at:%Y-%m-%dT%H:%M:%SZ}"
    assert not row.keys() & {"captured_count", "captured_credits", "transaction_id"}
    assert standing() == (42, 0, 0)
    assert Entry.objects.count() == 1
    again = as_service.end(held, "void")
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"


def test_a_voided_hold_can_neither_be_captured_nor_extended(as_service, held):
    as_service.end(held, "void")
    conflict(as_service.end(held, "capture"), *VOIDED)
    conflict(as_service.end(held, "extend", ttl_seconds=60), *VOIDED)
    assert standing() == (42, 0, 0)


def test_a_captured_hold_can_neither_be_voided_nor_extended(as_service, held):
    as_service.end(held, "capture", count=1)
    conflict(as_service.end(held, "void"), *CAPTURED)
    conflict(as_service.end(held, "extend", ttl_seconds=60), *CAPTURED)
    assert standing() == (41, 0, 0)


# --- Extend -----------------------------------------------------------------------------------------


def lasting(days: float, *, more: timedelta) -> Hold:
    """An open hold that began so many days ago and still has some time."""
    began = timezone.now() - timedelta(days=days)
    seconds = int((timedelta(days=days) + more).total_seconds())
    ends = began + timedelta(seconds=seconds)
    return past_hold(credits=5, created_at=began, ttl_seconds=seconds, expires_at=ends)


def test_the_end_becomes_the_later_one(as_service, held):
    hold = Hold.objects.get()
    earlier = as_service.end(held, "extend", ttl_seconds=60)
    assert earlier.status_code == 200
    assert earlier.json()["state"] == "open"
    assert Hold.objects.get().expires_at == hold.expires_at
    before = timezone.now()
    later = as_service.end(held, "extend", ttl_seconds=3600)
    expires_at = Hold.objects.get().expires_at
    assert later.json()["expires_at"] == f"{expires_at:%Y-%m-%dT%H:%M:%SZ}"
    # Counted from now, by the database's clock, which runs on the same machine.
    assert abs(expires_at - before - timedelta(seconds=3600)) < timedelta(seconds=600)
    assert "Idempotent-Replayed" not in later
    assert standing() == (42, 5, 1)


def test_a_hold_lasts_at_most_seven_days_from_its_beginning(as_service, give):
    give("usr_1", 42)
    hold = lasting(6.5, more=timedelta(hours=1))
    assert as_service.end(hold.pk, "extend", ttl_seconds=11 * 3600).status_code == 200
    extended = Hold.objects.get().expires_at
    conflict(as_service.end(hold.pk, "extend", ttl_seconds=13 * 3600), *TOO_OLD)
    conflict(as_service.end(hold.pk, "extend", ttl_seconds=604_800), *TOO_OLD)
    assert Hold.objects.get().expires_at == extended
    assert as_service.end(hold.pk, "capture").json()["state"] == "captured"


def test_even_a_new_hold_cannot_be_extended_by_seven_days(as_service, held):
    conflict(as_service.end(held, "extend", ttl_seconds=604_800), *TOO_OLD)


def test_an_extended_hold_outlives_its_first_end(as_service, give, article_rate):
    give("usr_1", 6)
    short = as_service.hold(ttl_seconds=1).json()["holdId"]
    long = as_service.hold(ttl_seconds=30, key="chat:78").json()["holdId"]
    assert as_service.end(long, "extend", ttl_seconds=3600).status_code == 200
    wait_for_the_end(short)
    assert as_service.get(f"/io/wallet/holds/{short}", user_id="usr_1").json()["state"] == "expired"
    assert as_service.end(long, "capture").json()["state"] == "captured"


# --- Whose hold -------------------------------------------------------------------------------------

NO_HOLD = {"error": "There is no such hold", "code": "not_found"}


@pytest.mark.parametrize("verb", VERBS)
def test_a_hold_of_another_product_or_user_is_not_there(as_service, give, held, verb):
    give("usr_2", 5)
    body = VERBS[verb]
    for response in (
        product("mail").end(held, verb, **body),
        as_service.end(held, verb, "usr_2", **body),
        as_service.end(held, verb, "usr_unknown", **body),
        as_service.end("hold_01jb3kq2w8z6h6c1d1e0r2m4aa", verb, **body),
    ):
        assert (response.status_code, response.json()) == (404, NO_HOLD)
    assert standing() == (42, 5, 1)
    assert not Wallet.objects.filter(pk="usr_unknown").exists()


@pytest.mark.parametrize("verb", VERBS)
def test_another_key_of_the_product_ends_the_hold(held, verb):
    assert product("blog").end(held, verb, **VERBS[verb]).status_code == 200


ODD_IDS = ("%00", "a%00b", "%ff", "%0a", "%20", "%2e%2e", "hold_%e2%80%8b", "x" * 5000, "'", '"', "%25", "☃")


@pytest.mark.parametrize("verb", VERBS)
def test_an_odd_id_is_a_hold_that_is_not_there(as_service, held, verb, subtests):
    for odd in ODD_IDS:
        with subtests.test(odd=odd[:20]):
            response = as_service.end(odd, verb, **VERBS[verb])
            assert (response.status_code, response.json()) == (404, NO_HOLD)
    for slashed in (f"{held}/", f"{held}/x", "", "a/b"):
        with subtests.test(slashed=slashed):
            response = as_service.end(slashed, verb, **VERBS[verb])
            assert response.status_code == 404
            assert response.json()["code"] == "not_found"
    assert standing() == (42, 5, 1)
