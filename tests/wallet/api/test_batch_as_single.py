"""An item of a batch is answered as the single charge is, whatever it says and however the user stands."""

from datetime import timedelta
from typing import Any

import hypothesis
import pytest
from django.db import connection, transaction
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from accounts import service_keys
from tests.conftest import product
from tests.wallet import by_hand
from tests.wallet.granted import grant, past_grant, set_budget
from tests.wallet.holding import many_holds, past_hold
from tests.wallet.reversed import leave_owing
from wallet.api.batch_serializers import DeductItem, item_of
from wallet.books import ledger
from wallet.charges.batches import Item
from wallet.models import Entry
from wallet.prices import rates

pytestmark = pytest.mark.django_db

BATCH = "/io/wallet/deduct/batch"
ARTICLE = "blog.article.generate"
GOOD = {"user_id": "usr_1", "feature": ARTICLE, "count": 2, "idempotency_key": "k"}


def set_price(credits, feature=ARTICLE, *, active=True):
    rates.set_rate(feature=feature, label="Label", credits=credits, unit="unit", active=active, actor="test")


def single(caller, body):
    """The answer to a single charge, as an item of a batch would have it. Nothing stays of it."""
    with transaction.atomic():
        response = caller.post("/io/wallet/deduct", body)
        transaction.set_rollback(True)
    replayed = {"replayed": True} if response.get("Idempotent-Replayed") else {}
    return {"status": response.status_code, **replayed, **response.json()}


def first_of_batch(caller, *items):
    """The answer to the first item of a batch. Nothing stays of it."""
    with transaction.atomic():
        response = caller.post(BATCH, {"items": list(items)})
        transaction.set_rollback(True)
    assert response.status_code == 200, response.content
    return response.json()["results"][0]


def same(caller, body):
    """Both answers are the same, alone in a batch and with others of the same user."""
    expected = single(caller, body)
    others = [{**GOOD, "idempotency_key": f"other:{n}", "count": 1} for n in range(2)]
    assert first_of_batch(caller, body) == expected
    assert first_of_batch(caller, body, *others) == expected
    return expected


# --- Whatever an item says --------------------------------------------------------------------------

ODD_TEXTS = [
    *(None, "", " ", "   ", 7, 1.0, True, False, [], {}, ["usr_1"], {"id": "usr_1"}),
    *("a\x00b", "a\nb", "\t", "\ud800", "\udfff\ud800", "\u202eabc", "a\u00a0b", "\ufeff", "a\u00adb"),
    *(
        "\u200b",
        "a\u200cb",
        "\ue000",
        "\u3164",
        "\u2800 ",
        "e\u0301",
        "\u0301",
        "👩‍🚀",
        "ä",
        " a ",
        "A" * 1000,
    ),
]
ODD_COUNTS: list[Any] = [
    *(0, -1, 1, 2, 1_000_000, 1_000_001, 10**30, -(10**30), 2**63, 10**400),
    *(1.0, 1.5, -0.0, True, False, "1", "", "one", [], [1], {}, None),
]
ITEMS = [
    *({**GOOD, name: odd} for name in ("user_id", "feature", "idempotency_key") for odd in ODD_TEXTS
      if (name, odd) != ("idempotency_key", None)),
    *({**GOOD, name: "x" * n} for name in ("user_id", "feature", "idempotency_key")
      for n in (1, 100, 101, 255, 256)),
    *({**GOOD, "count": odd} for odd in ODD_COUNTS),
    *({other: value for other, value in GOOD.items() if other != name}
      for name in ("user_id", "feature", "count")),
    {**GOOD, "user_id": 1, "feature": 2, "count": 0, "idempotency_key": ""},
    {**GOOD, "feature": "", "count": 0},
    {**GOOD, "unknown": [1, {"a": None}], "product": "mail", "credits": 5, "status": 200},
    {"idempotency_key": "k"},
    *([], [GOOD], "usr_1", "", 1, 1.5, True, False, None),
]  # fmt: skip


def test_whatever_an_item_says(as_service, subtests, give, article_rate):
    give("usr_1", 10)
    seen = set()
    for body in ITEMS:
        with subtests.test(body=str(body)[:60]):
            seen.add(same(as_service, body)["status"])
    assert seen == {200, 400}


# --- However the user stands --------------------------------------------------------------------------


def charged(count=2, key="k"):
    return {"user_id": "usr_1", "feature": ARTICLE, "count": count, "idempotency_key": key}


def first_charge(as_service):
    as_service.deduct(**charged())
    return Entry.objects.get(kind="deduct")


def given_back(as_service, credits):
    entry = first_charge(as_service)
    by_hand.give_back(entry=entry, credits=credits, reason="It failed", key="refund:1", actor="test")


STANDINGS = {
    "enough": (200, lambda service: None),
    "too little": (200, lambda service: service.deduct(count=9)),
    "nothing": (200, lambda service: service.deduct(count=10)),
    "a price that is too high": (200, lambda service: set_price(1_000_000_000)),
    "no price": (400, lambda service: set_price(1, active=False)),
    "an open hold": (200, lambda service: service.hold(count=5)),
    "holds that leave too little": (200, lambda service: service.hold(count=9)),
    "an overdue hold": (200, lambda service: past_hold(credits=9)),
    "overdue holds that cover nothing": (200, lambda service: (past_hold(), service.deduct(count=9))),
    "many overdue holds": (200, lambda service: many_holds(60, overdue=True)),
    "a grant": (200, lambda service: grant(credits=1)),
    "a grant that pays the rest": (200, lambda service: (grant(credits=1), service.deduct(count=10))),
    "a grant that ended": (200, lambda service: past_grant(credits=5)),
    "a budget": (200, lambda service: set_budget(5)),
    "a budget that is spent": (200, lambda service: set_budget(1)),
    "a budget of the product": (200, lambda service: service.budget(1)),
    "frozen": (200, lambda service: ledger.set_frozen("usr_1", frozen=True)),
    "a stopped product": (403, lambda service: service_keys.stop_product("blog")),
    "a first charge": (200, first_charge),
    "a first charge and no price": (200, lambda service: (first_charge(service), set_price(1, active=False))),
    "a first charge and nothing left": (
        200, lambda service: (first_charge(service), service.deduct(count=8))
    ),
    "a first charge and frozen": (
        200, lambda service: (first_charge(service), ledger.set_frozen("usr_1", frozen=True))
    ),
    "a first charge with a hold open": (200, lambda service: (service.hold(count=3), first_charge(service))),
    "a first charge of another product": (200, lambda service: product("mail").deduct(**charged())),
    "a first charge of another count": (409, lambda service: service.deduct(**charged(count=1))),
    "a first charge of another feature": (
        409, lambda service: service.deduct(**charged() | {"feature": "mail.send"})
    ),
    "a first charge given back in part": (200, lambda service: given_back(service, 1)),
    "a first charge given back": (409, lambda service: given_back(service, 2)),
    "a hold with the key": (200, lambda service: service.hold(key="k")),
}  # fmt: skip


@pytest.mark.parametrize("standing", STANDINGS)
def test_however_the_user_stands(as_service, give, article_rate, standing):
    status, prepare = STANDINGS[standing]
    give("usr_1", 10)
    prepare(as_service)
    assert same(as_service, GOOD)["status"] == status


def test_a_user_in_debt(as_service, give, article_rate):
    leave_owing(give, "usr_1", 15)
    assert same(as_service, GOOD) == {"status": 200, "allowed": False, "balanceBefore": -15, "required": 2}


def test_a_user_without_a_wallet(as_service, article_rate):
    assert same(as_service, GOOD) == {"status": 200, "allowed": False, "balanceBefore": 0, "required": 2}


def test_a_limited_key(give, article_rate):
    give("usr_1", 10)
    limited = product(feature_prefixes=["mail."])
    assert same(limited, GOOD)["status"] == 403
    assert same(limited, {**GOOD, "feature": "mail.send"})["status"] == 200


def test_a_fault_of_ours_is_of_the_item_alone(as_service, give, article_rate, caplog):
    """No release removes this table. The item says what the single charge says, and the log says why."""
    give("usr_1", 10)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE wallet_rate RENAME TO gone")
        assert same(as_service, GOOD) == {
            "status": 500,
            "allowed": False,
            "error": "Something went wrong on our side.",
        }
        transaction.set_rollback(True)
    assert "Unexpected failure" in caplog.text


# --- What is read quickly is read alike ----------------------------------------------------------------

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(1, 10),
    st.floats(allow_nan=False),
    st.text(max_size=4),
    st.text(st.sampled_from("a \u200b\u3164\u0301\n\ud800é"), max_size=4),
    st.sampled_from(["x" * 100, "x" * 101, "x" * 255, "x" * 256]),
    st.lists(st.none(), max_size=1),
)
FIELDS = ("user_id", "feature", "count", "idempotency_key", "unknown")
READER = DeductItem()


@hypothesis.settings(max_examples=500)
@hypothesis.given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, VALUES)))
def test_the_short_way_reads_what_the_serializer_reads(data):
    def outcome(read):
        try:
            return read(data)
        except ValidationError as refused:
            return refused.detail

    def slowly(data):
        accepted = READER.run_validation(data)
        return Item(key=accepted.pop("idempotency_key"), **accepted)

    assert repr(outcome(lambda data: item_of(data, READER))) == repr(outcome(slowly))


def test_a_hold_that_ends_while_a_batch_waits_is_of_no_use_to_it(as_service, give, article_rate, clock):
    """The time is read after the lock, also by a batch."""
    give("usr_1", 10)
    as_service.hold(count=9, ttl_seconds=60)
    assert first_of_batch(as_service, GOOD, charged(key="l"))["allowed"] is False
    clock.tick(timedelta(seconds=60).total_seconds())
    assert first_of_batch(as_service, GOOD, charged(key="l")) == single(as_service, GOOD)
    assert first_of_batch(as_service, GOOD, charged(key="l"))["allowed"] is True
