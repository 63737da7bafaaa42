"""Grants: from when to when they may last, how many there may be, and what a key and the caps decide."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from foundation.errors import KeyReused
from tests.wallet import by_hand
from tests.wallet.granted import A_DAY, grant, lots_alone, lots_of, past_grants, void
from tests.wallet.held import hold, service_of
from tests.wallet.reversed import take_back
from wallet.books.funds import funds_of
from wallet.charges import debits, deductions
from wallet.errors import GrantEndOutOfRange, GrantVoided, InsufficientCredits, OverCap, TooManyGrants
from wallet.grants import granting
from wallet.grants.caps import Caps
from wallet.models import Entry, GrantedMonth, Lot, Wallet

pytestmark = pytest.mark.django_db

A_MOMENT = timedelta(microseconds=1)
A_MINUTE = timedelta(minutes=1)
NOTHING = timedelta(0)


def asked(clock, **changes):
    """Ask for the same grant of the blog; changes can be made. The key is the same, too."""
    request: dict[str, Any] = {
        "credits": 10,
        "expires_at": datetime(2020, 1, 2, tzinfo=UTC),
        "reason": "Welcome",
        "key": "welcome",
        "actor": "service:wsk_test",
        "product": "blog",
        "caps": Caps(10, 100),
    }
    return by_hand.grant(user_id="usr_1", **request | changes)


def charge(credits, user_id="usr_1", key=""):
    service = service_of("blog")
    facts = {"user_id": user_id, "feature": "blog.article.generate", "count": credits, "key": key}
    return deductions.deduct(service=service, **facts).entry


@pytest.fixture
def three_at_most(monkeypatch):
    """A product may have three grants with credits left in a wallet."""
    monkeypatch.setattr(granting, "GRANTS_OF_PRODUCT_MAX", 3)


# --- The end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beyond", [NOTHING, A_MOMENT, A_DAY])
def test_a_grant_lasts_a_minute_at_least(clock, beyond):
    expires_at = clock.now + A_MINUTE - beyond
    if beyond:
        with pytest.raises(GrantEndOutOfRange):
            asked(clock, expires_at=expires_at)
        assert not Wallet.objects.exists()
    else:
        assert asked(clock, expires_at=expires_at).lot.expires_at == expires_at


@pytest.mark.parametrize("beyond", [NOTHING, A_MOMENT])
@pytest.mark.parametrize(
    ("now", "latest"),
    [
        ("2020-02-28T23:59:59.999999", "2025-02-28T23:59:59.999999"),
        ("2020-02-29T12:30:00.000001", "2025-03-01T12:30:00.000001"),  # There is no 29 February in 2025.
        ("2019-02-28T23:59:59", "2024-02-28T23:59:59"),  # 29 February 2024 is a day later.
    ],
)
def test_a_grant_lasts_five_years_at_most(clock, now, latest, beyond):
    clock.set(datetime.fromisoformat(now).replace(tzinfo=UTC))
    expires_at = datetime.fromisoformat(latest).replace(tzinfo=UTC) + beyond
    if beyond:
        with pytest.raises(GrantEndOutOfRange):
            asked(clock, expires_at=expires_at)
    else:
        assert asked(clock, expires_at=expires_at).lot.expires_at == expires_at


def test_years_after_a_leap_day_are_on_a_leap_day_where_there_is_one():
    leap_day = datetime(2020, 2, 29, 12, tzinfo=UTC)
    assert granting.years_after(leap_day, 4) == datetime(2024, 2, 29, 12, tzinfo=UTC)
    assert granting.years_after(leap_day, 1) == datetime(2021, 3, 1, 12, tzinfo=UTC)
    assert granting.years_after(datetime(2019, 12, 31, tzinfo=UTC), 5) == datetime(2024, 12, 31, tzinfo=UTC)


# --- What a grant is ----------------------------------------------------------------------------------


def test_a_grant_makes_the_wallet_an_entry_and_a_lot(clock):
    granted = asked(clock)
    lot, entry = granted.lot, Entry.objects.get()
    assert not granted.replayed
    assert (lot.product, lot.reason, lot.credits, lot.remaining, lot.held) == ("blog", "Welcome", 10, 10, 0)
    assert (lot.entry_id, lot.created_at, entry.created_at) == (entry.pk, clock.now, clock.now)
    assert (entry.kind, entry.credits, entry.balance_after, entry.held) == ("grant", 10, 10, 0)
    assert (entry.actor, entry.product, entry.reason) == ("service:wsk_test", "blog", "Welcome")
    assert lot.state_at(clock.now) == Lot.State.ACTIVE
    funds = funds_of("usr_1")
    assert (funds.balance, funds.granted, funds.paid, funds.available) == (10, 10, 0, 10)


def test_a_grant_in_a_debt_is_whole_and_pays_no_debt(give, article_rate):
    payment = give("usr_1", 5)
    charge(5)
    take_back(payment)
    lot = grant(credits=3)
    funds = funds_of("usr_1")
    assert (lot.remaining, funds.balance, funds.available, funds.paid, funds.granted) == (3, -2, -2, -5, 3)
    with pytest.raises(InsufficientCredits) as refused:
        charge(1)
    assert refused.value.available == -2
    grant(credits=3)
    assert charge(1).balance_after == 0
    assert lots_of() == [(2, 0, 0), (3, 0, 0)]


# --- One key ------------------------------------------------------------------------------------------


def test_the_same_request_is_answered_with_the_first_grant(clock, article_rate):
    first = asked(clock).lot
    for credits, later in ((0, {"seconds": 59}), (4, {"hours": 1}), (6, {"hours": 1}), (0, {"days": 2})):
        clock.advance(**later)
        if credits:
            charge(credits)
        again = asked(clock, reason="Another one")
        assert (again.replayed, again.lot.pk, again.lot.credits) == (True, first.pk, 10)
    assert Lot.objects.count() == 1
    assert GrantedMonth.objects.get().credits == 10


def test_a_replay_does_not_look_at_ends_caps_and_limits(clock, three_at_most):
    """The end has passed, the caps are lower than the grant, and the product has as many as it may have."""
    first = asked(clock).lot
    clock.advance(days=3)
    for _ in range(3):
        grant(credits=1)
    again = asked(clock, caps=Caps(1, 1))
    assert (again.replayed, again.lot.pk) == (True, first.pk)


def test_a_key_with_another_request_is_an_error(clock):
    asked(clock)
    for changes in (
        {"credits": 9},
        {"expires_at": datetime(2020, 1, 2, 0, 0, 0, 1, tzinfo=UTC)},
        {"credits": 9, "expires_at": clock.now},  # Judged before the end is.
        {"credits": 11},  # Judged before the cap is.
    ):
        with pytest.raises(KeyReused):
            asked(clock, **changes)
    assert Lot.objects.count() == 1


def test_the_key_of_a_grant_that_was_taken_back_has_ended(clock):
    void(asked(clock).lot)
    for later in (0, 2):
        clock.advance(days=later)
        with pytest.raises(GrantVoided) as ended:
            asked(clock)
        assert ended.value.code == "key_ended"
        with pytest.raises(KeyReused):
            asked(clock, credits=9)


def test_a_key_belongs_to_a_product(clock):
    """A product may have a new service key; another product has keys of its own."""
    first = asked(clock).lot
    assert asked(clock, actor="service:wsk_new").lot == first
    other = asked(clock, product="mail")
    assert (other.replayed, other.lot.product) == (False, "mail")


def test_a_key_of_staff_belongs_to_one_staff_member(clock):
    by_staff = {"product": "", "caps": None, "actor": "user:staff:1"}
    first = asked(clock, **by_staff)
    assert asked(clock, **by_staff).lot == first.lot
    with pytest.raises(KeyReused):
        asked(clock, **by_staff | {"actor": "user:staff:2"})
    void(first.lot)
    with pytest.raises(KeyReused):
        asked(clock, **by_staff | {"actor": "user:staff:2"})
    with pytest.raises(GrantVoided):
        asked(clock, **by_staff)
    # The same key of a grant of the blog is another one.
    assert not asked(clock).replayed


def test_a_refused_grant_uses_no_key_up(clock):
    with pytest.raises(GrantEndOutOfRange):
        asked(clock, expires_at=clock.now)
    with pytest.raises(OverCap):
        asked(clock, credits=11)
    assert not asked(clock).replayed


# --- Caps ---------------------------------------------------------------------------------------------


def left_of(refusal):
    return refusal.value.facts["left"]


def test_a_product_grants_up_to_its_caps(clock):
    caps = Caps(grant=10, month=25)
    for credits, left in ((11, 10), (10, None), (10, None), (6, 5), (5, None), (1, 0)):
        if left is None:
            grant(credits=credits, caps=caps)
        else:
            with pytest.raises(OverCap) as refused:
                grant(credits=credits, caps=caps)
            assert left_of(refused) == left
    assert GrantedMonth.objects.get().credits == 25
    # A lower cap of the month than of a grant: the first grant is held to it, too.
    with pytest.raises(OverCap) as refused:
        grant(credits=4, product="mail", caps=Caps(grant=10, month=3))
    assert left_of(refused) == 3
    grant(credits=3, product="mail", caps=Caps(grant=10, month=3))


def test_a_cap_that_was_lowered_has_nothing_left(clock):
    grant(credits=10, caps=Caps(10, 10))
    with pytest.raises(OverCap) as refused:
        grant(credits=1, caps=Caps(10, 5))
    assert left_of(refused) == 0


def test_a_month_begins_at_midnight_of_utc(clock):
    caps = Caps(10, 10)
    clock.set(datetime(2020, 1, 31, 23, 59, 59, 999999, tzinfo=UTC))
    grant(credits=10, caps=caps)
    with pytest.raises(OverCap):
        grant(credits=1, caps=caps)
    clock.advance(microseconds=1)
    grant(credits=10, caps=caps)
    assert [str(month) for month in GrantedMonth.objects.order_by("month")] == [
        "blog 2020-01-01: 10",
        "blog 2020-02-01: 10",
    ]


def test_a_grant_that_was_taken_back_stays_counted(clock):
    void(grant(credits=10, caps=Caps(10, 10)))
    with pytest.raises(OverCap):
        grant(credits=1, caps=Caps(10, 10))


def test_grants_of_all_users_count_and_those_of_staff_do_not(clock):
    grant("usr_1", 6, caps=Caps(10, 10))
    grant("usr_1", 1000, product="")
    with pytest.raises(OverCap) as refused:
        grant("usr_2", 5, caps=Caps(10, 10))
    assert left_of(refused) == 4
    assert GrantedMonth.objects.get().credits == 6


def test_a_key_without_caps_grants_nothing(clock):
    facts = {"user_id": "usr_1", "credits": 1, "expires_at": clock.now + A_DAY, "reason": "", "key": "k"}
    with pytest.raises(OverCap) as refused:
        granting.grant_of_product(service=service_of("blog"), **facts)
    assert left_of(refused) == 0


# --- How many there may be ----------------------------------------------------------------------------


def test_20_of_a_product_have_credits_left_at_most(clock, article_rate):
    for n in range(20):
        grant(credits=2, lasts=A_DAY + n * A_MINUTE)
    with pytest.raises(TooManyGrants):
        grant(credits=2)
    grant(credits=2, product="mail", lasts=30 * A_DAY)
    grant(credits=2, product="", lasts=30 * A_DAY)
    hold("usr_1", 1)  # What is set aside is left.
    charge(1)
    with pytest.raises(TooManyGrants):
        grant(credits=2)
    charge(2)  # The first lot has 1 left, which is held, and the second one is used up.
    grant(credits=2, lasts=40 * A_DAY)
    with pytest.raises(TooManyGrants):
        grant(credits=2)


def test_what_has_ended_leaves_room_before_it_is_written_down(clock, three_at_most):
    for _ in range(3):
        grant(credits=1)
    clock.advance(days=1)
    grant(credits=1)
    assert Entry.objects.filter(kind="expiry").count() == 3


def test_what_was_taken_back_leaves_room(clock, three_at_most):
    lots = [grant(credits=1) for _ in range(3)]
    void(lots[1])
    grant(credits=1)
    with pytest.raises(TooManyGrants):
        grant(credits=1)


@pytest.mark.breaks_the_books
def test_100_of_a_wallet_have_credits_left_at_most(clock):
    lots_alone(98, grant(credits=1, product=""))
    grant(credits=1, product="mail")
    for product in ("mail", "", "z"):
        with pytest.raises(TooManyGrants):
            grant(credits=1, product=product)
    grant("usr_2", 1)


@pytest.mark.parametrize(("ended", "stays"), [(3, False), (4, True)])
@pytest.mark.django_db(transaction=True)
def test_a_refusal_writes_off_for_good_only_what_is_much(article_rate, monkeypatch, ended, stays):
    monkeypatch.setattr(debits, "LAPSES_ROLLED_BACK_MAX", 3)
    past_grants(ended)
    with pytest.raises(InsufficientCredits) as refused:
        charge(1)
    assert (refused.value.available, refused.value.lapsed) == (0, ended)
    assert Entry.objects.filter(kind="expiry").count() == (ended if stays else 0)
