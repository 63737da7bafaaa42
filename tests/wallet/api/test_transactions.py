"""GET /io/wallet/transactions"""

import base64
import json
import re
from itertools import pairwise

import pytest

from tests.wallet import by_hand
from wallet.charges import debits
from wallet.models import Entry, Wallet

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/transactions"


def cursor_of(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.fixture
def long_history(give, article_rate):
    """45 charges after one top-up of 100, oldest first."""
    entries = [give("usr_1", 100)]
    for number in range(45):
        entries.append(
            debits.debit(
                user_id="usr_1",
                credits=1,
                kind=Entry.Kind.DEDUCT,
                actor="test",
                feature=article_rate,
                count=1,
                idempotency_key=f"k{number}",
            )
        )
    return entries


# --- The rows ---------------------------------------------------------------------------------------


def test_a_product_reads_a_users_history(as_service, give, article_rate):
    bought = give("usr_1", 25, "cs_live_a")
    as_service.deduct("usr_1", idempotency_key="secret-to-the-blog")
    spent = Entry.objects.get(kind="deduct")
    response = as_service.get(PATH, user_id="usr_1")
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert response.json() == {
        "items": [
            {
                "id": spent.pk,
                "type": "deduct",
                "feature": "blog.article.generate",
                "credits": -1,
                "balance_after": 24,
                "created_at": f"{spent.created_at:%Y-%m-%dT%H:%M:%SZ}",
            },
            {
                "id": bought.pk,
                "type": "topup",
                "credits": 25,
                "balance_after": 25,
                "stripe_session_id": "cs_live_a",
                "created_at": f"{bought.created_at:%Y-%m-%dT%H:%M:%SZ}",
            },
        ],
        "nextCursor": None,
    }


def test_ids_and_times_have_their_documented_form(as_service, give):
    give("usr_1", 25)
    (row,) = as_service.get(PATH, user_id="usr_1").json()["items"]
    assert re.fullmatch("txn_[0-9a-z]{26}", row["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["created_at"])


def test_credits_given_back_name_their_feature(as_service, give, article_rate):
    give("usr_1", 25)
    as_service.deduct("usr_1", count=2)
    by_hand.give_back(entry=Entry.objects.get(kind="deduct"), reason="It failed", key="r", actor="test")
    row = as_service.get(PATH, user_id="usr_1").json()["items"][0]
    assert (row["type"], row["feature"], row["credits"]) == ("refund", "blog.article.generate", 2)
    assert "stripe_session_id" not in row


def test_an_adjustment_has_neither_feature_nor_session(as_service):
    by_hand.adjust(user_id="usr_1", credits=5, reason="A gift", key="a", actor="user:staff:1")
    (row,) = as_service.get(PATH, user_id="usr_1").json()["items"]
    assert set(row) == {"id", "type", "credits", "balance_after", "created_at"}
    assert (row["type"], row["credits"]) == ("adjustment", 5)


def test_a_user_without_history_has_an_empty_page(as_service):
    response = as_service.get(PATH, user_id="usr_new")
    assert response.status_code == 200
    assert response.content == b'{"items":[],"nextCursor":null}'
    assert not Wallet.objects.exists()


# --- Whose ------------------------------------------------------------------------------------------


def test_a_user_reads_their_own_history(as_user, give):
    mine = give("usr_1", 25)
    give("usr_2", 30)
    rows = as_user("usr_1").get(PATH).json()["items"]
    assert [row["id"] for row in rows] == [mine.pk]


def test_a_user_may_not_read_another_users_history(as_user, give):
    give("usr_2", 30)
    response = as_user("usr_1").get(PATH, user_id="usr_2")
    assert response.status_code == 403
    assert response.json() == {"error": "You may read your own wallet only"}


def test_an_anonymous_caller_reads_nothing(as_anonymous):
    assert as_anonymous.get(PATH, user_id="usr_1").status_code == 401


def test_a_product_must_say_whose_history(as_service):
    response = as_service.get(PATH)
    assert response.status_code == 400
    assert response.json() == {"error": "user_id is required"}


# --- Page by page -----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 1, 7, 23, 45, 46, 100])
def test_following_the_cursor_tells_the_whole_history_once(as_service, long_history, limit):
    asked = {} if limit is None else {"limit": limit}
    rows, cursor = [], None
    while True:
        page = as_service.get(PATH, user_id="usr_1", **asked, **({"cursor": cursor} if cursor else {})).json()
        assert 1 <= len(page["items"]) <= (limit or 20)
        rows += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
        assert base64.urlsafe_b64decode(cursor + "==") == b'{"id":"%s"}' % rows[-1]["id"].encode()
    assert [row["id"] for row in rows] == [entry.pk for entry in reversed(long_history)]
    for row, older in pairwise(rows):
        assert row["balance_after"] == older["balance_after"] + row["credits"]


def test_a_page_that_ends_with_the_history_has_no_next(as_service, long_history):
    page = as_service.get(PATH, user_id="usr_1", limit=46).json()
    assert len(page["items"]) == 46
    assert page["nextCursor"] is None


def test_twenty_is_the_default(as_service, long_history):
    page = as_service.get(PATH, user_id="usr_1").json()
    assert len(page["items"]) == 20
    last = base64.urlsafe_b64decode(page["nextCursor"] + "==")
    assert last == b'{"id":"%s"}' % page["items"][-1]["id"].encode()


def test_what_happens_meanwhile_does_not_shift_the_next_page(as_service, long_history):
    first = as_service.get(PATH, user_id="usr_1", limit=5).json()
    as_service.deduct("usr_1")
    second = as_service.get(PATH, user_id="usr_1", limit=5, cursor=first["nextCursor"]).json()
    expected = [entry.pk for entry in reversed(long_history)][:10]
    assert [row["id"] for row in first["items"] + second["items"]] == expected


def test_the_cursor_after_the_oldest_entry_gives_an_empty_page(as_service, long_history):
    cursor = cursor_of({"id": long_history[0].pk})
    page = as_service.get(PATH, user_id="usr_1", cursor=cursor).json()
    assert page == {"items": [], "nextCursor": None}


@pytest.mark.parametrize(
    "limit", ["0", "-1", "101", "1000000", "9" * 30, "9" * 3000, "abc", "", "1.0", "1e1"]
)
def test_a_limit_outside_1_to_100_is_refused(as_service, limit):
    response = as_service.get(PATH, user_id="usr_1", limit=limit)
    assert response.status_code == 400
    assert response.json() == {"error": "limit must be an integer from 1 to 100"}


@pytest.mark.parametrize("limit", [" 5", "5 ", "+5", "0x5", "٥", "5\x00", "5_0", "null"])
def test_a_limit_is_written_in_plain_digits(as_service, limit):
    assert as_service.get(PATH, user_id="usr_1", limit=limit).status_code == 400


@pytest.mark.parametrize("name", ["limit", "cursor"])
def test_a_parameter_given_twice_is_refused(as_service, name):
    response = as_service.get(PATH, user_id="usr_1", **{name: ["5", "6"]})
    assert response.status_code == 400
    assert response.json() == {"error": f"{name} is given twice"}


MALFORMED = (
    "",
    "x",
    "%%%",
    "é",
    "\x00",
    "====",
    "AAAA",
    "_w",
    "A" * 3000,
    "txn_01jb3kq2w8z6h6c1d1e0r2m4aa",
    cursor_of({}),
    cursor_of([]),
    cursor_of(None),
    cursor_of("id"),
    cursor_of(7),
    cursor_of({"id": None}),
    cursor_of({"id": 7}),
    cursor_of({"id": ["txn_1"]}),
    cursor_of({"id": ""}),
    cursor_of({"id": "a\x00b"}),
    cursor_of({"id": "\ud800"}),
    cursor_of({"id": "txn_unknown"}),
    cursor_of({"ID": "txn_unknown"}),
    base64.urlsafe_b64encode(b"[" * 2000).decode(),
    base64.urlsafe_b64encode(b"9" * 4000).decode(),
)


def test_a_malformed_cursor_is_refused(as_service, long_history, subtests):
    for cursor in MALFORMED:
        with subtests.test(cursor=ascii(cursor)[:50]):
            response = as_service.get(PATH, user_id="usr_1", cursor=cursor)
            assert response.status_code == 400
            assert response.json() == {"error": "Invalid cursor"}


def test_a_cursor_of_another_wallet_is_as_unknown_as_one_that_never_was(as_service, give, long_history):
    foreign = give("usr_2", 10)
    response = as_service.get(PATH, user_id="usr_1", cursor=cursor_of({"id": foreign.pk}))
    assert response.status_code == 400
    assert response.json() == {"error": "Invalid cursor"}


def test_a_users_cursor_does_not_open_another_wallet(as_user, long_history):
    response = as_user("usr_2").get(PATH, cursor=cursor_of({"id": long_history[5].pk}))
    assert response.status_code == 400
    assert response.json() == {"error": "Invalid cursor"}
