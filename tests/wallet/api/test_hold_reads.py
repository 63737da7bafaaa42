"""GET /io/wallet/holds and /io/wallet/holds/{id}: a product reads its own, a user those of every product."""

from datetime import timedelta

import pytest
from django.utils import timezone

from foundation.http.cursors import cursor_at
from tests.conftest import Caller, product
from tests.wallet.holding import many_holds, past_hold
from wallet.models import Entry, Hold, Wallet

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/holds"


def ids(caller: Caller, **query) -> list[str]:
    response = caller.get(PATH, **query)
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["items"]]


@pytest.fixture
def every_state(as_service, give, article_rate):
    """A user with a hold in each state, an overdue one among them; the holds' ids by what they are."""
    give("usr_1", 42)
    found = {"expired": past_hold(key="past:1").pk}
    for state, verb in (("open", None), ("captured", "capture"), ("voided", "void")):
        found[state] = as_service.hold(key=state).json()["holdId"]
        if verb:
            as_service.end(found[state], verb)
    found["overdue"] = past_hold(key="past:2", created_at=timezone.now() - timedelta(hours=2)).pk
    assert Hold.objects.get(pk=found["overdue"]).state == "open"
    assert Hold.objects.get(pk=found["expired"]).state == "expired"
    return found


# --- One hold ---------------------------------------------------------------------------------------


def test_an_open_hold(as_service, give, article_rate):
    give("usr_1", 42)
    made = as_service.hold(count=5).json()
    response = as_service.get(f"{PATH}/{made['holdId']}", user_id="usr_1")
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in response
    assert response.json() == {
        "id": made["holdId"],
        "user_id": "usr_1",
        "product": "blog",
        "state": "open",
        "feature": "blog.article.generate",
        "count": 5,
        "credits": 5,
        "created_at": f"{Hold.objects.get().created_at:%Y-%m-%dT%H:%M:%SZ}",
        "expires_at": made["expiresAt"],
    }


def test_an_overdue_hold_reads_as_expired(as_service, give):
    give("usr_1", 42)
    hold = past_hold(credits=5)
    row = as_service.get(f"{PATH}/{hold.pk}", user_id="usr_1").json()
    assert row["state"] == "expired"
    assert row["ended_at"] == row["expires_at"]
    assert as_service.get(PATH, user_id="usr_1").json()["items"] == [row]
    # Reading wrote nothing.
    assert Hold.objects.get().state == "open"


def test_a_hold_reads_as_it_ended(as_service, every_state):
    for state in ("captured", "voided"):
        row = as_service.get(f"{PATH}/{every_state[state]}", user_id="usr_1").json()
        assert row["state"] == state
        assert row["ended_at"] >= row["created_at"]
    captured = as_service.get(f"{PATH}/{every_state['captured']}", user_id="usr_1").json()
    assert captured["transaction_id"] == Entry.objects.get(kind="capture").pk


@pytest.mark.parametrize("odd", ["hold_01jb3kq2w8z6h6c1d1e0r2m4aa", "%00", "%ff", "x" * 5000, "capture", "☃"])
def test_an_unknown_hold_is_not_there(as_service, give, odd):
    give("usr_1", 1)
    response = as_service.get(f"{PATH}/{odd}", user_id="usr_1")
    assert response.status_code == 404
    assert response.json() == {"error": "There is no such hold", "code": "not_found"}
    assert response["Cache-Control"] == "no-store"


def test_a_hold_of_another_product_or_user_is_not_there(as_service, as_user, every_state):
    address = f"{PATH}/{every_state['open']}"
    for response in (
        product("mail").get(address, user_id="usr_1"),
        as_service.get(address, user_id="usr_2"),
        as_user("usr_2").get(address),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_a_user_reads_their_own_hold_of_any_product(as_user, every_state):
    for query in ({}, {"user_id": "usr_1"}):
        row = as_user("usr_1").get(f"{PATH}/{every_state['open']}", **query).json()
        assert (row["id"], row["product"]) == (every_state["open"], "blog")


# --- Lists ------------------------------------------------------------------------------------------


def test_the_newest_comes_first(as_service, every_state):
    order = ["voided", "captured", "open", "expired", "overdue"]
    assert ids(as_service, user_id="usr_1") == [every_state[each] for each in order]


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("open", ["open"]),
        ("captured", ["captured"]),
        ("voided", ["voided"]),
        ("expired", ["expired", "overdue"]),
    ],
)
def test_holds_in_one_state(as_service, every_state, state, found):
    response = as_service.get(PATH, user_id="usr_1", state=state)
    assert [row["id"] for row in response.json()["items"]] == [every_state[each] for each in found]
    assert {row["state"] for row in response.json()["items"]} == {state}


@pytest.mark.parametrize("state", ["", "Open", "overdue", "open ", "open,voided", "\x00"])
def test_another_state_is_refused(as_service, state):
    response = as_service.get(PATH, user_id="usr_1", state=state)
    assert response.status_code == 400
    assert response.json() == {
        "error": "state must be one of open, captured, voided, expired",
        "code": "invalid",
    }


def test_a_product_reads_its_own_and_a_user_all(as_service, as_user, give, article_rate):
    give("usr_1", 10)
    mail = product("mail")
    of_blog, of_mail = as_service.hold().json()["holdId"], mail.hold().json()["holdId"]
    as_service.hold("usr_2")
    assert ids(as_service, user_id="usr_1") == [of_blog]
    assert ids(mail, user_id="usr_1") == [of_mail]
    assert ids(as_user("usr_1")) == [of_mail, of_blog]
    assert ids(as_user("usr_1"), user_id="usr_1") == [of_mail, of_blog]


def test_a_user_may_not_read_another_users_holds(as_user, every_state):
    for address in (PATH, f"{PATH}/{every_state['open']}"):
        response = as_user("usr_2").get(address, user_id="usr_1")
        assert response.status_code == 403
        assert response.json() == {"error": "You may read your own wallet only", "code": "not_yours"}


def test_an_anonymous_caller_reads_nothing(as_anonymous):
    for address in (PATH, f"{PATH}/hold_1"):
        response = as_anonymous.get(address, user_id="usr_1")
        assert response.status_code == 401
        assert response.json()["code"] == "no_credentials"
        assert response["WWW-Authenticate"] == "Bearer"


def test_a_product_must_say_whose_holds(as_service):
    response = as_service.get(PATH)
    assert response.status_code == 400
    assert response.json() == {"error": "user_id is required", "code": "invalid"}


def test_an_unknown_user_has_no_holds_and_gets_no_wallet(as_service, as_user):
    for response in (as_service.get(PATH, user_id="usr_new"), as_user("usr_new").get(PATH)):
        assert response.status_code == 200
        assert response.content == b'{"items":[],"nextCursor":null}'
        assert response["Cache-Control"] == "no-store"
    assert not Wallet.objects.exists()


# --- Pages ------------------------------------------------------------------------------------------


def pages(caller: Caller, **query) -> list[list[str]]:
    """Every page, by its cursors."""
    found: list[list[str]] = []
    cursor: dict[str, str] = {}
    while True:
        page = caller.get(PATH, **query, **cursor).json()
        found.append([row["id"] for row in page["items"]])
        if page["nextCursor"] is None:
            return found
        cursor = {"cursor": page["nextCursor"]}


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
def test_pages_show_each_hold_once_in_one_order(as_service, every_state, limit):
    whole = ids(as_service, user_id="usr_1")
    found = pages(as_service, user_id="usr_1", limit=limit)
    assert [each for page in found for each in page] == whole
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert len(found) == -(-5 // limit)


def test_holds_of_one_moment_are_in_the_order_of_their_ids(as_service, give):
    give("usr_1", 7)
    many_holds(7)
    expected = sorted((hold.pk for hold in Hold.objects.all()), reverse=True)
    assert [each for page in pages(as_service, user_id="usr_1", limit=2) for each in page] == expected


def test_a_page_has_twenty_holds_unless_more_are_asked_for(as_service, give):
    give("usr_1", 101)
    many_holds(101)
    assert len(ids(as_service, user_id="usr_1")) == 20
    assert len(ids(as_service, user_id="usr_1", limit=100)) == 100


def test_pages_of_one_state_go_on_after_a_hold_that_left_it(as_service, give, article_rate):
    give("usr_1", 10)
    made = [as_service.hold(key=f"chat:{n}").json()["holdId"] for n in range(4)]
    first = as_service.get(PATH, user_id="usr_1", state="open", limit=2).json()
    as_service.end(made[2], "void")
    second = as_service.get(PATH, user_id="usr_1", state="open", cursor=first["nextCursor"]).json()
    assert [row["id"] for row in second["items"]] == [made[1], made[0]]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.0", "x", "", " 5", "٣", "1e1", "9" * 5000])
def test_a_limit_is_from_1_to_100(as_service, limit):
    response = as_service.get(PATH, user_id="usr_1", limit=limit)
    assert response.status_code == 400
    assert response.json() == {"error": "limit must be an integer from 1 to 100", "code": "invalid"}


def test_a_cursor_of_another_list_is_refused(as_service, give, article_rate, every_state):
    give("usr_2", 5)
    theirs = as_service.hold("usr_2").json()["holdId"]
    mails = product("mail").hold().json()["holdId"]
    entry = Entry.objects.filter(wallet_id="usr_1")[0].pk
    for cursor in (cursor_at(theirs), cursor_at(mails), cursor_at(entry), cursor_at("hold_1"), "", "x", "é"):
        response = as_service.get(PATH, user_id="usr_1", cursor=cursor)
        assert response.status_code == 400, cursor
        assert response.json() == {"error": "Invalid cursor", "code": "invalid"}


@pytest.mark.parametrize("name", ["user_id", "state", "limit", "cursor"])
def test_a_parameter_named_twice_is_refused(as_service, name):
    values = {"user_id": "usr_1", "state": "open", "limit": "5", "cursor": "x"} | {name: ["open", "voided"]}
    response = as_service.get(PATH, **values)
    assert response.status_code == 400
    assert response.json() == {"error": f"{name} is given twice", "code": "invalid"}


def test_head_answers_like_get_without_a_body(as_service, every_state):
    for address in (PATH, f"{PATH}/{every_state['open']}"):
        response = as_service.client.head(f"{address}?user_id=usr_1", headers=as_service.headers)
        assert response.status_code == 200
        assert response.content == b""
        assert response["Cache-Control"] == "no-store"
