"""Tips: worth what they were worth that day, recorded once, refunded to the last unit of the fee."""

from collections import Counter
from functools import partial
from typing import Any

import hypothesis.strategies as st
import pytest
from django.db import transaction
from django.test import override_settings
from hypothesis import given, settings

from accounts import plans
from monetization import tips
from monetization.errors import AlreadyRecorded, NotFound, RefundTooLarge
from monetization.models import Refund, Tip
from tests.crowd import at_once, begin, outcomes_at_once, patiently, wait_until_another_waits
from tests.factories import UserFactory
from tests.monetization.conftest import TIPS
from tests.monetization.records import NOON, broken_records, clock_at, refund, refused, tip
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db

WORTH = ("gross_cents", "fee_cents", "net_cents", "fee_bps", "plan", "currency", "created_at")


def worth_of(tip):
    return Tip.objects.values(*WORTH).get(pk=tip.pk)


# --- Recorded ---------------------------------------------------------------------------------------


def test_a_tip_is_recorded_with_the_fee_of_the_creators_plan(creator):
    found = tip(creator, 500)
    assert (found.gross_cents, found.fee_cents, found.net_cents) == (500, 25, 475)
    assert (found.fee_bps, found.plan, found.currency) == (500, "free", "USD")
    assert found.pk.startswith("tip_")


@pytest.mark.parametrize(("plan", "fee"), [("free", 25), ("pro", 20), ("max", 15), ("enterprise", 10)])
def test_a_higher_plan_keeps_less(plan, fee):
    assert tip(UserFactory(plan_id=plan), 500).fee_cents == fee


def test_the_fee_of_a_currency_without_decimals_is_whole(creator):
    found = tip(creator, 500, currency="JPY")
    assert (found.fee_cents, found.net_cents, found.currency) == (25, 475, "JPY")


def test_what_the_reader_left_is_kept_as_it_was_left(creator):
    left: dict[str, Any] = {
        "email": "Reader@Example.com",
        "name": "Åsa",
        "message": "Thank you!\n<b>Really</b>",
    }
    tip(creator, **left)
    found = Tip.objects.get()
    assert {name: getattr(found, name) for name in left} == left
    assert found.reader == "reader@example.com"


def test_a_tip_may_be_anonymous(creator):
    found = tip(creator)
    assert (found.email, found.reader, found.name, found.message) == ("", "", "", "")
    assert found.stripe_payment_id is None


def test_a_tip_keeps_its_worth_when_plan_and_rate_change(creator):
    found = tip(creator)
    before = worth_of(found)
    plans.set_plan(slug="free", name="Free", fee_bps=900, key_limit=1, actor="user:staff:1")
    creator.plan_id = "max"
    creator.save(update_fields=["plan_id"])
    assert worth_of(found) == before
    assert (tip(creator).plan, tip(creator).fee_cents) == ("max", 15)
    # What goes back is of the fee that was kept, not of today's.
    assert refund(found).fee_returned_cents == 25


def test_the_rate_of_the_moment_counts_though_the_creator_was_read_before(creator):
    creator.plan.fee_bps  # noqa: B018 (read, and kept with the creator)
    plans.set_plan(slug="free", name="Free", fee_bps=1000, key_limit=1, actor="user:staff:1")
    assert tip(creator).fee_cents == 50


# --- Recorded once ----------------------------------------------------------------------------------


def test_the_same_payment_again_is_the_first_tip_whatever_the_plan_is_by_now(creator):
    first = tip(creator, stripe_payment_id="pi_1", name="Alex")
    creator.plan_id = "enterprise"
    creator.save(update_fields=["plan_id"])
    again = tip(creator, stripe_payment_id="pi_1", name="Somebody else")
    assert again == first
    assert (again.fee_cents, again.name) == (25, "Alex")
    assert Tip.objects.count() == 1


@pytest.mark.parametrize("other", [{"amount_cents": 501}, {"currency": "EUR"}])
def test_the_same_payment_with_another_amount_or_currency_is_refused(creator, other):
    tip(creator, stripe_payment_id="pi_1")
    with pytest.raises(AlreadyRecorded, match="stripe_payment_id was recorded with another amount"):
        tip(creator, **{"stripe_payment_id": "pi_1"} | other)
    assert Tip.objects.get().gross_cents == 500


def test_a_refunded_payment_again_is_still_the_first_tip(creator):
    first = tip(creator, stripe_payment_id="pi_1")
    refund(first)
    assert tip(creator, stripe_payment_id="pi_1") == first


def test_payment_ids_are_each_creators_own(creator, stranger):
    assert tip(creator, stripe_payment_id="pi_1") != tip(stranger, 700, stripe_payment_id="pi_1")


def test_two_tips_without_a_payment_id_are_two(creator):
    assert tip(creator) != tip(creator)


@pytest.mark.django_db(transaction=True)
def test_one_payment_from_24_callers_is_one_tip(creator):
    found = at_once([lambda: patiently(lambda: tip(creator, stripe_payment_id="pi_1"))] * 24)
    assert len({(each.pk, each.fee_cents, each.created_at) for each in found}) == 1
    assert Tip.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_payment_with_different_amounts_at_once_has_one_winner(creator):
    def record(amount_cents):
        return tip(creator, amount_cents, stripe_payment_id="pi_1")

    outcomes = outcomes_at_once([partial(patiently, partial(record, 500 + n)) for n in range(8)])
    assert Counter(type(outcome.exception()) for outcome in outcomes) == {type(None): 1, AlreadyRecorded: 7}
    assert Tip.objects.count() == 1


# --- Refunded ---------------------------------------------------------------------------------------


def test_a_whole_refund_gives_the_whole_fee_back(creator):
    given = tip(creator)
    back = refund(given)
    assert (back.amount_cents, back.fee_returned_cents, back.currency) == (500, 25, "USD")
    assert (back.creator, back.reason, back.actor) == (creator, "Asked for", "user:staff:1")
    given.refresh_from_db()
    assert (given.refunded_cents, given.fee_returned_cents) == (500, 25)


def test_thirds_give_back_17_16_and_17(creator):
    given = tip(creator, 999)
    assert [refund(given, 333, key=f"form-{n}").fee_returned_cents for n in range(3)] == [17, 16, 17]
    assert broken_records() == []


def test_the_rest_is_what_is_left(creator):
    given = tip(creator)
    refund(given, 120, key="form-1")
    assert refund(given, key="form-2").amount_cents == 380


@pytest.mark.parametrize("amount", [501, 0, -1, 10**12])
def test_more_than_the_tip_or_nothing_is_not_refunded(creator, amount):
    given = tip(creator)
    with pytest.raises(RefundTooLarge, match="500 of this tip are left"):
        refund(given, amount)
    assert not Refund.objects.exists()


def test_nothing_is_left_after_the_whole(creator):
    given = tip(creator)
    refund(given)
    for amount in (1, None):
        with pytest.raises(RefundTooLarge, match="0 of this tip"):
            refund(given, amount, key="form-2")
    assert Refund.objects.count() == 1


def test_the_same_key_again_is_the_first_refund(creator):
    given = tip(creator)
    first = refund(given, 300)
    assert refund(given, 300) == first == refund(given)
    given.refresh_from_db()
    assert given.refunded_cents == 300


def test_keys_are_each_tips_own(creator):
    assert refund(tip(creator)) != refund(tip(creator))


def test_there_is_no_refund_of_a_tip_that_is_not_there(creator):
    with pytest.raises(NotFound):
        refund(Tip(pk="tip_none"))


def test_the_fee_stays_where_the_deployment_says_so(creator, settings):
    settings.REFUNDS_RETURN_THE_FEE = False
    given = tip(creator)
    assert [
        refund(given, 200, key="form-1").fee_returned_cents,
        refund(given, key="form-2").amount_cents,
    ] == [
        0,
        300,
    ]
    given.refresh_from_db()
    assert (given.refunded_cents, given.fee_returned_cents) == (500, 0)


def test_a_fee_that_stayed_never_goes_back_twice_when_the_setting_changes(creator, settings):
    given = tip(creator, 999)
    refund(given, 333, key="form-1")
    settings.REFUNDS_RETURN_THE_FEE = False
    assert refund(given, 333, key="form-2").fee_returned_cents == 0
    settings.REFUNDS_RETURN_THE_FEE = True
    refund(given, key="form-3")
    given.refresh_from_db()
    assert given.fee_returned_cents == given.fee_cents
    assert broken_records() == []


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(
    amount=st.integers(50, 2000),
    parts=st.lists(st.integers(-5, 900), max_size=8),
    plan=st.sampled_from(["free", "max"]),
)
def test_any_refunds_never_pass_the_tip_and_the_last_returns_exactly_the_fee(amount, parts, plan):
    given_tip = tip(UserFactory(plan_id=plan), amount)
    left = amount
    for number, part in enumerate(parts):
        if 0 < part <= left:
            refund(given_tip, part, key=f"form-{number}")
            left -= part
        else:
            with pytest.raises(RefundTooLarge):
                refund(given_tip, part, key=f"form-{number}")
    if left:
        refund(given_tip, key="the rest")
    given_tip.refresh_from_db()
    assert (given_tip.refunded_cents, given_tip.fee_returned_cents) == (amount, given_tip.fee_cents)
    assert broken_records() == []


@pytest.mark.django_db(transaction=True)
def test_whole_refunds_at_once_go_back_once(creator):
    given = tip(creator)
    outcomes = outcomes_at_once(
        [partial(patiently, partial(refund, given, key=f"form-{n}")) for n in range(8)]
    )
    assert Counter(type(outcome.exception()) for outcome in outcomes) == {type(None): 1, RefundTooLarge: 7}
    assert broken_records() == []


@pytest.mark.django_db(transaction=True)
def test_parts_at_once_never_come_to_more_than_the_tip_nor_to_another_fee(creator):
    given = tip(creator, 999)
    outcomes = outcomes_at_once(
        [partial(patiently, partial(refund, given, 111, key=f"form-{n}")) for n in range(12)]
    )
    assert sum(outcome.exception() is None for outcome in outcomes) == 9
    given.refresh_from_db()
    assert (given.refunded_cents, given.fee_returned_cents) == (999, 50)
    assert broken_records() == []


@pytest.mark.django_db(transaction=True)
def test_one_form_sent_many_times_at_once_refunds_once(creator):
    given = tip(creator)
    found = at_once([lambda: patiently(lambda: refund(given, 200))] * 8)
    assert len({each.pk for each in found}) == 1
    given.refresh_from_db()
    assert given.refunded_cents == 200


@pytest.mark.django_db(transaction=True)
def test_a_refund_waits_for_the_one_before(creator):
    given = tip(creator)
    with transaction.atomic():
        refund(given, 300, key="form-1")
        second = begin(lambda: refund(given, 300, key="form-2"))
        wait_until_another_waits()
    with pytest.raises(RefundTooLarge, match="200 of this tip"):
        second.result(timeout=120)


# --- Previewed ---------------------------------------------------------------------------------------


def test_a_preview_says_who_gets_and_gives_what(creator):
    found = tips.preview_refund(tip(creator))
    assert (found.reader_gets_cents, found.creator_gives_cents, found.fee_returned_cents) == (500, 475, 25)
    assert found.currency == "USD"


def test_a_preview_moves_nothing(creator):
    given = tip(creator)
    tips.preview_refund(given, 300)
    given.refresh_from_db()
    assert (given.refunded_cents, given.refundable_cents) == (0, 500)
    assert not Refund.objects.exists()


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(
    amount=st.integers(50, 2000),
    parts=st.lists(st.integers(-5, 900), max_size=6),
    keeps=st.booleans(),
    plan=st.sampled_from(["free", "max"]),
)
def test_a_refund_moves_exactly_what_its_preview_says(amount, parts, keeps, plan):
    given_tip = tip(UserFactory(plan_id=plan), amount)
    with override_settings(REFUNDS_RETURN_THE_FEE=not keeps):
        for number, part in enumerate([*parts, None]):
            given_tip.refresh_from_db()
            try:
                told = tips.preview_refund(given_tip, part)
            except RefundTooLarge as error:
                with pytest.raises(RefundTooLarge, match=str(error)):
                    refund(given_tip, part, key=f"form-{number}")
                continue
            before = given_tip.net_after_refunds_cents
            back = refund(given_tip, part, key=f"form-{number}")
            assert (told.reader_gets_cents, told.fee_returned_cents) == (
                back.amount_cents,
                back.fee_returned_cents,
            )
            given_tip.refresh_from_db()
            assert before - given_tip.net_after_refunds_cents == told.creator_gives_cents


# --- Whose ------------------------------------------------------------------------------------------


def test_a_creator_refunds_their_own_tips_and_no_others(creator, stranger):
    asked: dict[str, Any] = {"tip_id": tip(creator).pk, "key": "form-1", "actor": "user:usr_creator"}
    with pytest.raises(NotFound):
        tips.refund(**asked, creator=stranger)
    assert not Refund.objects.exists()
    assert tips.refund(**asked, creator=creator).amount_cents == 500
    # Not even what was refunded before is told.
    with pytest.raises(NotFound):
        tips.refund(**asked, creator=stranger)


# --- Messages ---------------------------------------------------------------------------------------


def hide(tip, hidden=True, *, creator=None):
    return tips.hide_message(creator=creator or tip.creator, tip_id=tip.pk, hidden=hidden)


def test_a_hidden_message_is_not_shown_and_is_kept(creator):
    given = tip(creator, message="Love it")
    assert given.shown_message == "Love it"
    with clock_at(NOON):
        hidden = hide(given)
    assert (hidden.shown_message, hidden.message, hidden.message_hidden_at) == ("", "Love it", NOON)
    assert hide(given, False).shown_message == "Love it"


def test_hidden_twice_it_is_hidden_once(creator):
    given = tip(creator, message="Love it")
    with clock_at(NOON):
        hide(given)
    assert hide(given).message_hidden_at == NOON
    hide(given, False)
    assert hide(given, False).message_hidden_at is None


def test_a_strangers_message_is_not_found(creator, stranger):
    given = tip(creator, message="Love it")
    with pytest.raises(NotFound):
        hide(given, creator=stranger)
    with pytest.raises(NotFound):
        hide(Tip(pk="tip_none", creator=creator))
    given.refresh_from_db()
    assert given.message_hidden_at is None


def test_the_api_goes_on_telling_what_is_hidden_from_the_pages(creator, api):
    hide(tip(creator, message="Love it"))
    (row,) = api.get(TIPS).json()
    assert row["message"] == "Love it"
    assert "message_hidden_at" not in row


# --- The laws ---------------------------------------------------------------------------------------


@pytest.fixture
def refunded(creator):
    """A tip of 500 of which 200 went back."""
    given = tip(creator, email="reader@example.com", stripe_payment_id="pi_1")
    refund(given, 200)
    return given


@pytest.mark.parametrize(
    "change",
    [
        "gross_cents = 600, net_cents = 575",
        "fee_cents = 0, net_cents = 500",
        "fee_bps = 0",
        "plan = 'max'",
        "currency = 'EUR'",
        "created_at = now()",
        "creator_id = 'usr_stranger'",
        "id = 'tip_other'",
    ],
)
def test_what_a_tip_was_worth_cannot_be_changed(refunded, stranger, change):
    refused("the worth of tip_.* is history", f"UPDATE monetization_tip SET {change}")


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM monetization_tip",
        "TRUNCATE monetization_tip CASCADE",
        "DELETE FROM monetization_refund",
        "TRUNCATE monetization_refund",
        "UPDATE monetization_refund SET amount_cents = 1",
        "UPDATE monetization_refund SET fee_returned_cents = 0",
        "UPDATE monetization_refund SET reason = 'nicer'",
        "UPDATE monetization_refund SET actor = 'nobody'",
        "UPDATE monetization_refund SET reason = '(erased)', amount_cents = 1",
    ],
)
def test_tips_and_refunds_are_never_removed_nor_refunds_changed(refunded, change):
    refused("is history: (UPDATE|DELETE|TRUNCATE) is refused", change)


INSERT = """
    INSERT INTO monetization_tip (id, creator_id, gross_cents, fee_cents, net_cents, fee_bps, plan, currency,
        refunded_cents, fee_returned_cents, email, reader, name, message, stripe_payment_id, created_at)
    VALUES ('tip_sql', 'usr_creator', %s, %s, %s, 500, 'free', 'USD', %s, %s, '', '', '', '', %s, now())
"""


@pytest.mark.parametrize(
    ("law", "values"),
    [
        ("parts_add_up", (500, 25, 476, 0, 0, None)),
        ("parts_add_up", (500, -25, 525, 0, 0, None)),
        ("parts_add_up", (500, 525, -25, 0, 0, None)),
        ("parts_add_up", (0, 0, 0, 0, 0, None)),
        ("refunds_at_most_the_whole", (500, 25, 475, 501, 0, None)),
        ("refunds_at_most_the_whole", (500, 25, 475, 500, 26, None)),
        ("refunds_at_most_the_whole", (500, 25, 475, -1, 0, None)),
        ("stripe_id_once", (500, 25, 475, 0, 0, "pi_1")),
    ],
)
def test_a_tip_that_does_not_add_up_cannot_be_written(refunded, law, values):
    refused(f"monetization_tip_{law}", INSERT, *values)


def test_a_tip_of_the_same_shape_can(refunded):
    sql(INSERT, 500, 25, 475, 0, 0, None)
    assert Tip.objects.count() == 2


@pytest.mark.parametrize(
    ("law", "amount", "key"), [("moves_something", 0, "form-2"), ("key_once", 100, "form-1")]
)
def test_a_refund_moves_something_and_its_key_is_used_once(refunded, law, amount, key):
    refused(
        f"monetization_refund_{law}",
        "INSERT INTO monetization_refund (id, tip_id, creator_id, amount_cents, fee_returned_cents, currency,"
        " key, actor, reason, created_at)"
        " VALUES ('rfd_sql', %s, 'usr_creator', %s, 0, 'USD', %s, '', '', now())",
        refunded.pk,
        amount,
        key,
    )
