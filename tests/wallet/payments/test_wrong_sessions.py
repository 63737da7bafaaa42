"""Sessions, lists and events of Stripe that have a wrong shape, over real HTTP."""

import json
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.models import Act
from tests.scripted_server import json_of
from tests.wallet.stripe_answers import NO_SESSION, PAID, SESSIONS, UNCREDITABLE, WRONG_SESSIONS, answers
from wallet.books import ledger
from wallet.models import Audit, Entry, TopUp
from wallet.payments import stripe_gateway

pytestmark = pytest.mark.django_db

NO_PAYMENTS: list[Any] = [None, {}, {"id": 7}, [], 7, "pi\0", "p" * 300]
NO_LISTS: list[Any] = [None, {}, "x", 7, [None], [[]], ["cs_1"], [7]]
NO_BOOLEANS: list[Any] = [None, 1, "true", []]

# --- Staff ask Stripe -------------------------------------------------------------------------------


@pytest.fixture
def ask(staff):
    """Staff send the form that asks Stripe about the top-up."""
    topup = TopUp.objects.create(user_id="usr_1", state="created", stripe_session_id="cs_test_1")
    page = reverse("admin:wallet_topup_ask-stripe", args=[topup.pk])
    key = staff.get(page).context["form"].initial["key"]
    return lambda: staff.post(page, {"reason": "They say that they paid", "key": key})


@pytest.mark.parametrize(
    "answer", [*NO_SESSION.values(), *(json_of(PAID | wrong) for wrong in WRONG_SESSIONS)]
)
def test_staff_who_ask_read_that_stripe_does_not_answer(stripe_at, ask, answer):
    answers(stripe_at, answer)
    page = ask()
    assert (page.status_code, Act.objects.count(), Entry.objects.count()) == (200, 0, 0)
    assert "Stripe does not answer right now; please try again." in page.text
    answers(stripe_at, json_of(PAID))
    assert ask().status_code == 302
    assert ledger.balance_of("usr_1") == 25


@pytest.mark.parametrize("wrong", UNCREDITABLE, ids=lambda wrong: ascii(wrong)[:60])
def test_staff_who_ask_read_why_it_cannot_be_credited(stripe_at, ask, wrong):
    answers(stripe_at, json_of(PAID | wrong))
    assert ask().status_code == 302
    assert Act.objects.get().told.startswith("It cannot be credited: ")
    assert not Entry.objects.exists()


@pytest.mark.parametrize("mode", ["setup", "subscription", None, ""])
def test_what_is_no_payment_is_no_top_up(stripe_at, ask, mode):
    answers(stripe_at, json_of(PAID | {"mode": mode}))
    assert ask().status_code == 302
    assert Act.objects.get().told == "Stripe does not call this a top-up of the wallet; nothing was changed."


@pytest.mark.parametrize(
    ("intent", "kept"),
    [
        ("pi_1", "pi_1"),
        ({"id": "pi_1", "object": "payment_intent"}, "pi_1"),
        *((nothing, "") for nothing in NO_PAYMENTS),
    ],
)
def test_the_payment_is_an_id_or_an_object_with_one(stripe_at, ask, intent, kept):
    answers(stripe_at, json_of(PAID | {"payment_intent": intent}))
    assert ask().status_code == 302
    topup = TopUp.objects.get()
    assert (topup.state, topup.payment_intent_id) == ("paid", kept)


# --- Reconciliation ---------------------------------------------------------------------------------


def page_of(*sessions, has_more=False):
    return {"object": "list", "url": SESSIONS, "data": list(sessions), "has_more": has_more}


def reconcile(*options):
    """The command's exit code and what it wrote; a CommandError has a return code too."""
    out = StringIO()
    try:
        call_command("reconcile_stripe", *options, stdout=out)
    except CommandError as error:
        return error.returncode, str(error)
    except SystemExit as end:
        return end.code, out.getvalue()
    return 0, out.getvalue()


@pytest.mark.parametrize(
    "answer",
    [
        *NO_SESSION.values(),
        *(json_of(page_of(PAID | wrong)) for wrong in WRONG_SESSIONS if wrong != {"id": "cs_test_2"}),
        *(json_of(page_of() | {"data": data}) for data in NO_LISTS),
        *(json_of(page_of(PAID) | {"has_more": more}) for more in NO_BOOLEANS),
        json_of({name: value for name, value in page_of().items() if name != "data"}),
        json_of(page_of(has_more=True)),
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


def test_a_list_that_never_ends_is_given_up(stripe_at):
    answers(stripe_at, json_of(page_of(PAID, has_more=True)))
    assert reconcile()[0] == 2
    assert len(stripe_at.requests) == 2


def test_a_list_of_ever_new_sessions_is_given_up(stripe_at, monkeypatch):
    monkeypatch.setattr(stripe_gateway, "LISTED_SESSIONS_MAX", 5)

    def more(handler):
        session = PAID | {"id": f"cs_test_{len(stripe_at.requests)}"}
        json_of(page_of(session, has_more=True))(handler)

    answers(stripe_at, more)
    assert reconcile()[0] == 2
    assert len(stripe_at.requests) == 6


def test_a_list_in_pages_is_read_to_its_end(stripe_at):
    def paged(handler):
        after = parse_qs(urlsplit(handler.path).query).get("starting_after", ["cs_test_0"])[0]
        number = int(after.rpartition("_")[2]) + 1
        session = PAID | {"id": f"cs_test_{number}"}
        json_of(page_of(session, has_more=number < 4))(handler)

    answers(stripe_at, paged)
    assert reconcile("--apply")[0] == 0
    assert ledger.balance_of("usr_1") == 100


@pytest.mark.parametrize("wrong", UNCREDITABLE, ids=lambda wrong: ascii(wrong)[:60])
def test_a_payment_that_cannot_be_credited_is_a_finding(stripe_at, wrong):
    answers(stripe_at, json_of(page_of(PAID | wrong)))
    for options in ([], ["--apply"], ["--json"]):
        code, text = reconcile(*options)
        assert code == 1
        assert "cs_test_1" in text
    assert not Entry.objects.exists()
    assert [finding["kind"] for finding in Audit.objects.latest("pk").findings] == ["parked"]


@pytest.mark.parametrize("wrong", WRONG_SESSIONS)
def test_a_wrong_session_of_a_top_up_is_reported_too(stripe_at, wrong):
    """It is asked for by its id, because the list does not have it."""
    TopUp.objects.create(user_id="usr_1", state="created", stripe_session_id="cs_test_1")
    stripe_at.answers[SESSIONS] = json_of(page_of())
    stripe_at.answers[f"{SESSIONS}/cs_test_1"] = json_of(PAID | wrong)
    assert reconcile("--apply")[0] == 2
    assert TopUp.objects.get().state == "created"


# --- Webhooks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [*WRONG_SESSIONS, *UNCREDITABLE], ids=lambda wrong: ascii(wrong)[:60])
def test_a_signed_event_of_a_wrong_shape_is_stored_and_is_no_500(deliver, checkout_event, wrong):
    event = checkout_event()
    event["data"]["object"] |= wrong
    assert deliver(event).status_code == 200
    if wrong in UNCREDITABLE:
        assert not Entry.objects.exists()


@pytest.mark.parametrize("nothing", [None, [], {}, "x", 7, True, 1.5, "x" * 400, "\0", "\ud800"])
@pytest.mark.parametrize(
    "place",
    [
        *("created", "livemode", "account", "api_version", "request", "pending_webhooks"),
        *("data.object.status", "data.object.mode", "data.object.client_reference_id"),
        *("data.object.payment_intent", "data.object.metadata.topup_id", "data.object.metadata.product"),
        *("data.object.id", "data.object.object", "data.previous_attributes", "data.object", "data"),
    ],
)
def test_no_place_of_a_signed_event_can_break_the_inbox(deliver, checkout_event, place, nothing):
    event = checkout_event()
    *path, last = place.split(".")
    target = event
    for name in path:
        target = target[name]
    target[last] = nothing
    assert deliver(event).status_code == 200


@pytest.mark.parametrize(
    ("product", "stored"),
    [("\u3164" * 200 + "a", ""), ("\u2800" * 200 + "a", ""), ("blog" * 200, "blog" * 200)],
)
def test_a_product_shows_something_after_it_is_cut(deliver, checkout_event, product, stored):
    event = checkout_event()
    event["data"]["object"]["metadata"]["product"] = product
    assert deliver(event).status_code == 200
    [topup] = TopUp.objects.all()
    assert topup.product == stored[: len(topup.product)]
    assert bool(topup.product) is bool(stored)


def test_an_event_nested_as_deeply_as_can_be_read_is_no_500(deliver, checkout_event):
    answers = set()
    for depth in range(100, 1100, 10):
        event = checkout_event(session_id=f"cs_{depth}")
        event["data"]["object"]["deep"] = "DEEP"
        body = json.dumps(event).replace('"DEEP"', "[" * depth + "]" * depth).encode()
        answers.add(deliver(body).status_code)
    assert answers <= {200, 400}


def test_a_body_that_is_no_event_is_400(deliver):
    for body in (
        b"[]",
        b"null",
        b'"x"',
        b"7",
        b"{}",
        b'{"id": 7, "type": "x"}',
        b'{"object": [], "id": "e"}',
    ):
        assert deliver(body).status_code == 400
