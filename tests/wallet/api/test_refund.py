"""POST /io/wallet/refund: a product gives back a charge that it made, or a part of it."""

import pytest

from tests.conftest import product
from tests.wallet import by_hand
from tests.wallet.entries import move
from tests.wallet.holding import past_hold
from tests.wallet.reversed import take_back
from wallet.books.funds import available_of
from wallet.models import Entry, Hold, Wallet
from wallet.prices import rates

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/refund"
ARTICLE = "blog.article.generate"


@pytest.fixture
def charge(as_service, give, article_rate) -> Entry:
    """A charge of 3 out of 24 credits, with a key."""
    give("usr_1", 24)
    as_service.deduct(count=3, idempotency_key="article:my-post")
    return Entry.objects.get(kind="deduct")


def refunds() -> list[Entry]:
    return list(Entry.objects.filter(kind="refund").order_by("sequence"))


def refused(response, status: int, code: str, sentence: str, **facts: int) -> None:
    assert response.status_code == status
    assert response.json() == {"error": sentence, "code": code} | facts


# --- What is given back -----------------------------------------------------------------------------


def test_a_part_is_given_back_and_the_answer_says_what_is_left(as_service, charge):
    """The example of the contract: 2 of a charge of 3, on a balance of 21."""
    response = as_service.refund(charge_key="article:my-post", credits=2, key="undo:my-post")
    assert response.status_code == 200
    (entry,) = refunds()
    assert response.content.decode() == (
        f'{{"transaction_id":"{entry.pk}","reverses":"{charge.pk}","refunded":2,"refundable":1,'
        '"lapsed":0,"available":23}'
    )
    assert response["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in response
    assert available_of("usr_1") == 23


def test_the_entry_of_a_refund_tells_the_whole_story(as_service, charge):
    as_service.refund(charge_key="article:my-post", credits=2, key="undo:my-post", reason="It failed.")
    (entry,) = refunds()
    assert (entry.credits, entry.balance_after, entry.reverses_id) == (2, 23, charge.pk)
    assert (entry.product, entry.feature, entry.count) == ("blog", ARTICLE, None)
    assert (entry.idempotency_key, entry.reason) == ("undo:my-post", "It failed.")
    assert entry.actor.startswith("service:wsk_")
    row = as_service.get("/io/wallet/transactions", user_id="usr_1").json()["items"][0]
    assert (row["type"], row["feature"], row["credits"], row["balance_after"]) == ("refund", ARTICLE, 2, 23)
    assert "reason" not in row


@pytest.mark.parametrize("credits", [None, 3])
def test_all_that_is_left_is_given_back_unless_it_says_less(as_service, charge, credits):
    answer = as_service.refund(charge_key="article:my-post", credits=credits).json()
    assert (answer["refunded"], answer["refundable"], answer["available"]) == (3, 0, 24)


def test_the_rest_after_a_part(as_service, charge):
    as_service.refund(charge_key="article:my-post", credits=1)
    answer = as_service.refund(charge_key="article:my-post", key="undo:2").json()
    assert (answer["refunded"], answer["refundable"], answer["available"]) == (2, 0, 24)


def test_available_is_less_what_is_held(as_service, charge):
    as_service.hold(count=20)
    assert as_service.refund(charge_key="article:my-post", credits=2).json()["available"] == 3


def test_available_does_not_count_what_overdue_holds_held(as_service, charge):
    past_hold(credits=20)
    assert as_service.refund(charge_key="article:my-post", credits=2).json()["available"] == 23
    assert Hold.objects.get().state == "expired"


def test_a_withdrawn_or_dearer_feature_is_given_back_as_it_was_charged(as_service, charge):
    rates.set_rate(feature=ARTICLE, label="L", credits=99, unit="u", active=False, actor="test")
    limited = product("blog", feature_prefixes=["mail."])
    assert limited.refund(charge_key="article:my-post").json()["refunded"] == 3


# --- Which charge -----------------------------------------------------------------------------------


def test_a_charge_is_named_by_its_id(as_service, charge):
    assert as_service.refund(transaction_id=charge.pk).json()["reverses"] == charge.pk


def test_a_capture_is_named_by_its_hold_or_its_id(as_service, give, article_rate):
    give("usr_1", 42)
    hold_id = as_service.hold(count=5, key="chat:77").json()["holdId"]
    assert as_service.refund(hold_id=hold_id).json()["code"] == "not_found"
    capture = as_service.end(hold_id, "capture", count=3).json()["transaction_id"]
    by_hold = as_service.refund(hold_id=hold_id, credits=2).json()
    assert (by_hold["reverses"], by_hold["refundable"], by_hold["available"]) == (capture, 1, 41)
    by_id = as_service.refund(transaction_id=capture, key="undo:2").json()
    assert (by_id["reverses"], by_id["refunded"], by_id["refundable"]) == (capture, 1, 0)
    # The hold's key is no charge's key.
    assert as_service.refund(charge_key="chat:77", key="undo:3").json()["code"] == "not_found"


def test_a_charge_key_names_the_charge_and_no_hold_with_that_key(as_service, give, article_rate):
    give("usr_1", 42)
    hold_id = as_service.hold(key="article:x", count=5).json()["holdId"]
    as_service.end(hold_id, "capture")
    as_service.deduct(idempotency_key="article:x", count=2)
    assert as_service.refund(charge_key="article:x").json()["refunded"] == 2


ONE = "Name the charge by exactly one of transaction_id, charge_key and hold_id"


@pytest.mark.parametrize(
    "named",
    [
        (),
        ("transaction_id", "charge_key"),
        ("charge_key", "hold_id"),
        ("transaction_id", "hold_id"),
        ("transaction_id", "charge_key", "hold_id"),
    ],
)
def test_exactly_one_field_names_the_charge(as_service, charge, named):
    selectors = {"transaction_id": charge.pk, "charge_key": "article:my-post", "hold_id": "hold_1"}
    response = as_service.refund(**{name: selectors[name] for name in named})
    refused(response, 400, "invalid", ONE)
    assert refunds() == []


def test_null_is_no_selector(as_service, charge):
    refused(as_service.refund(charge_key=None), 400, "invalid", ONE)
    named = as_service.refund(charge_key="article:my-post", transaction_id=None, hold_id=None)
    assert named.json()["refunded"] == 3


NO_CHARGE = "There is no such charge"


def test_a_charge_that_is_not_there(as_service, charge):
    for selector in (
        {"transaction_id": "txn_01jb3kq2w8z6h6c1d1e0r2m4aa"},
        {"transaction_id": "article:my-post"},
        {"charge_key": charge.pk},
        {"charge_key": "ARTICLE:MY-POST"},
        {"hold_id": "hold_01jb3kq2w8z6h6c1d1e0r2m4aa"},
        {"hold_id": charge.pk},
    ):
        refused(as_service.refund(**selector), 404, "not_found", NO_CHARGE)
    assert refunds() == []


def test_only_a_charge_is_given_back(as_service, charge):
    as_service.refund(charge_key="article:my-post", credits=1)
    by_hand.adjust(user_id="usr_1", credits=-2, reason="A mistake.", key="a", actor="user:staff:1")
    for entry in Entry.objects.exclude(kind="deduct"):
        response = as_service.refund(transaction_id=entry.pk, key="undo:2")
        refused(response, 404, "not_found", NO_CHARGE)


def test_a_charge_of_another_product_or_user_is_not_there(as_service, charge, give):
    give("usr_2", 5)
    mail = product("mail")
    for selector in ({"transaction_id": charge.pk}, {"charge_key": "article:my-post"}):
        refused(mail.refund(**selector), 404, "not_found", NO_CHARGE)
        refused(as_service.refund("usr_2", **selector), 404, "not_found", NO_CHARGE)
        refused(as_service.refund("usr_unknown", **selector), 404, "not_found", NO_CHARGE)
    assert not Wallet.objects.filter(pk="usr_unknown").exists()
    assert refunds() == []


def test_another_key_of_the_product_gives_its_charges_back(charge):
    assert product("blog").refund(charge_key="article:my-post").status_code == 200


# --- Never more than was charged --------------------------------------------------------------------


@pytest.mark.parametrize("credits", [4, 10**15])
def test_more_than_the_charge_is_refused_and_says_what_is_left(as_service, charge, credits):
    response = as_service.refund(charge_key="article:my-post", credits=credits)
    sentence = "3 credits of this charge are left to give back"
    refused(response, 409, "nothing_left", sentence, refundable=3)
    assert refunds() == []


@pytest.mark.parametrize("credits", [None, 1])
def test_nothing_is_left_of_a_charge_given_back_whole(as_service, charge, credits):
    as_service.refund(charge_key="article:my-post")
    response = as_service.refund(charge_key="article:my-post", credits=credits, key="undo:2")
    sentence = "This charge was given back in full"
    refused(response, 409, "nothing_left", sentence, refundable=0)
    assert available_of("usr_1") == 24


def test_what_staff_gave_back_counts_too(as_service, charge):
    by_hand.give_back(entry=charge, credits=2, reason="It failed.", key="form:1", actor="user:staff:1")
    response = as_service.refund(charge_key="article:my-post", credits=2)
    assert response.json()["refundable"] == 1
    assert as_service.refund(charge_key="article:my-post").json()["refunded"] == 1


def test_the_key_of_a_charge_given_back_whole_is_spent(as_service, charge):
    as_service.refund(charge_key="article:my-post", credits=2)
    replayed = as_service.deduct(count=3, idempotency_key="article:my-post")
    assert replayed["Idempotent-Replayed"] == "true"
    as_service.refund(charge_key="article:my-post", key="undo:2")
    response = as_service.deduct(count=3, idempotency_key="article:my-post")
    assert response.status_code == 409
    assert response.json() == {"allowed": False, "error": "This charge was given back; use a new key"}


# --- The same key again -----------------------------------------------------------------------------

REUSED = "This idempotency_key gave back another charge or another number of credits"


@pytest.mark.parametrize("credits", [None, 2])
def test_the_same_key_again_answers_the_same_bytes(as_service, charge, credits):
    first = as_service.refund(charge_key="article:my-post", credits=credits)
    as_service.deduct(count=20)
    again = as_service.refund(charge_key="article:my-post", credits=credits)
    assert again.status_code == 200
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert again["Cache-Control"] == "no-store"
    assert len(refunds()) == 1


def test_a_replay_says_what_was_left_then(as_service, charge):
    first = as_service.refund(charge_key="article:my-post", credits=1)
    as_service.refund(charge_key="article:my-post", key="undo:2")
    assert as_service.refund(charge_key="article:my-post", credits=1).content == first.content


def test_the_reason_does_not_decide_nor_how_the_charge_is_named(as_service, charge):
    first = as_service.refund(charge_key="article:my-post", reason="It failed.")
    assert as_service.refund(charge_key="article:my-post").content == first.content
    assert as_service.refund(transaction_id=charge.pk, reason="Another").content == first.content
    assert [entry.reason for entry in refunds()] == ["It failed."]


@pytest.mark.parametrize(("first", "then"), [(None, 3), (3, None), (1, 2), (1, None)])
def test_credits_left_out_and_credits_given_are_different_requests(as_service, charge, first, then):
    as_service.refund(charge_key="article:my-post", credits=first)
    response = as_service.refund(charge_key="article:my-post", credits=then)
    refused(response, 409, "key_reused", REUSED)
    assert len(refunds()) == 1


def test_the_same_key_for_another_charge_is_a_conflict(as_service, charge):
    as_service.deduct(count=3, idempotency_key="article:other")
    as_service.refund(charge_key="article:my-post")
    # Whether that charge is there or not.
    for key in ("article:other", "article:none"):
        refused(as_service.refund(charge_key=key), 409, "key_reused", REUSED)
    assert len(refunds()) == 1


def test_a_refusal_does_not_use_the_key_up(as_service, charge):
    as_service.refund(charge_key="article:none")
    as_service.refund(charge_key="article:my-post", credits=4)
    response = as_service.refund(charge_key="article:my-post", credits=3)
    assert response.status_code == 200
    assert "Idempotent-Replayed" not in response


def test_a_refunds_key_is_of_its_own_kind(as_service, charge):
    """The same word may be the key of a charge, a hold and a refund."""
    assert as_service.hold(key="article:my-post").json()["allowed"] is True
    response = as_service.refund(charge_key="article:my-post", key="article:my-post")
    assert response.json()["refunded"] == 3
    assert "Idempotent-Replayed" not in response


def test_a_key_belongs_to_one_user_and_one_product(as_service, charge, give):
    give("usr_2", 5)
    as_service.deduct("usr_2", idempotency_key="article:my-post")
    mail = product("mail")
    mail.deduct(idempotency_key="article:my-post")
    for caller, user_id in ((as_service, "usr_1"), (as_service, "usr_2"), (mail, "usr_1")):
        response = caller.refund(user_id, charge_key="article:my-post")
        assert response.status_code == 200
        assert "Idempotent-Replayed" not in response
    assert len(refunds()) == 3


def test_a_key_of_staff_is_not_replayed_to_a_product(as_service, charge):
    """They share a kind, and staff use keys of their forms that no product can guess."""
    by_hand.give_back(entry=charge, reason="It failed.", key="form:1", actor="user:staff:1")
    refused(
        as_service.refund(charge_key="article:my-post", credits=1, key="form:1"), 409, "key_reused", REUSED
    )


def test_a_refund_of_an_older_release_is_replayed_as_it_would_be_answered_now(as_service, charge):
    """It stored no answer."""
    facts = {"kind": "refund", "product": "blog", "feature": ARTICLE, "held": 0, "reverses_id": charge.pk}
    move("usr_1", 2, **facts, idempotency_key="form:1")
    again = as_service.refund(charge_key="article:my-post", credits=2, key="form:1")
    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == {
        "transaction_id": refunds()[0].pk,
        "reverses": charge.pk,
        "refunded": 2,
        "refundable": 1,
        "lapsed": 0,
        "available": 23,
    }


def test_a_key_has_up_to_255_characters(as_service, charge):
    assert as_service.refund(charge_key="article:my-post", key="k" * 255).status_code == 200
    response = as_service.refund(charge_key="article:my-post", key="k" * 256)
    refused(response, 400, "invalid", "idempotency_key must be at most 255 characters")


def test_a_key_is_required(as_service, charge):
    body = {"user_id": "usr_1", "charge_key": "article:my-post"}
    for keyless in (body, body | {"idempotency_key": None}):
        refused(as_service.post(PATH, keyless), 400, "invalid", "idempotency_key is required")


# --- The reason -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [None, "", "It failed.", "x" * 500, "Zoë's 👩\u200d🚀 \u200f"])
def test_a_reason_has_up_to_500_characters_or_none(as_service, charge, reason):
    assert as_service.refund(charge_key="article:my-post", reason=reason).status_code == 200
    assert [entry.reason for entry in refunds()] == [reason or ""]


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("x" * 501, "reason must be at most 500 characters"),
        ("a\nb", "reason must hold printable characters only"),
        ("a\x00b", "reason must hold printable characters only"),
        ("\ud800", "reason must hold printable characters only"),
        ("   ", "reason must not be empty"),
        (7, "reason must be text"),
        (False, "reason must be text"),
        (["x"], "reason must be text"),
    ],
)
def test_another_reason_is_refused(as_service, charge, reason, sentence):
    refused(as_service.refund(charge_key="article:my-post", reason=reason), 400, "invalid", sentence)
    assert refunds() == []


# --- Who may ----------------------------------------------------------------------------------------


def test_a_debt_is_paid_by_a_refund(as_service, charge):
    take_back(Entry.objects.get(kind="topup"))
    answer = as_service.refund(charge_key="article:my-post", credits=2).json()
    assert answer["available"] == -1
