"""The end of a grant, to the microsecond. What it means is the same before and after it was written down."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from tests.wallet import by_hand
from tests.wallet.entries import sql
from tests.wallet.granted import A_DAY, grant, lots_of, past_grant, past_grants, set_budget, spent
from tests.wallet.held import capture, hold, service_of, void
from tests.wallet.holding import past_hold
from tests.wallet.resting import resting_triggers
from tests.wallet.reversed import take_back
from tests.wallet.tidying import tidy
from wallet.books.funds import funds_of
from wallet.charges import deductions, give_backs, lapsing
from wallet.errors import InsufficientCredits
from wallet.models import Entry, GiveBack, Hold, Lot, LotMove

pytestmark = pytest.mark.django_db


def charge(credits, key=""):
    facts = {"user_id": "usr_1", "feature": "blog.article.generate", "count": credits, "key": key}
    return deductions.deduct(service=service_of("blog"), **facts).entry


def refund(entry, credits=None, key="undo"):
    facts = {"user_id": "usr_1", "charge": {"pk": entry.pk}, "credits": credits, "key": key}
    return give_backs.refund(service=service_of("blog"), **facts).answer


def adjust(credits):
    facts = {"user_id": "usr_1", "reason": "More", "actor": "user:staff:1"}
    return by_hand.adjust(credits=credits, key=f"form {credits}", **facts)


def funds():
    now = funds_of("usr_1")
    return now.balance, now.held, now.granted, now.available


def expiries():
    """The credits of each expiry and when it was, oldest first."""
    entries = Entry.objects.filter(kind="expiry").order_by("wallet_id", "sequence")
    return [(entry.credits, entry.effective_at, entry.created_at) for entry in entries]


def moved(entry):
    """What an entry moved of each lot, in spendable order."""
    moves = LotMove.objects.filter(wallet_id=entry.wallet_id, sequence=entry.sequence)
    return list(moves.order_by("lot__expires_at", "lot_id").values_list("credits", flat=True))


# --- The moment ---------------------------------------------------------------------------------------


def test_a_lot_pays_until_the_microsecond_before_its_end(clock, article_rate):
    lot = grant(credits=10)
    clock.set(lot.expires_at - timedelta(microseconds=1))
    assert funds() == (10, 0, 10, 10)
    assert moved(charge(4)) == [-4]
    clock.set(lot.expires_at)
    assert funds() == (0, 0, 0, 0)
    with pytest.raises(InsufficientCredits) as refused:
        charge(1)
    assert (refused.value.available, refused.value.lapsed) == (0, 1)
    assert lots_of() == [(6, 0, 0)]  # The refusal was rolled back.
    lapsing.lapse_wallet("usr_1")
    assert (lots_of(), funds()) == ([(0, 0, 6)], (0, 0, 0, 0))


def test_an_end_is_written_down_with_the_time_of_the_end(clock, article_rate):
    lot = grant(credits=3, reason="Sorry for the outage")
    clock.set(lot.expires_at + timedelta(hours=5))
    assert lapsing.lapse_wallet("usr_1") == (0, 1)
    assert expiries() == [(-3, lot.expires_at, clock.now)]
    entry = Entry.objects.get(kind="expiry")
    assert (entry.actor, entry.product, entry.reason) == ("time", "blog", "Sorry for the outage")
    assert lapsing.lapse_wallet("usr_1") == (0, 0)


def test_lots_end_in_the_order_of_their_ends(clock):
    ends = [grant(credits=n, lasts=n * A_DAY).expires_at for n in (3, 1, 2)]
    clock.set(max(ends))
    assert funds() == (0, 0, 0, 0)
    assert lapsing.lapse_wallet("usr_1") == (0, 3)
    assert [(credits, end) for credits, end, _ in expiries()] == [
        (-1, ends[1]),
        (-2, ends[2]),
        (-3, ends[0]),
    ]


def test_the_soonest_end_pays_first_then_the_older_lot_then_paid_credits(clock, give, article_rate):
    give("usr_1", 5)
    last = grant(credits=3, lasts=3 * A_DAY)
    first, second = grant(credits=3, lasts=A_DAY), grant(credits=3, lasts=A_DAY)
    charge(4)
    left = {lot.pk: lot.remaining for lot in Lot.objects.all()}
    assert left == {first.pk: 0, second.pk: 2, last.pk: 3}
    entry = charge(7)
    assert (moved(entry), funds()) == ([-2, -3], (3, 0, 0, 3))
    with pytest.raises(InsufficientCredits):
        charge(4)


def test_a_lot_that_has_ended_is_never_spent_in_place_of_paid_credits(clock, give, article_rate):
    give("usr_1", 5)
    grant(credits=5)
    clock.advance(days=1)
    entry = charge(5)
    assert (moved(entry), lots_of(), funds()) == ([], [(0, 0, 5)], (0, 0, 0, 0))


# --- What holds have set aside ------------------------------------------------------------------------


def test_what_a_hold_has_set_aside_is_captured_after_the_end(clock, article_rate):
    lot = grant(credits=10, lasts=timedelta(minutes=10))
    held = hold("usr_1", 6)
    clock.set(lot.expires_at)
    assert funds() == (6, 6, 6, 0)
    capture(held, 4)
    assert (lots_of(), funds()) == ([(0, 0, 6)], (0, 0, 0, 0))
    # What was free ended first; what the capture released ended after it.
    assert [credits for credits, _, _ in expiries()] == [-4, -2]
    assert moved(Entry.objects.get(kind="capture")) == [-4]


@pytest.mark.parametrize("is_written_down", [False, True])
def test_what_a_hold_releases_after_the_end_is_lost(clock, article_rate, is_written_down):
    lot = grant(credits=10, lasts=timedelta(minutes=10))
    held = hold("usr_1", 6)
    clock.set(lot.expires_at)
    if is_written_down:
        assert lapsing.lapse_wallet("usr_1") == (0, 1)
        assert lots_of() == [(6, 6, 4)]
    void(held)
    assert (lots_of(), funds()) == ([(0, 0, 10)], (0, 0, 0, 0))


def test_a_hold_that_expires_with_its_lot_leaves_nothing(clock, article_rate):
    """The hold is written down first, because what it releases is of a lot that has ended."""
    lot = grant(credits=10, lasts=timedelta(hours=1))
    hold("usr_1", 6)
    clock.set(lot.expires_at)
    assert funds() == (0, 0, 0, 0)
    assert lapsing.lapse_wallet("usr_1") == (1, 1)
    assert (lots_of(), funds()) == ([(0, 0, 10)], (0, 0, 0, 0))
    assert [credits for credits, _, _ in expiries()] == [-10]


def test_a_hold_that_expires_before_its_lot_sets_its_part_free(clock, article_rate):
    grant(credits=10)
    set_budget(100)
    hold("usr_1", 6)
    clock.advance(hours=1)
    assert (funds(), spent()) == ((10, 0, 10, 10), [0])
    assert moved(charge(10)) == [-10]
    assert spent() == [10]


def test_a_hold_of_a_lot_and_of_paid_credits_is_captured_from_the_lot_first(clock, give, article_rate):
    give("usr_1", 10)
    grant(credits=3, lasts=A_DAY)
    grant(credits=3, lasts=2 * A_DAY)
    held = hold("usr_1", 8)
    assert lots_of() == [(3, 3, 0), (3, 3, 0)]
    capture(held, 4)
    assert (moved(Entry.objects.get(kind="capture")), lots_of()) == ([-3, -1], [(0, 0, 0), (2, 0, 0)])
    assert funds() == (12, 0, 2, 12)


# --- What comes back ----------------------------------------------------------------------------------


def test_what_comes_back_goes_to_paid_credits_then_to_the_last_lot(clock, give, article_rate):
    give("usr_1", 5)
    grant(credits=4, lasts=A_DAY)
    grant(credits=3, lasts=2 * A_DAY)
    entry = charge(10)
    answers = [refund(entry, credits, f"undo {credits}") for credits in (2, 3, 5)]
    assert [(each.refundable, each.to_grants, each.lapsed, each.available) for each in answers] == [
        (8, 0, 0, 4),
        (5, 2, 0, 7),
        (0, 5, 0, 12),
    ]
    refunds = Entry.objects.filter(kind="refund").order_by("sequence")
    assert [moved(each) for each in refunds] == [[], [2], [4, 1]]
    assert lots_of() == [(4, 0, 0), (3, 0, 0)]


@pytest.mark.parametrize("kept", [0, 3, 6, 9])
def test_a_charge_of_which_a_part_came_back_leaves_what_a_smaller_one_would(clock, give, article_rate, kept):
    give("usr_1", 5)
    grant(credits=4, lasts=A_DAY)
    grant(credits=3, lasts=2 * A_DAY)
    refund(charge(10), 10 - kept)
    after_refund = (funds(), lots_of())
    give("usr_2", 5)
    grant("usr_2", 4, lasts=A_DAY)
    grant("usr_2", 3, lasts=2 * A_DAY)
    if kept:
        facts = {"user_id": "usr_2", "feature": "blog.article.generate", "count": kept}
        deductions.deduct(service=service_of("blog"), **facts)
    other = funds_of("usr_2")
    assert after_refund == ((other.balance, 0, other.granted, other.available), lots_of("usr_2"))


def test_what_comes_back_to_a_lot_after_its_end_is_lost_at_once(clock, give, article_rate):
    """Of a charge of 8, 3 were paid credits and stay. The answer says what was lost."""
    give("usr_1", 3)
    lot = grant(credits=5)
    entry = charge(8)
    clock.set(lot.expires_at)
    answer = refund(entry, 6)
    assert (answer.to_grants, answer.lapsed, answer.refundable, answer.available) == (3, 3, 2, 3)
    assert expiries() == [(-3, lot.expires_at, clock.now)]
    assert (lots_of(), funds()) == ([(0, 0, 3)], (3, 0, 0, 3))
    assert lot.state_at(clock.now) == Lot.State.EXPIRED


@pytest.mark.parametrize("is_written_down", [False, True])
def test_credits_come_back_to_a_lot_that_ended_with_some_left(clock, article_rate, is_written_down):
    """Its end is written down before the refund or by it, and what comes back is lost in both cases."""
    lot = grant(credits=10)
    entry = charge(4)
    clock.set(lot.expires_at)
    if is_written_down:
        lapsing.lapse_wallet("usr_1")
    answer = refund(entry)
    assert (answer.to_grants, answer.lapsed, answer.available) == (4, 4, 0)
    assert [credits for credits, _, _ in expiries()] == [-6, -4]
    assert (lots_of(), funds()) == ([(0, 0, 10)], (0, 0, 0, 0))


def test_credits_come_back_to_two_lots_of_which_one_has_ended(clock, article_rate):
    ended = grant(credits=4, lasts=A_DAY)
    grant(credits=3, lasts=2 * A_DAY)
    entry = charge(6)
    clock.set(ended.expires_at)
    answer = refund(entry)
    assert (answer.to_grants, answer.lapsed, answer.available) == (6, 4, 3)
    assert lots_of() == [(0, 0, 4), (3, 0, 0)]


def test_a_refund_of_a_capture_goes_back_to_the_lot_that_was_set_aside(clock, article_rate):
    lot = grant(credits=5, lasts=timedelta(minutes=10))
    held = hold("usr_1", 5)
    clock.set(lot.expires_at)
    capture(held)
    entry = Entry.objects.get(kind="capture")
    answer = refund(entry, 2)
    assert (answer.lapsed, answer.available) == (2, 0)
    assert GiveBack.objects.get().entry_id == Entry.objects.get(kind="refund").pk


# --- Corrections and payments -------------------------------------------------------------------------


def test_an_adjustment_takes_paid_credits_then_lots(clock, give):
    give("usr_1", 3)
    grant(credits=4)
    entry = adjust(-5)
    assert (moved(entry), lots_of(), funds()) == ([-2], [(2, 0, 0)], (2, 0, 2, 2))
    with pytest.raises(InsufficientCredits):
        adjust(-3)
    assert moved(adjust(-2)) == [-2]


def test_an_adjustment_in_a_debt_takes_what_is_available_of_lots(clock, give, article_rate):
    payment = give("usr_1", 3)
    charge(3)
    grant(credits=5)
    take_back(payment)
    assert funds() == (2, 0, 5, 2)
    assert moved(adjust(-2)) == [-2]
    assert (lots_of(), funds()) == ([(3, 0, 0)], (0, 0, 3, 0))


def test_an_adjustment_leaves_what_a_hold_of_paid_credits_has(clock, give, article_rate):
    """The hold has the lot and 2 of 5 paid credits, so 3 paid credits are free."""
    give("usr_1", 5)
    grant(credits=4)
    hold("usr_1", 6)
    with pytest.raises(InsufficientCredits):
        adjust(-4)
    assert (moved(adjust(-3)), lots_of()) == ([], [(4, 4, 0)])


def test_a_clawback_takes_paid_credits_alone(clock, give, article_rate):
    payment = give("usr_1", 3)
    charge(1)
    lot = grant(credits=5)
    take_back(payment)
    assert (lots_of(), funds()) == ([(5, 0, 0)], (4, 0, 5, 4))
    # The lot ends, and only the debt is left.
    clock.set(lot.expires_at)
    assert funds() == (-1, 0, 0, -1)
    lapsing.lapse_wallet("usr_1")
    assert funds() == (-1, 0, 0, -1)


# --- The command --------------------------------------------------------------------------------------


@transaction.atomic
def without_triggers(statement):
    with resting_triggers():
        sql(statement)


@pytest.mark.django_db(transaction=True)
def test_tidy_writes_down_holds_and_grants_and_counts_both(give, article_rate):
    """usr_1 has two lots that ended; usr_2 one and an overdue hold of it; usr_3 has nothing overdue."""
    past_grants(2, "usr_1", credits=3)
    past_grant("usr_2", 4, ended=None, at=timezone.now() - timedelta(hours=2))
    past_hold("usr_2", credits=2)
    past_grants(1, "usr_2")
    give("usr_3", 1)
    grant("usr_3", 1)
    before = [funds_of(f"usr_{n}").available for n in (1, 2, 3)]
    assert tidy() == (0, "1 overdue hold and 3 grants of 2 wallets ended.", "")
    assert [funds_of(f"usr_{n}").available for n in (1, 2, 3)] == before == [0, 4, 2]
    assert Hold.objects.get().state == "expired"
    assert [lots_of(f"usr_{n}") for n in (1, 2, 3)] == [
        [(0, 0, 3), (0, 0, 3)],
        [(0, 0, 1), (4, 0, 0)],
        [(1, 0, 0)],
    ]
    assert tidy() == (0, "0 overdue holds and 0 grants of 0 wallets ended.", "")


@pytest.mark.django_db(transaction=True)
def test_tidy_leaves_what_an_open_hold_has_set_aside(article_rate):
    """The lot is looked at once: no round finds it again while the hold is open."""
    (lot,) = past_grants(1, credits=5)
    without_triggers(f"UPDATE wallet_lot SET expires_at = now() + interval '1 hour' WHERE id = '{lot.pk}'")
    held = hold("usr_1", 2)
    without_triggers(f"UPDATE wallet_lot SET expires_at = clock_timestamp() WHERE id = '{lot.pk}'")
    assert tidy()[1] == "0 overdue holds and 1 grant of 1 wallet ended."
    assert tidy()[1] == "0 overdue holds and 0 grants of 0 wallets ended."
    assert lots_of() == [(2, 2, 3)]
    capture(held, 1)
    assert lots_of() == [(0, 0, 4)]
