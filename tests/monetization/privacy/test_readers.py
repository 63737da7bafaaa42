"""One reader's data: all of it handed out, or all of it gone, and no figure changed."""

import json
from collections import Counter
from datetime import timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Act
from monetization.errors import NotAnAddress
from monetization.figures import stats
from monetization.models import Erasure, FirstAnswer, Refund, Subscription, Tip
from monetization.privacy import erasure, readers
from monetization.privacy.erasure import erase
from tests.crowd import at_once, begin, patiently, wait_until_another_waits
from tests.monetization.conftest import SUBSCRIPTIONS, TIP
from tests.monetization.records import (
    MESSAGE,
    NAME,
    NEIGHBOURS,
    NOON,
    READER,
    broken_records,
    change,
    clock_at,
    days,
    everything,
    give,
    hear_of,
    place,
    refund,
    subscribe,
    tables_with,
    tip,
    write_to_the_log,
)
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db


@pytest.fixture
def life(creator, stranger):
    """A reader of two creators: late with one, gone from the other, back again, generous, refunded once."""
    with clock_at(NOON - days(40)):
        one = subscribe(creator, "Bob@X.co")
        subscribe(creator, "bob@x.co", plan="annual", currency="EUR")
        gone = subscribe(creator, READER, amount_cents=500, currency="JPY")
        elsewhere = subscribe(stranger, READER, plan="weekly")
        for n, neighbour in enumerate(NEIGHBOURS):
            subscribe(creator, neighbour, amount_cents=100 + n)
            tip(creator, 600 + n, email=neighbour, name=f"Neighbour {n}", message=f"Hello {n}")
    with clock_at(NOON - days(3)):
        change(one, status="past_due")
        change(gone, status="cancelled")
        change(elsewhere, status="cancelled")
        change(elsewhere, status="active")
        refund(give(creator, stripe_payment_id="pi_1"), 200)
        give(creator, "BOB@X.CO", currency="EUR")
        give(stranger)
        tip(creator, 777, name="Anonymous Fan", message="No address")
        place(creator, price_cents=100)


def figures_of(*creators):
    with clock_at(NOON):
        return [stats.of_creator(creator, period=period) for creator in creators for period in stats.PERIODS]


# --- Erased -----------------------------------------------------------------------------------------


def test_erasing_a_reader_changes_no_figure(life, creator, stranger):
    before = figures_of(creator, stranger)
    erase(READER, actor="operator")
    assert figures_of(creator, stranger) == before
    assert before[2].currencies["JPY"].churn == stats.Churn(left=1, of=1)
    assert before[2].currencies["USD"].paying_subscribers == 1 + len(NEIGHBOURS)
    assert broken_records() == []


def test_nothing_of_the_reader_is_left_in_any_table(life, creator, api):
    api.post(
        SUBSCRIPTIONS,
        {"subscriber_email": READER, "plan": "monthly", "amount_cents": 1, "currency": "USD"},
        headers={"Idempotency-Key": "order-1"},
    )
    api.post(
        TIP,
        {"amount_cents": 500, "email": READER, "name": NAME, "message": MESSAGE},
        headers={"Idempotency-Key": "order-2"},
    )
    write_to_the_log(f"{READER} asked for it", creator)
    hear_of({"object": {"customer_details": {"email": "Bob@x.co", "name": NAME}}})
    for neighbour in NEIGHBOURS:
        Tip.objects.filter(email=neighbour).update(email="n@example.com", reader="n@example.com")
        Subscription.objects.filter(reader=neighbour).update(
            subscriber_email="n@example.com", reader="n@example.com"
        )
    assert tables_with(READER, NAME, MESSAGE) == {
        "monetization_tip",
        "monetization_subscription",
        "accounts_act",
        "wallet_stripeevent",
    }
    erase("BOB@x.CO", actor="operator")
    assert tables_with(READER, NAME, MESSAGE) == set()


def test_amounts_ids_and_dates_stay(life):
    def kept(model, *words):
        return [
            {name: value for name, value in row.items() if name not in words}
            for row in model.objects.order_by("pk").values()
        ]

    def all_kept():
        return (
            kept(Tip, "email", "reader", "name", "message"),
            kept(Subscription, "subscriber_email", "reader"),
            kept(Refund),
            sql("SELECT * FROM monetization_subscriptionevent ORDER BY id"),
        )

    before = all_kept()
    erase(READER, actor="operator")
    assert all_kept() == before


def test_no_other_reader_is_touched(life):
    def others():
        mine = {"email__in": [*NEIGHBOURS, ""]}, {"subscriber_email__in": NEIGHBOURS}
        return (
            list(Tip.objects.filter(**mine[0]).order_by("pk").values()),
            list(Subscription.objects.filter(**mine[1]).order_by("pk").values()),
        )

    before = others()
    assert (len(before[0]), len(before[1])) == (len(NEIGHBOURS) + 1, len(NEIGHBOURS))
    erased = erase(READER, actor="operator")
    assert others() == before
    assert (erased.tips, erased.subscriptions) == (3, 4)


def test_the_stand_in_is_one_per_reader_and_creator(life, creator, stranger):
    for email in (READER, NEIGHBOURS[0]):
        erase(email, actor="operator")
    stood_in = {
        (row.creator_id, row.reader)
        for model in (Tip, Subscription)
        for row in model.objects.filter(reader__endswith="@erased.invalid")
    }
    # Bob at two creators, Jacob at one.
    assert Counter(creator_id for creator_id, _ in stood_in) == {creator.pk: 2, stranger.pk: 1}
    assert len({reader for _, reader in stood_in}) == 3
    for row in Subscription.objects.filter(reader__endswith="@erased.invalid"):
        assert row.subscriber_email == row.reader
    for given in Tip.objects.filter(reader__endswith="@erased.invalid"):
        assert (given.email, given.name, given.message) == (given.reader, "", "")


def test_a_stand_in_is_random_and_cannot_be_guessed(creator, stranger):
    for _ in range(3):
        give(creator)
        erase(READER, actor="operator")
    found = set(Tip.objects.values_list("reader", flat=True))
    assert len(found) == 3


def test_erasing_twice_is_harmless(life, creator, stranger):
    erase(READER, actor="operator")
    before, figures = everything(), figures_of(creator, stranger)
    again = erase(READER, actor="operator")
    assert (again.tips, again.subscriptions) == (0, 0)
    after = everything()
    assert {table for table in after if after[table] != before[table]} <= {"monetization_erasure"}
    assert figures_of(creator, stranger) == figures


def test_the_act_is_kept_without_the_address(life):
    erase(READER, actor="user:staff:1")
    erasure = Erasure.objects.get()
    assert (erasure.actor, erasure.tips, erasure.subscriptions) == ("user:staff:1", 3, 4)
    assert "bob" not in everything()["monetization_erasure"].lower()


def test_an_unknown_reader_is_erased_without_a_row(life):
    erased = erase("unknown@example.com", actor="operator")
    assert (erased.tips, erased.subscriptions) == (0, 0)
    assert tables_with("@erased.invalid") == set()


@pytest.mark.parametrize("email", ["", " ", "bob", "@x.co", "bob@", "%", "bob@x.co, jacob@x.co", " bob@x.co"])
def test_what_is_no_address_belongs_to_no_reader(life, creator, email):
    """Nothing would be every anonymous reader's; half a word is in many a text."""
    write_to_the_log("bob asked @x.co", creator)
    before = everything()
    for verb in (readers.export, partial(erase, actor="operator")):
        with pytest.raises(NotAnAddress):
            verb(email)
    assert everything() == before


# --- Replays after an erasure -----------------------------------------------------------------------

KEY = {"Idempotency-Key": "order-1"}
SUBSCRIBED = {"subscriber_email": READER, "plan": "monthly", "amount_cents": 799, "currency": "USD"}
TIPPED = {"amount_cents": 500, "email": READER, "name": NAME, "message": MESSAGE}


@pytest.mark.parametrize(("path", "body"), [(SUBSCRIPTIONS, SUBSCRIBED), (TIP, TIPPED)])
def test_an_answer_kept_for_replays_forgets_the_reader_and_makes_nothing_new(api, path, body):
    api.post(path, body, headers=KEY)
    erase(READER, actor="operator")
    first = FirstAnswer.objects.get()
    assert (first.digest, first.answer) == ("", "{}")
    again = api.post(path, body, headers=KEY)
    assert again.status_code == 409
    assert Tip.objects.count() + Subscription.objects.count() == 1
    assert tables_with(READER, NAME, MESSAGE) == set()


@pytest.mark.parametrize(
    ("path", "body", "stripe_id"),
    [(SUBSCRIPTIONS, SUBSCRIBED, "stripe_subscription_id"), (TIP, TIPPED, "stripe_payment_id")],
)
def test_stripes_message_come_again_brings_the_reader_not_back(api, path, body, stripe_id):
    first = api.post(path, body | {stripe_id: "id_1"})
    erase(READER, actor="operator")
    again = api.post(path, body | {stripe_id: "id_1"}, headers=KEY)
    assert again.status_code == first.status_code
    assert tables_with(READER, NAME, MESSAGE) == set()


def test_other_readers_replays_go_on(creator, api):
    first = api.post(TIP, TIPPED | {"email": "jacob@x.co"}, headers=KEY)
    give(creator)
    erase(READER, actor="operator")
    assert api.post(TIP, TIPPED | {"email": "jacob@x.co"}, headers=KEY).content == first.content


# --- Exported ---------------------------------------------------------------------------------------


def test_the_export_is_everything_of_the_reader_and_of_no_other(life, creator, stranger):
    found = readers.export("boB@x.co")
    assert found["email"] == "boB@x.co"
    assert {row["id"] for row in found["tips"]} == set(
        Tip.objects.filter(email__iexact=READER).values_list("pk", flat=True)
    )
    assert {row["id"] for row in found["subscriptions"]} == set(
        Subscription.objects.filter(subscriber_email__iexact=READER).values_list("pk", flat=True)
    )
    assert (len(found["tips"]), len(found["subscriptions"])) == (3, 4)
    assert {row["creator"] for row in found["tips"]} == {creator.pk, stranger.pk}
    assert not any(neighbour in json.dumps(found) for neighbour in NEIGHBOURS)


def test_a_row_of_the_export_says_all_that_is_kept(creator):
    with clock_at(NOON):
        given = give(creator, "Bob@x.co", stripe_payment_id="pi_1")
        one = subscribe(creator, "Bob@x.co", stripe_subscription_id="sub_1")
    with clock_at(NOON + days(1)):
        refund(given, 200)
        change(one, status="cancelled", amount_cents=899, occurred_at=NOON + days(0.5))
    found = readers.export(READER)
    assert found["tips"] == [
        {
            "id": given.pk,
            "creator": creator.pk,
            "gross_amount_cents": 500,
            "refunded_cents": 200,
            "currency": "USD",
            "email": "Bob@x.co",
            "name": NAME,
            "message": MESSAGE,
            "stripe_payment_id": "pi_1",
            "created_at": "2026-06-15T12:00:00+00:00",
            "refunds": [{"amount_cents": 200, "created_at": "2026-06-16T12:00:00+00:00"}],
        }
    ]
    subscribed = {"plan": "monthly", "amount_cents": 799}
    assert found["subscriptions"] == [
        {
            "id": one.pk,
            "creator": creator.pk,
            "subscriber_email": "Bob@x.co",
            "plan": "monthly",
            "amount_cents": 899,
            "currency": "USD",
            "status": "cancelled",
            "stripe_subscription_id": "sub_1",
            "created_at": "2026-06-15T12:00:00+00:00",
            "changes": [
                subscribed
                | {"kind": "created", "status": "active", "occurred_at": "2026-06-15T12:00:00+00:00"},
                subscribed
                | {"kind": "cancelled", "status": "cancelled", "occurred_at": "2026-06-16T00:00:00+00:00"},
                {
                    "kind": "changed",
                    "status": "cancelled",
                    "plan": "monthly",
                    "amount_cents": 899,
                    "occurred_at": "2026-06-16T00:00:00+00:00",
                },
            ],
        }
    ]


def test_an_export_changes_nothing_and_after_an_erasure_it_is_empty(life):
    before = everything()
    readers.export(READER)
    assert everything() == before
    erase(READER, actor="operator")
    assert readers.export(READER) == {"email": READER, "tips": [], "subscriptions": []}


# --- The commands -----------------------------------------------------------------------------------


def run(*words):
    out, err = StringIO(), StringIO()
    call_command(*words, stdout=out, stderr=err)
    return out.getvalue() + err.getvalue()


def test_the_command_exports_as_json(life):
    assert json.loads(run("export_reader", "Bob@x.co")) == readers.export("Bob@x.co")


def test_the_command_erases_nothing_without_apply_and_never_says_the_address(life):
    before = everything()
    told = run("erase_reader", "BOB@x.co")
    assert told == "Would erase 3 tips and 4 subscriptions. Run with --apply.\n"
    assert everything() == before


def test_the_command_erases_with_apply_and_never_says_the_address(life):
    assert run("erase_reader", "BOB@x.co", "--apply") == "Erased 3 tips and 4 subscriptions.\n"
    assert run("erase_reader", "BOB@x.co", "--apply") == "Erased 0 tips and 0 subscriptions.\n"
    assert [erasure.actor for erasure in Erasure.objects.all()] == ["operator"] * 2
    assert not Tip.objects.filter(reader=READER).exists()


@pytest.mark.parametrize(
    "words", [["export_reader", ""], ["erase_reader", ""], ["erase_reader", "bob", "--apply"]]
)
def test_the_commands_say_when_they_are_given_no_address(life, words):
    before = everything()
    with pytest.raises(CommandError, match="not an e-mail address"):
        run(*words)
    assert everything() == before


# --- The back-office ---------------------------------------------------------------------------------


def test_staff_erase_a_reader_without_writing_the_address_into_the_log(staff, life):
    url = reverse("admin:monetization_tip_erase-reader", args=[Tip.objects.get(stripe_payment_id="pi_1").pk])
    refusal = staff.post(url, {"reason": f"{READER} asked", "key": "form-1"})
    assert "enter an email address here" in refusal.content.decode()
    assert not Erasure.objects.exists()
    assert staff.post(url, {"reason": "The reader asked", "key": "form-1"}).status_code == 302
    act = Act.objects.get()
    assert (act.told, act.reason) == ("Erased a reader from 3 tips and 4 subscriptions.", "The reader asked")
    assert Erasure.objects.get().actor.startswith("user:staff:")
    assert not Tip.objects.filter(reader=READER).exists()


# --- At the same moment -----------------------------------------------------------------------------


def is_whole(given):
    """Erased altogether, or not at all."""
    given.refresh_from_db()
    words = (given.email, given.reader, given.name, given.message)
    return words == (READER, READER, NAME, MESSAGE) or (
        given.reader.endswith("@erased.invalid") and words == (given.reader, given.reader, "", "")
    )


@pytest.mark.django_db(transaction=True)
def test_a_tip_under_way_while_its_reader_is_erased_is_kept_whole_and_erased_by_the_next_run(creator):
    give(creator)
    with transaction.atomic():
        late = give(creator)
        assert begin(lambda: erasure.erase(READER, actor="operator")).result(timeout=120).tips == 1
    assert is_whole(late)
    assert late.email == READER
    assert erase(READER, actor="operator").tips == 1
    assert tables_with(READER, NAME, MESSAGE) == set()


@pytest.mark.django_db(transaction=True)
def test_an_erasure_waits_for_a_refund_under_way_and_both_are_done(creator):
    given = give(creator)
    with transaction.atomic():
        refund(given, 200)
        erasing = begin(lambda: erase(READER, actor="operator"))
        wait_until_another_waits()
    assert erasing.result(timeout=120).tips == 1
    given.refresh_from_db()
    assert (given.refunded_cents, given.name) == (200, "")


@pytest.mark.django_db(transaction=True)
def test_erasures_and_new_records_at_once_leave_every_row_whole(creator, stranger):
    give(creator)
    subscribe(creator, READER)
    calls: list[Any] = [lambda: erase(READER, actor="operator")] * 4
    calls += [partial(give, who) for who in (creator, stranger) * 4]
    calls += [partial(subscribe, who, READER) for who in (creator, stranger) * 2]
    at_once([partial(patiently, call) for call in calls])
    assert all(is_whole(given) for given in Tip.objects.all())
    assert Tip.objects.count() == 9
    erase(READER, actor="operator")
    assert tables_with(READER, NAME, MESSAGE) == set()
    assert Erasure.objects.count() == 5
    assert broken_records() == []


@pytest.mark.django_db(transaction=True)
def test_of_many_erasures_at_once_one_finds_the_reader(creator):
    give(creator)
    subscribe(creator, READER)
    erased = at_once([lambda: patiently(lambda: erase(READER, actor="operator"))] * 6)
    assert sum(each.tips for each in erased) == sum(each.subscriptions for each in erased) == 1
    assert timezone.now() - Erasure.objects.earliest("created_at").created_at < timedelta(minutes=5)


@pytest.mark.django_db(transaction=True)
def test_a_tip_with_a_key_recorded_at_the_moment_of_an_erasure_keeps_no_digest_if_it_was_erased(creator, api):
    calls: list[Any] = [partial(api.post, TIP, TIPPED, headers=KEY)]
    calls += [lambda: erase(READER, actor="operator")] * 3
    at_once([partial(patiently, call) for call in calls])
    for first in FirstAnswer.objects.all():
        erased = Tip.objects.get(pk=first.row_id).reader.endswith("@erased.invalid")
        assert (first.digest == "") is erased
