"""Grants that are taken back, and the lists of grants with their states."""

from datetime import timedelta
from typing import Any

import pytest

from foundation.errors import InvalidCursor
from tests.wallet.granted import A_DAY, grant, lots_of, past_grants, set_budget, spent
from tests.wallet.granted import void as void_lot
from tests.wallet.held import capture, hold, service_of, void
from wallet.books.funds import available_of, funds_of
from wallet.charges import deductions, give_backs, lapsing
from wallet.errors import NotFound
from wallet.grants import granting
from wallet.models import Entry, Lot

pytestmark = pytest.mark.django_db

A_MOMENT = timedelta(microseconds=1)


def charge(credits, user_id="usr_1"):
    facts = {"user_id": user_id, "feature": "blog.article.generate", "count": credits}
    return deductions.deduct(service=service_of("blog"), **facts).entry


def answer(voided):
    return voided.state, voided.removed, voided.held, voided.replayed


def refunded(entry, credits=None):
    facts: dict[str, Any] = {"user_id": "usr_1", "credits": credits, "key": "undo"}
    return give_backs.refund(service=service_of("blog"), charge={"pk": entry.pk}, **facts)


def expiries():
    entries = Entry.objects.filter(kind="expiry").order_by("sequence")
    return list(entries.values_list("credits", "effective_at"))


# --- Taking a grant back ------------------------------------------------------------------------------


def test_a_grant_that_is_taken_back_ends_now(clock, article_rate):
    """What was spent stays spent, and what is set aside stays set aside."""
    lot = grant(credits=10)
    charge(2)
    held = hold("usr_1", 3)
    clock.advance(hours=0.5)
    assert answer(void_lot(lot)) == ("voided", 5, 3, False)
    voided_at = clock.now
    assert (lots_of(), expiries()) == ([(3, 3, 5)], [(-5, voided_at)])
    lot.refresh_from_db()
    assert (lot.voided_at, lot.ends_at, lot.state_at(clock.now)) == (voided_at, voided_at, "voided")
    capture(held, 1)
    assert (lots_of(), expiries()) == ([(0, 0, 7)], [(-5, voided_at), (-2, voided_at)])
    assert available_of("usr_1") == 0


def test_taking_a_grant_back_again_says_the_same(clock, article_rate):
    lot = grant(credits=10)
    held = hold("usr_1", 3)
    void_lot(lot)
    for later in (0, 1, 3):
        clock.advance(days=later)
        assert answer(void_lot(lot)) == ("voided", 7, 3, True)
    assert len(expiries()) == 1
    lapsing.lapse_wallet("usr_1")  # The hold has expired.
    assert held.pk
    assert answer(void_lot(lot)) == ("voided", 7, 3, True)
    assert lots_of() == [(0, 0, 10)]


@pytest.mark.parametrize("releases", ["void", "expiry"])
def test_what_a_hold_releases_of_a_grant_that_was_taken_back_is_lost(clock, article_rate, releases):
    lot = grant(credits=10)
    held = hold("usr_1", 4)
    void_lot(lot)
    assert available_of("usr_1") == 0
    if releases == "void":
        void(held)
    else:
        clock.advance(hours=1)
        assert funds_of("usr_1").balance == 0
        assert lapsing.lapse_wallet("usr_1") == (1, 1)
    assert lots_of() == [(0, 0, 10)]


def test_a_refund_to_a_grant_that_was_taken_back_is_lost(clock, give, article_rate):
    give("usr_1", 1)
    lot = grant(credits=4)
    entry = charge(5)
    void_lot(lot)
    refund = refunded(entry).answer
    assert (refund.to_grants, refund.lapsed, refund.available) == (4, 4, 1)


def test_taking_back_what_an_overdue_hold_has(clock, article_rate):
    """The hold has expired, so the whole grant is free."""
    lot = grant(credits=10)
    set_budget(100)
    hold("usr_1", 4)
    clock.advance(hours=1)
    assert answer(void_lot(lot)) == ("voided", 10, 0, False)
    assert spent() == [0]


def test_a_used_grant_can_be_taken_back_for_nothing(clock, article_rate):
    lot = grant(credits=2)
    charge(2)
    assert answer(void_lot(lot)) == ("voided", 0, 0, False)
    assert (lots_of(), expiries()) == ([(0, 0, 0)], [])


@pytest.mark.parametrize(
    ("before", "said"),
    [(A_MOMENT, ("voided", 6, 0)), (timedelta(0), ("expired", 0, 0)), (-A_DAY, ("expired", 0, 0))],
)
def test_a_grant_is_taken_back_until_the_microsecond_before_its_end(clock, article_rate, before, said):
    lot = grant(credits=10)
    charge(4)
    clock.set(lot.expires_at - before)
    assert answer(void_lot(lot)) == (*said, False)
    assert lots_of() == [(0, 0, 6)]
    lot.refresh_from_db()
    assert (lot.voided_at is None) == (said[0] == "expired")


def test_an_expired_grant_that_a_hold_has_stays_expired(clock, article_rate):
    lot = grant(credits=10, lasts=timedelta(minutes=10))
    hold("usr_1", 4)
    clock.set(lot.expires_at)
    for _ in range(2):
        assert answer(void_lot(lot)) == ("expired", 0, 4, False)
    assert lots_of() == [(4, 4, 6)]


def test_a_used_grant_stays_used_after_its_end(clock, article_rate):
    lot = grant(credits=4)
    charge(4)
    clock.set(lot.expires_at)
    assert answer(void_lot(lot)) == ("used", 0, 0, False)


def test_a_product_takes_back_its_own_grants_alone(clock):
    of_blog, of_staff = grant(credits=1), grant(credits=1, product="")
    for lot, product in ((of_blog, "mail"), (of_staff, "blog"), (of_blog, "")):
        with pytest.raises(NotFound):
            granting.void(user_id="usr_1", grant_id=lot.pk, product=product)
    for user_id, grant_id in (("usr_2", of_blog.pk), ("usr_1", "grant_none"), ("usr_none", of_blog.pk)):
        with pytest.raises(NotFound):
            granting.void(user_id=user_id, grant_id=grant_id, product=None)
    for lot in (of_blog, of_staff):  # Staff may take back any.
        assert granting.void(user_id="usr_1", grant_id=lot.pk, product=None).removed == 1


# --- Lists and states ---------------------------------------------------------------------------------


def page(state="", *, product=None, user_id="usr_1", limit=100, cursor=None):
    return granting.page(user_id=user_id, product=product, state=state, limit=limit, cursor=cursor)


def states():
    """The grants of each state, and every state again by the list without a filter."""
    lists = {state: [lot.pk for lot in page(state).lots] for state in Lot.State.values}
    everything = page()
    by_state: dict[str, list[str]] = {state: [] for state in Lot.State.values}
    for lot in everything.lots:
        by_state[lot.state_at(everything.now)].append(lot.pk)
    assert lists == by_state
    return {pk: state for state, found in lists.items() for pk in found}


def test_each_grant_is_in_one_state(clock, article_rate):
    used, partly, whole, voided, held = [grant(credits=3, lasts=A_DAY + n * A_MOMENT) for n in range(5)]
    charge(5)
    void_lot(voided)
    clock.set(whole.expires_at - A_MOMENT)
    expected = {
        used.pk: "used",
        partly.pk: "active",
        whole.pk: "active",
        voided.pk: "voided",
        held.pk: "active",
    }
    # The lot `partly` ended in this microsecond, at its own end.
    assert partly.expires_at == clock.now
    assert states() == expected | {partly.pk: "expired"}
    clock.set(held.expires_at)
    ended = expected | {pk: "expired" for pk in (partly.pk, whole.pk, held.pk)}
    assert states() == ended
    lapsing.lapse_wallet("usr_1")
    assert states() == ended


def test_a_grant_to_which_credits_came_back_after_its_end_has_expired(clock, article_rate):
    lot = grant(credits=3)
    entry = charge(3)
    clock.set(lot.expires_at)
    assert states() == {lot.pk: "used"}
    refunded(entry, 1)
    assert states() == {lot.pk: "expired"}


def test_a_grant_that_is_set_aside_is_active_until_its_end(clock, article_rate):
    lot = grant(credits=3, lasts=timedelta(minutes=30))
    hold("usr_1", 3)
    assert states() == {lot.pk: "active"}
    clock.set(lot.expires_at)
    (read,) = page().lots
    assert (states(), read.remaining, read.held, read.expired) == ({lot.pk: "expired"}, 3, 3, 0)
    clock.advance(hours=1)
    for _ in range(2):
        (read,) = page().lots
        assert (states(), read.remaining, read.held, read.expired) == ({lot.pk: "expired"}, 0, 0, 3)
        lapsing.lapse_wallet("usr_1")


def test_a_list_shows_what_time_has_freed(clock, article_rate):
    lot = grant(credits=5)
    hold("usr_1", 3)
    clock.advance(hours=1)
    (read,) = page().lots
    assert (read.remaining, read.held, read.free, read.state_at(clock.now)) == (5, 0, 5, "active")
    lot.refresh_from_db()
    assert lot.held == 3  # Reading writes nothing.


def test_lists_are_newest_first_by_pages(clock):
    made = []
    for n in range(5):
        clock.advance(n % 2)  # Some are of the same time.
        made.append(grant(credits=1, product="mail" if n == 2 else "blog").pk)
    newest = made[::-1]
    first = page(limit=2)
    second = page(limit=2, cursor=first.next_cursor)
    third = page(limit=2, cursor=second.next_cursor)
    assert [lot.pk for each in (first, second, third) for lot in each.lots] == newest
    assert third.next_cursor is None
    assert page(limit=5).next_cursor is None
    of_blog = page(product="blog", limit=3)
    assert [lot.pk for lot in of_blog.lots] == [pk for pk in newest if pk != made[2]][:3]
    assert [lot.pk for lot in page(product="blog", cursor=of_blog.next_cursor).lots] == [made[0]]
    assert page(user_id="usr_2").lots == []


def test_a_cursor_is_of_the_same_list(clock):
    for product in ("blog", "blog", "mail", "mail"):
        grant(credits=1, product=product)
    of_mail = page(product="mail", limit=1).next_cursor
    for cursor in (of_mail, "", "nonsense", "Z3JhbnRfbm9uZQ"):
        with pytest.raises(InvalidCursor):
            page(product="blog", cursor=cursor)
    with pytest.raises(InvalidCursor):
        page(user_id="usr_2", cursor=of_mail)


def test_past_grants_read_as_expired_before_they_are_written_down():
    """With the real clock."""
    (lot,) = past_grants(1)
    assert states() == {lot.pk: "expired"}
    assert funds_of("usr_1").grants == []
