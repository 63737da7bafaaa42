"""GET /io/wallet/funds: the balance, what is held, granted and can be spent, now or at a past time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import product
from tests.wallet import by_hand
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


def test_the_time_is_never_before_the_last_entry(as_service, give):
    give("usr_1", 50)
    at = as_service.get(PATH, user_id="usr_1").json()["at"]
    assert at >= f"{Entry.objects.get().created_at:%Y-%m-%dT%H:%M:%SZ}"


def test_head_answers_like_get_without_a_body(as_service, give):
    give("usr_1", 50)
    response = as_service.client.head(f"{PATH}?user_id=usr_1", headers=as_service.headers)
    assert (response.status_code, response.content) == (200, b"")


# --- Grants -----------------------------------------------------------------------------------------


def granted(caller, clock, days: int, key: str = "welcome", credits: int = 10) -> dict[str, Any]:
    """A grant that ends so many days from now, as `funds` shows it while it is whole."""
    response = caller.grant(key=key, credits=credits, expires_at=f"{clock.now + timedelta(days=days)}")
    assert response.status_code == 200, response.content
    grant = response.json()
    return {name: grant[name] for name in ("id", "remaining", "held", "expires_at")}


def at_now(caller, clock, **query) -> dict[str, Any]:
    """What the caller reads at the clock's present."""
    return caller.get(PATH, user_id="usr_1", **query).json()


def test_grants_are_told_in_the_order_in_which_they_pay(as_service, as_user, give, clock, article_rate):
    give("usr_1", 40)
    last, first = granted(as_service, clock, 9, "a"), granted(as_service, clock, 2, "b", credits=3)
    as_service.hold(count=5)
    response = as_service.get(PATH, user_id="usr_1")
    assert response.json() == {
        "user_id": "usr_1",
        "at": "2020-01-01T00:00:00Z",
        "balance": 53,
        "held": 5,
        "available": 48,
        "paid": 40,
        "granted": 13,
        "grants": [first | {"held": 3}, last | {"held": 2}],
    }
    assert list(response.json()["grants"][0]) == ["id", "remaining", "held", "expires_at"]
    assert as_user("usr_1").get(PATH).content == response.content


def test_only_the_product_and_the_user_see_which_grant_it_is(as_service, as_user, clock):
    theirs = granted(as_service, clock, 2)
    by_hand.grant(
        user_id="usr_1",
        credits=4,
        expires_at=clock.now + timedelta(days=1),
        reason="Sorry",
        key="sorry",
        actor="user:staff",
    )

    def seen_by(caller):
        return [grant.get("id") for grant in at_now(caller, clock)["grants"]]

    staffs, blogs = seen_by(as_user("usr_1"))
    assert blogs == theirs["id"]
    assert staffs.startswith("grant_")
    assert seen_by(as_service) == [None, blogs]
    assert seen_by(product("mail")) == [None, None]
    assert "id" not in at_now(product("mail"), clock)["grants"][0]
    # At a past time too.
    at = clock.now.isoformat()
    clock.advance(1)
    assert [grant.get("id") for grant in at_now(as_service, clock, at=at)["grants"]] == [None, blogs]


def test_a_grant_that_has_ended_is_gone_but_for_what_holds_have_set_aside(
    as_service, give, clock, article_rate
):
    give("usr_1", 1)
    grant = granted(as_service, clock, 1)
    as_service.hold(count=4, ttl_seconds=2 * 86_400)
    clock.advance(days=1)
    funds = at_now(as_service, clock)
    assert funds["grants"] == [grant | {"remaining": 4, "held": 4}]
    assert (funds["balance"], funds["held"], funds["available"]) == (5, 4, 1)
    assert (funds["paid"], funds["granted"]) == (1, 4)
    clock.advance(days=1)
    funds = at_now(as_service, clock)
    assert (funds["balance"], funds["held"], funds["granted"], funds["grants"]) == (1, 0, 0, [])
    # Reading wrote nothing: all that is still in the books.
    assert (Wallet.objects.get().balance, Wallet.objects.get().granted) == (11, 10)


# --- At a past time ---------------------------------------------------------------------------------


def test_every_past_moment_reads_as_it_was_read_then(as_service, as_user, give, clock, article_rate):
    """The steps are a microsecond apart, and no time is of a whole second."""
    clock.advance(microseconds=1)
    noted: dict[str, bytes] = {}

    def step(response=None, **later):
        assert response is None or response.status_code == 200, response.content
        noted[clock.now.isoformat()] = as_service.get(PATH, user_id="usr_1").content
        clock.advance(**later or {"microseconds": 1})

    step()
    give("usr_1", 25)
    step()
    grant_id = as_service.grant(expires_at=f"{clock.now + timedelta(days=2)}").json()["id"]
    as_service.grant(key="soon", credits=3, expires_at=f"{clock.now + timedelta(hours=1)}")
    step()
    step(as_service.deduct(count=5, idempotency_key="article:1"))
    hold = as_service.hold(key="a", count=4).json()["holdId"]
    step()
    step(as_service.hold(key="b", count=2, ttl_seconds=60))
    step(as_service.end(hold, "capture", count=1))
    step(as_service.refund(charge_key="article:1", credits=4))
    step(as_service.hold(key="c", count=6, ttl_seconds=600_000), seconds=60)
    step(hours=1)  # A hold has ended, and nothing wrote it down.
    step(microseconds=1)  # So has a grant.
    step(as_service.deduct(count=1))  # Here both were written down.
    step(as_service.post(f"/io/wallet/grants/{grant_id}/void", {"user_id": "usr_1"}))
    step(as_service.end(as_service.hold(key="c", count=6).json()["holdId"], "void"))
    step(days=3)
    assert len(noted) == 15
    for at, funds in noted.items():
        assert as_service.get(PATH, user_id="usr_1", at=at).content == funds, at
    assert as_user("usr_1").get(PATH, at=at).content == as_service.get(PATH, user_id="usr_1", at=at).content


def test_at_the_microsecond_of_an_entry_it_is_counted(as_service, give, clock):
    clock.advance(microseconds=123_456)
    give("usr_1", 7)
    clock.advance(1)

    def balance(at: str) -> int:
        return at_now(as_service, clock, at=at)["balance"]

    assert balance("2020-01-01T00:00:00.123456Z") == 7
    assert balance("2020-01-01T00:00:00.123455Z") == 0
    assert balance("2020-01-01T00:00:00.123456") == 7  # In UTC, if no offset is given.
    assert balance("2020-01-01T02:00:00.123456+02:00") == 7
    assert balance("2020-01-01T00:00:01.123456Z") == 7  # The present is no future.
    # Parts of a second are read, and the answer leaves them out.
    assert at_now(as_service, clock, at="2020-01-01T00:00:00.123456Z")["at"] == "2020-01-01T00:00:00Z"


def test_a_time_to_come_is_refused(as_service, as_user, give, clock):
    give("usr_1", 7)
    for caller in (as_service, as_user("usr_1")):
        for at in (clock.now + timedelta(microseconds=1), "9999-12-31T23:59:59.999999Z"):
            response = caller.get(PATH, user_id="usr_1", at=f"{at}")
            assert response.status_code == 400
            assert response.json() == {"error": "at must not be in the future", "code": "invalid"}
    assert as_service.get(PATH, user_id="usr_new", at="2020-01-01T00:00:00.000001Z").status_code == 400


@pytest.mark.parametrize(
    "at",
    [
        *("", " ", "now", "\x00", "2020", "2020-13-01", "2020-01-32T00:00:00Z", "2020-01-01T24:01:00Z"),
        *("2020-01-01T00:00:00 00:00", "1577836800", "20200101T000000Z", "0001-01-01T00:00:00+23:59"),
        *("2020-01-01T00:00:00Z" + "0" * 5000, "\N{ARABIC-INDIC DIGIT TWO}020-01-01"),
    ],
)
def test_a_time_that_is_none_is_refused(as_service, give, at):
    response = as_service.get(PATH, user_id="usr_1", at=at)
    assert response.status_code == 400
    assert response.json() == {"error": "at must be a time in ISO 8601", "code": "invalid"}


def test_a_time_named_twice_is_refused(as_service):
    response = as_service.get(PATH, user_id="usr_1", at=["2020-01-01", "2020-01-02"])
    assert (response.status_code, response.json()["error"]) == (400, "at is given twice")


@pytest.mark.parametrize("at", ["2019-12-31T23:59:59.999999Z", "0001-01-01", "1970-01-01T00:00:00Z"])
def test_before_the_wallet_there_was_nothing(as_service, give, clock, article_rate, at):
    give("usr_1", 7)
    as_service.grant(expires_at=f"{clock.now + timedelta(days=2)}")
    as_service.hold()
    for user_id in ("usr_1", "usr_new"):
        response = as_service.get(PATH, user_id=user_id, at=at)
        assert response.status_code == 200
        assert response.json() == funds(0, user_id=user_id) | {"at": f"{at[:10]}T{at[11:19] or '00:00:00'}Z"}


def test_a_debt_of_a_past_time(as_service, give):
    leave_owing(give, "usr_1", 15)
    at = Entry.objects.of_user("usr_1")[0].created_at
    give("usr_1", 20)
    assert as_service.get(PATH, user_id="usr_1", at=at.isoformat()).json()["available"] == -15
