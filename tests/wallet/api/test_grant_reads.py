"""GET /io/wallet/grants: a product reads its own grants, a user those of every product and of staff."""

from datetime import timedelta

import pytest

from foundation.http.cursors import cursor_at
from tests.conftest import Caller, product
from tests.wallet import by_hand
from tests.wallet.api.endpoints import GRANTS
from wallet.models import Entry, Wallet

pytestmark = pytest.mark.django_db


def ids(caller: Caller, **query) -> list[str]:
    response = caller.get(GRANTS, **query)
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["items"]]


@pytest.fixture
def grant(as_service, clock):
    """Grant credits by the API; the grant's id."""

    def make(caller: Caller = as_service, *, user_id: str = "usr_1", **body) -> str:
        expires_at = f"{clock.now + timedelta(days=body.pop('days', 30))}"
        key = f"grant at {clock.now}"
        response = caller.grant(user_id, key, **{"expires_at": expires_at} | body)
        clock.advance(1)
        return response.json()["id"]

    return make


@pytest.fixture
def every_state(as_service, grant, clock, article_rate):
    """A user with grants in each state; the grants' ids by what they are. The newest is named last."""
    found = {"expired": grant(days=1, credits=3)}
    found["held"] = grant(days=1, credits=5)
    as_service.hold(key="long", count=3 + 4, ttl_seconds=7 * 86_400)
    clock.advance(days=1)
    found["used"] = grant(days=1, credits=2)
    as_service.deduct(count=2)
    clock.advance(days=1)
    found["unwritten"] = grant(days=1)
    clock.advance(days=1)
    found["voided"] = grant()
    as_service.post(f"{GRANTS}/{found['voided']}/void", {"user_id": "usr_1"})
    found["overdue"] = grant(credits=8)
    as_service.hold(key="short", count=2, ttl_seconds=1)
    found["active"] = grant(days=40, credits=9)
    as_service.hold(key="open", count=8 + 4, ttl_seconds=7 * 86_400)
    as_service.deduct(count=1)
    return found


def test_each_grant_as_it_is_now(as_service, as_user, every_state):
    response = as_service.get(GRANTS, user_id="usr_1", limit=100)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert response.json()["nextCursor"] is None
    names = {grant_id: name for name, grant_id in every_state.items()}
    rows = response.json()["items"]
    assert {names[row["id"]]: (row["state"], row["remaining"], row["held"]) for row in rows} == {
        "active": ("active", 8, 4),
        "overdue": ("active", 8, 8),
        "voided": ("voided", 0, 0),
        "unwritten": ("expired", 0, 0),
        "used": ("used", 0, 0),
        "held": ("expired", 4, 4),
        "expired": ("expired", 3, 3),
    }
    assert as_user("usr_1").get(GRANTS, limit=100).content == response.content
    # The newest comes first.
    assert [names[row["id"]] for row in rows] == list(every_state)[::-1]
    for state in ("active", "used", "expired", "voided"):
        in_state = as_service.get(GRANTS, user_id="usr_1", state=state).json()["items"]
        assert in_state == [row for row in rows if row["state"] == state]


def test_a_row_says_what_the_answer_to_the_grant_said(as_service, grant, clock):
    grant_id = grant(reason="Sorry")
    [row] = as_service.get(GRANTS, user_id="usr_1").json()["items"]
    assert row == {
        "id": grant_id,
        "user_id": "usr_1",
        "product": "blog",
        "transaction_id": Entry.objects.get().pk,
        "state": "active",
        "credits": 10,
        "remaining": 10,
        "held": 0,
        "reason": "Sorry",
        "created_at": "2020-01-01T00:00:00Z",
        "expires_at": "2020-01-31T00:00:00Z",
    }


def test_another_state_is_refused(as_service):
    error = "state must be one of active, used, expired, voided"
    for state in ("", "Active", "open", "used ", "active,used", "\x00"):
        response = as_service.get(GRANTS, user_id="usr_1", state=state)
        assert (response.status_code, response.json()) == (400, {"error": error, "code": "invalid"})


def test_a_product_reads_its_own_and_a_user_all(as_service, as_user, grant, clock):
    mail = product("mail", rights=["grant", "read"])
    of_blog, of_mail = grant(), grant(mail)
    grant(user_id="usr_2")
    by_hand.grant(
        user_id="usr_1",
        credits=4,
        expires_at=clock.now + timedelta(days=1),
        reason="Sorry",
        key="sorry",
        actor="user:staff",
    )
    assert ids(as_service, user_id="usr_1") == [of_blog]
    assert ids(mail, user_id="usr_1") == [of_mail]
    for query in ({}, {"user_id": "usr_1"}):
        of_staff, *others = as_user("usr_1").get(GRANTS, **query).json()["items"]
        assert [row["id"] for row in others] == [of_mail, of_blog]
        # Whom of the staff it came from is not told.
        assert list(of_staff) == [
            *("id", "user_id", "transaction_id", "state", "credits", "remaining", "held", "reason"),
            *("created_at", "expires_at"),
        ]


def test_who_may_not_read(as_user, as_anonymous, as_service):
    cases = {
        (403, "not_yours"): as_user("usr_2").get(GRANTS, user_id="usr_1"),
        (401, "no_credentials"): as_anonymous.get(GRANTS, user_id="usr_1"),
        (400, "invalid"): as_service.get(GRANTS),
        (403, "may_not_read"): product(rights=["grant"]).get(GRANTS, user_id="usr_1"),
    }
    for expected, response in cases.items():
        assert (response.status_code, response.json()["code"]) == expected


def test_an_unknown_user_has_no_grants_and_gets_no_wallet(as_service, as_user):
    for response in (as_service.get(GRANTS, user_id="usr_new"), as_user("usr_new").get(GRANTS)):
        assert (response.status_code, response.content) == (200, b'{"items":[],"nextCursor":null}')
    assert not Wallet.objects.exists()


def test_pages_show_each_grant_once_in_one_order(as_service, every_state):
    whole = as_service.get(GRANTS, user_id="usr_1", limit=100).json()["items"]
    first = as_service.get(GRANTS, user_id="usr_1", limit=3).json()
    second = as_service.get(GRANTS, user_id="usr_1", limit=4, cursor=first["nextCursor"]).json()
    assert (len(first["items"]), first["items"] + second["items"]) == (3, whole)
    assert second["nextCursor"] is None


def test_pages_of_one_state_go_on_after_a_grant_that_left_it(as_service, grant):
    made = [grant() for _ in range(4)]
    first = as_service.get(GRANTS, user_id="usr_1", state="active", limit=2).json()
    as_service.post(f"{GRANTS}/{made[2]}/void", {"user_id": "usr_1"})
    assert ids(as_service, user_id="usr_1", state="active", cursor=first["nextCursor"]) == made[1::-1]


def test_a_limit_is_from_1_to_100(as_service):
    error = "limit must be an integer from 1 to 100"
    for limit in ("0", "101", "1.0", "", "9" * 5000):
        response = as_service.get(GRANTS, user_id="usr_1", limit=limit)
        assert (response.status_code, response.json()) == (400, {"error": error, "code": "invalid"})


def test_a_cursor_of_another_list_is_refused(as_service, grant):
    grant()
    theirs, mails = grant(user_id="usr_2"), grant(product("mail", rights=["grant"]))
    entry = Entry.objects.filter(wallet_id="usr_1")[0].pk
    for cursor in (cursor_at(theirs), cursor_at(mails), cursor_at(entry), cursor_at("grant_1"), "", "x", "é"):
        response = as_service.get(GRANTS, user_id="usr_1", cursor=cursor)
        assert response.status_code == 400, cursor
        assert response.json() == {"error": "Invalid cursor", "code": "invalid"}


def test_a_parameter_named_twice_is_refused(as_service):
    values = {"user_id": "usr_1", "state": "used", "limit": "5", "cursor": "x"}
    for name in values:
        response = as_service.get(GRANTS, **values | {name: ["used", "voided"]})
        error = f"{name} is given twice"
        assert (response.status_code, response.json()) == (400, {"error": error, "code": "invalid"})


def test_head_answers_like_get_without_a_body(as_service, grant):
    grant()
    response = as_service.client.head(f"{GRANTS}?user_id=usr_1", headers=as_service.headers)
    assert (response.status_code, response.content) == (200, b"")
    assert response["Cache-Control"] == "no-store"
