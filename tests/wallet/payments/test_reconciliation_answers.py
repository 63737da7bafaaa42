"""Lists and objects of Stripe that have a wrong shape, over real HTTP: reconciliation could not look."""

import time
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command

from tests.scripted_server import json_of
from tests.wallet.stripe_answers import NO_SESSION, PAID, SESSIONS, UNCREDITABLE, WRONG_SESSIONS, answers
from wallet.books.funds import available_of
from wallet.errors import StripeOutOfReach
from wallet.models import Audit, Entry, TopUp
from wallet.payments import stripe_lists
from wallet.payments.stripe_lists import BALANCE_TRANSACTIONS, DISPUTES, REFUNDS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_on_its_way")]

NO_LISTS: list[Any] = [None, {}, "x", 7, [None], [[]], ["cs_1"], [7]]
NO_BOOLEANS: list[Any] = [None, 1, "true", []]
LISTS = {REFUNDS: "/v1/refunds", DISPUTES: "/v1/disputes", BALANCE_TRANSACTIONS: "/v1/balance_transactions"}
EVER = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def page_of(*objects, has_more=False):
    return {"object": "list", "url": "/v1/x", "data": list(objects), "has_more": has_more}


@pytest.fixture(autouse=True)
def nothing_else(stripe_at):
    """Stripe has no refunds, no disputes and no balance transactions."""
    for path in LISTS.values():
        stripe_at.answers[path] = json_of(page_of())


def reconcile(*options):
    """The command's exit code and what it wrote; a CommandError has a return code too."""
    out = StringIO()
    try:
        call_command("reconcile_stripe", "--since", "1h", *options, stdout=out)
    except CommandError as error:
        return error.returncode, str(error)
    except SystemExit as end:
        return end.code, out.getvalue()
    return 0, out.getvalue()


# --- Lists of sessions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        *NO_SESSION.values(),
        *(json_of(page_of(PAID | wrong)) for wrong in WRONG_SESSIONS if wrong != {"id": "cs_test_2"}),
        *(json_of(page_of() | {"data": data}) for data in NO_LISTS),
        *(json_of(page_of(PAID) | {"has_more": more}) for more in NO_BOOLEANS),
        json_of({name: value for name, value in page_of().items() if name != "data"}),
        json_of(page_of(PAID, PAID)),
    ],
)
def test_a_wrong_list_is_reported_and_no_traceback(stripe_at, answer):
    answers(stripe_at, answer)
    code, text = reconcile("--apply")
    assert code == 2
    assert text.startswith("Could not look: Stripe cannot be reached, refuses our key, or answers wrongly")
    assert not Entry.objects.exists()
    assert Audit.objects.get().remark in text


@pytest.mark.parametrize("page", [page_of(has_more=True), page_of(PAID, has_more=True)])
def test_a_list_that_never_ends_is_given_up(stripe_at, page):
    answers(stripe_at, json_of(page))
    with pytest.raises(StripeOutOfReach):
        list(stripe_lists.pages(stripe_lists.SESSIONS, first=EVER[0], end=EVER[1]))
    assert len(stripe_at.requests) <= 2


def test_a_list_of_ever_new_sessions_is_given_up(stripe_at, monkeypatch):
    monkeypatch.setattr(stripe_lists, "LISTED_MAX", 5)

    def more(handler):
        session = PAID | {"id": f"cs_test_{len(stripe_at.requests)}"}
        json_of(page_of(session, has_more=True))(handler)

    answers(stripe_at, more)
    with pytest.raises(StripeOutOfReach):
        list(stripe_lists.pages(stripe_lists.SESSIONS, first=EVER[0], end=EVER[1]))
    assert len(stripe_at.requests) == 6


def test_a_list_in_pages_is_read_to_its_end(stripe_at):
    def paged(handler):
        after = parse_qs(urlsplit(handler.path).query).get("starting_after", ["cs_test_0"])[0]
        number = int(after.rpartition("_")[2]) + 1
        session = PAID | {"id": f"cs_test_{number}", "payment_intent": f"pi_{number}"}
        json_of(page_of(session, has_more=number < 4))(handler)

    answers(stripe_at, paged)
    assert reconcile("--apply")[0] == 0
    assert available_of("usr_1") == 100


@pytest.mark.parametrize("wrong", UNCREDITABLE, ids=lambda wrong: ascii(wrong)[:60])
def test_a_payment_that_cannot_be_credited_is_a_finding(stripe_at, wrong):
    answers(stripe_at, json_of(page_of(PAID | wrong)))
    for options in ([], ["--apply"], ["--json"]):
        code, text = reconcile(*options)
        assert code == 1
        assert "cs_test_1" in text
    assert not Entry.objects.exists()
    assert [finding["kind"] for finding in Audit.objects.latest("pk").findings] == ["parked"]


@pytest.mark.parametrize("wrong", UNCREDITABLE, ids=lambda wrong: ascii(wrong)[:60])
def test_a_credited_payment_that_stripe_shows_wrongly_is_a_finding(stripe_at, give, wrong):
    intent_id = give("usr_1", 25, session_id="cs_test_1").topup.payment_intent_id
    shown = PAID | {"payment_intent": intent_id} | wrong
    answers(stripe_at, json_of(shown))
    stripe_at.answers[SESSIONS] = json_of(page_of(shown))
    is_read = wrong.get("livemode", False) is False  # The mode of credited payments was checked before.
    assert reconcile("--apply")[0] == (1 if is_read else 0)
    assert available_of("usr_1") == 25


@pytest.mark.parametrize("wrong", WRONG_SESSIONS)
def test_a_wrong_session_of_a_top_up_is_reported_too(stripe_at, wrong):
    """It is asked for by its id, because the list does not have it."""
    TopUp.objects.create(user_id="usr_1", state="created", stripe_session_id="cs_test_1")
    stripe_at.answers[SESSIONS] = json_of(page_of())
    stripe_at.answers[f"{SESSIONS}/cs_test_1"] = json_of(PAID | wrong)
    assert reconcile("--apply")[0] == 2
    assert TopUp.objects.get().state == "created"


# --- Other lists ------------------------------------------------------------------------------------

NOW = int(time.time())
REFUND = {
    "id": "re_1",
    "object": "refund",
    "amount": 500,
    "currency": "usd",
    "created": NOW,
    "status": "succeeded",
}
DISPUTE = {
    "id": "dp_1",
    "object": "dispute",
    "amount": 500,
    "currency": "usd",
    "created": NOW,
    "status": "needs_response",
    "balance_transactions": [],
}
MOVED = {
    "id": "txn_1",
    "object": "balance_transaction",
    "amount": -500,
    "currency": "usd",
    "created": NOW,
    "reporting_category": "refund",
    "source": REFUND,
}
GOOD: dict[Any, dict[str, Any]] = {REFUNDS: REFUND, DISPUTES: DISPUTE, BALANCE_TRANSACTIONS: MOVED}
WRONG_EVERYWHERE: list[dict[str, Any]] = [
    {"id": None},
    {"id": "re 1"},
    {"id": "x" * 300},
    {"object": "charge"},
    {"created": None},
    {"created": "yesterday"},
    {"created": 10**18},
    {"amount": None},
    {"amount": "500"},
    {"amount": 5.0},
    {"amount": True},
    {"amount": 2**63},
]
WRONG: list[tuple[Any, dict[str, Any]]] = [
    *((kind, wrong) for kind in LISTS for wrong in WRONG_EVERYWHERE),
    (REFUNDS, {"status": None}),
    (REFUNDS, {"failure_balance_transaction": {"id": "txn_2"}}),
    (DISPUTES, {"status": []}),
    (DISPUTES, {"balance_transactions": {}}),
    (DISPUTES, {"balance_transactions": ["txn_1"]}),
    (DISPUTES, {"balance_transactions": [MOVED | {"amount": "1"}]}),
    (DISPUTES, {"balance_transactions": [MOVED | {"id": 7}]}),
    (BALANCE_TRANSACTIONS, {"reporting_category": None}),
    (BALANCE_TRANSACTIONS, {"source": REFUND | {"amount": None}}),
    (BALANCE_TRANSACTIONS, {"source": DISPUTE | {"status": 7}}),
    (BALANCE_TRANSACTIONS, {"source": {"object": "charge", "id": 7}}),
]


@pytest.mark.parametrize(
    ("kind", "wrong"), WRONG, ids=lambda value: ascii(getattr(value, "name", value))[:60]
)
def test_a_wrong_object_of_another_list_is_reported(stripe_at, kind, wrong):
    answers(stripe_at, json_of(page_of()))
    stripe_at.answers[LISTS[kind]] = json_of(page_of(GOOD[kind] | wrong))
    assert reconcile("--apply")[0] == 2


@pytest.mark.parametrize("kind", LISTS, ids=lambda kind: kind.name)
def test_a_good_object_of_another_list_is_read(stripe_at, kind):
    """A later version of Stripe's API may say more. An object that belongs to no top-up is no finding."""
    answers(stripe_at, json_of(page_of()))
    more: dict[str, Any] = {"new": {"field": [1, None]}, "livemode": None, "payment_intent": None}
    stripe_at.answers[LISTS[kind]] = json_of(page_of(GOOD[kind] | more))
    assert reconcile("--apply")[0] == 0


def test_another_object_than_asked_for_is_no_answer(stripe_at):
    stripe_at.answers["/v1/refunds/re_2"] = json_of(REFUND)
    with pytest.raises(StripeOutOfReach):
        stripe_lists.one(REFUNDS, "re_2")
    stripe_at.answers["/v1/refunds/re_2"] = json_of(REFUND | {"id": "re_2"})
    assert stripe_lists.one(REFUNDS, "re_2") == REFUND | {"id": "re_2"}
