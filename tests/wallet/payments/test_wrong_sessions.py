"""Sessions and events of Stripe that have a wrong shape, over real HTTP."""

import json
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import Act
from tests.scripted_server import json_of
from tests.wallet.stripe_answers import NO_SESSION, PAID, UNCREDITABLE, WRONG_SESSIONS, answers
from wallet.books.funds import available_of
from wallet.models import Entry, TopUp

pytestmark = pytest.mark.django_db

NO_PAYMENTS: list[Any] = [None, {}, {"id": 7}, [], 7, "pi\0", "p" * 300]

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
    assert available_of("usr_1") == 25


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
