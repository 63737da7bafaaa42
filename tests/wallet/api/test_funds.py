"""GET /io/wallet/funds: the balance, what is held, and what can be spent."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from tests.wallet.holding import past_hold
from tests.wallet.reversed import leave_owing
from wallet.models import Entry, Hold, Wallet

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/funds"


def read(caller, **query):
    """The answer without its time, which is now."""
    response = caller.get(PATH, **query)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    funds = response.json()
    at = datetime.strptime(funds.pop("at"), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(timezone.now() - at) < timedelta(minutes=10)
    return funds


def funds(balance: int, held: int = 0, user_id: str = "usr_1"):
    return {
        "user_id": user_id,
        "balance": balance,
        "held": held,
        "available": balance - held,
        "paid": balance,
        "granted": 0,
        "grants": [],
    }


def test_what_open_holds_have_set_aside_is_not_available(as_service, give, article_rate):
    give("usr_1", 50)
    assert read(as_service, user_id="usr_1") == funds(50)
    hold_id = as_service.hold(count=5).json()["holdId"]
    as_service.hold(count=2, key="chat:78")
    assert read(as_service, user_id="usr_1") == funds(50, 7)
    as_service.end(hold_id, "capture", count=3)
    assert read(as_service, user_id="usr_1") == funds(47, 2)


def test_the_names_are_in_this_order(as_service, give):
    give("usr_1", 50)
    assert list(as_service.get(PATH, user_id="usr_1").json()) == [
        "user_id", "at", "balance", "held", "available", "paid", "granted", "grants",
    ]  # fmt: skip


def test_an_overdue_hold_holds_nothing_and_reading_writes_nothing(as_service, give):
    give("usr_1", 50)
    past_hold(credits=8)
    assert read(as_service, user_id="usr_1") == funds(50)
    assert Hold.objects.get().state == "open"
    assert Wallet.objects.get().held == 8


def test_a_debt_is_negative(as_service, give):
    leave_owing(give, "usr_1", 15)
    assert read(as_service, user_id="usr_1") == funds(-15)


def test_an_unknown_user_has_zeros_and_gets_no_wallet(as_service, as_user):
    assert read(as_service, user_id="usr_new") == funds(0, user_id="usr_new")
    assert read(as_user("usr_new")) == funds(0, user_id="usr_new")
    assert not Wallet.objects.exists()


def test_a_user_reads_their_own_funds_of_every_product(as_service, as_user, give, article_rate):
    give("usr_1", 50)
    give("usr_2", 7)
    as_service.hold(count=5)
    assert read(as_user("usr_1")) == read(as_user("usr_1"), user_id="usr_1") == funds(50, 5)


def test_a_user_may_not_read_another_users_funds(as_user, give):
    give("usr_2", 7)
    response = as_user("usr_1").get(PATH, user_id="usr_2")
    assert response.status_code == 403
    assert response.json() == {"error": "You may read your own wallet only", "code": "not_yours"}


def test_an_anonymous_caller_reads_nothing(as_anonymous):
    response = as_anonymous.get(PATH, user_id="usr_1")
    assert response.status_code == 401
    assert response.json() == {
        "error": "Send an SSO access token as Authorization: Bearer, or a service key",
        "code": "no_credentials",
    }
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Cache-Control"] == "no-store"


def test_a_product_must_say_whose_funds(as_service):
    response = as_service.get(PATH)
    assert response.status_code == 400
    assert response.json() == {"error": "user_id is required", "code": "invalid"}


@pytest.mark.parametrize("at", ["", "2026-06-01T00:00:00Z", "2126-06-01T00:00:00Z", "now", "\x00"])
def test_only_the_present_can_be_read(as_service, give, at):
    give("usr_1", 50)
    response = as_service.get(PATH, user_id="usr_1", at=at)
    assert response.status_code == 400
    assert response.json() == {"error": "Only the present can be read: leave `at` out", "code": "invalid"}


def test_the_time_is_never_before_the_last_entry(as_service, give):
    give("usr_1", 50)
    at = as_service.get(PATH, user_id="usr_1").json()["at"]
    assert at >= f"{Entry.objects.get().created_at:%Y-%m-%dT%H:%M:%SZ}"


def test_head_answers_like_get_without_a_body(as_service, give):
    give("usr_1", 50)
    response = as_service.client.head(f"{PATH}?user_id=usr_1", headers=as_service.headers)
    assert (response.status_code, response.content) == (200, b"")
