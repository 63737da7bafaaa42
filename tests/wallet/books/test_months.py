"""The ledger by month: what is stored once, what is read live, and that both are the sum of the entries."""

from datetime import UTC, date, datetime, timedelta
from io import StringIO
from random import Random

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.utils import IntegrityError

from tests.crowd import begin
from tests.wallet.charges.test_any_history import BEGINNINGS, History, branches  # noqa: F401 (a fixture)
from tests.wallet.entries import sql
from tests.wallet.past import at, charged, gave_back, topped_up, wrote
from tests.wallet.resting import rest, resting_triggers
from wallet.books import days, laws, months
from wallet.books.months import LINES, Part
from wallet.models import ClosedDay, ClosedMonth, Entry, FeatureTotal, LateTotal, MonthTotal, Wallet

pytestmark = pytest.mark.django_db

_, OF_MONTHS, _ = laws.LAWS_OF_DAYS
MARCH, APRIL, MAY = date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)
NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)

# The same in another way: entries and moves of lots in one list, over the text of the month. A cluster would
# refuse the moves as a subquery of each group.
BY_HAND = """
SELECT product, feature, kind, sum(credits)::int, sum(granted)::int, sum(entries)::int
  FROM (SELECT product, feature, kind, created_at, credits, 0 AS granted, 1 AS entries FROM wallet_entry
         UNION ALL
        SELECT product, feature, kind, created_at, 0, move.credits, 0
          FROM wallet_lotmove move JOIN wallet_entry USING (wallet_id, sequence)) AS parts
 WHERE to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM') = %s
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
HELD_BEFORE = """
SELECT (SELECT coalesce(sum(credits), 0)::int FROM wallet_entry
         WHERE to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM') < %s),
       (SELECT coalesce(sum(move.credits), 0)::int FROM wallet_lotmove move JOIN wallet_entry
         USING (wallet_id, sequence) WHERE to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM') < %s)
"""


def is_as_by_hand(month: date) -> None:
    """The month's figures are those of its entries, and it begins with the sum of all earlier ones."""
    found, name = months.month_of(month), f"{month:%Y-%m}"
    assert found.parts == [Part(*row) for row in sql(BY_HAND, name)]
    assert [(found.opening, found.opening_granted)] == sql(HELD_BEFORE, name, name)
    assert found.moved.credits == sum(found.line(line).credits for line in LINES)


def a_quarter(seed: int = 0) -> None:
    """Moves of two products over three months, some of them at the very edges of one."""
    chance = Random(seed)  # noqa: S311 (a history, and no secret)
    topped_up(500, "2026-03-01 00:00:00")
    moments = sorted(
        at("2026-03-01 00:00:01")
        + timedelta(
            days=chance.choice((0, 30, 31, 60, 61, chance.randrange(80))), seconds=chance.choice((0, 86_398))
        )
        for _ in range(40)
    )
    for moment in moments:
        feature, product = chance.choice(
            (("mail.send", "mail"), ("blog.article", "blog"), ("blog.chat", "blog"))
        )
        charge = charged(chance.randrange(1, 4), moment, feature=feature, product=product)
        if chance.random() < 0.3:
            gave_back(charge, 1, moment)
        if chance.random() < 0.2:
            wrote(chance.choice((-1, 2)), moment)


def closed_until(moment: datetime) -> list[date]:
    days.close_days(now=moment)
    return months.close_months()


# --- What a month says --------------------------------------------------------------------------------


def test_every_kind_of_entry_is_in_exactly_one_line():
    assert sorted(kind for kinds in LINES.values() for kind in kinds) == sorted(Entry.Kind)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("closed", ["none", "some", "all", "with gaps", "without features"])
def test_months_are_what_the_entries_add_up_to_whatever_is_closed(seed, closed):
    a_quarter(seed)
    if closed != "none":
        closed_until(at("2026-04-10 05:00:00") if closed == "some" else NOW)
    if closed == "with gaps":
        ClosedDay.objects.filter(day__in=[date(2026, 5, 3), date(2026, 5, 9)]).delete()
    if closed == "without features":
        FeatureTotal.objects.filter(day_id__gte=date(2026, 5, 9)).delete()
    for month in (MARCH, APRIL, MAY):
        is_as_by_hand(month)
    assert months.month_of(MAY).ends.credits == sum(Wallet.objects.values_list("balance", flat=True))


# Of these histories, one has no dispute that is won.
KINDS = {"both": set(Entry.Kind) - {Entry.Kind.REINSTATEMENT}, "grants": set(Entry.Kind)}


@pytest.mark.parametrize("branches", ["both branches"], indirect=True)
@pytest.mark.parametrize("mood", ["both", "grants"])
def test_three_months_with_entries_of_every_kind_sum_to_the_books(mood, branches):  # noqa: F811
    with History(mood) as history:
        for number, name in enumerate([*BEGINNINGS[mood], *[""] * 240]):
            if number % 5 == 0:
                history.pass_time(history.clock.now + timedelta(hours=40))
            history.take(name, f"months:{mood}:{number}")
            if number > 100 and history.clock.now > at("2020-06-10 00:00:00"):
                break
        history.tidy()
        end = history.clock.now
        closed = closed_until(end)
        assert len(closed) >= 3
        newest = months.newest(200, now=end)
        assert [each.first_day for each in newest if each.closed_at] == closed[::-1]
        for each in newest:
            is_as_by_hand(each.first_day)
            whole = months.month_of(each.first_day)
            assert (each.begins, each.moved, each.ends) == (whole.begins, whole.moved, whole.ends)
        balances = sql("SELECT sum(balance)::int, sum(granted)::int FROM wallet_wallet")
        assert [(newest[0].ends.credits, newest[0].ends.granted)] == balances
        assert {part.kind for each in newest for part in each.parts} == KINDS[mood]
        history.compare_the_laws()


# --- Closing ------------------------------------------------------------------------------------------


def test_a_month_is_closed_when_all_of_its_days_are():
    a_quarter()
    assert closed_until(at("2026-04-01 00:59:59")) == []
    assert closed_until(at("2026-04-01 01:00:00")) == [MARCH]
    assert closed_until(NOW) == [APRIL]
    assert closed_until(NOW) == []
    assert list(ClosedMonth.objects.order_by("month").values_list("month", "opening")) == [
        (MARCH, 0),
        (APRIL, months.month_of(MARCH).ends.credits),
    ]


def test_a_month_without_entries_is_closed_too():
    topped_up(5, "2026-03-30 10:00:00")
    assert closed_until(NOW) == [MARCH, APRIL]
    april = months.month_of(APRIL)
    assert (april.begins.credits, april.parts, april.ends.credits) == (5, [], 5)


def test_a_month_with_a_day_that_is_open_waits():
    a_quarter()
    days.close_days(now=NOW)
    ClosedDay.objects.filter(day=date(2026, 3, 9)).delete()
    assert months.close_months() == []


def test_days_that_an_earlier_release_closed_get_their_features():
    a_quarter()
    days.close_days(now=NOW)
    before = list(FeatureTotal.objects.order_by("day", "product", "feature", "kind").values_list(*PARTS))
    FeatureTotal.objects.filter(day_id__lt=APRIL).delete()
    assert months.close_months() == []
    out = StringIO()
    call_command("close_days", stdout=out)
    assert "earlier days added up by feature.\n2026-03 closed.\n2026-04 closed." in out.getvalue()
    after = FeatureTotal.objects.filter(day_id__lt=MAY).order_by("day", "product", "feature", "kind")
    assert list(after.values_list(*PARTS)) == [row for row in before if row[0] < MAY]


PARTS = ("day_id", "product", "feature", "kind", "credits", "granted", "entries")


def test_days_that_are_added_up_again_leave_a_closed_month_as_it_is():
    a_quarter()
    closed_until(NOW)
    before = list(MonthTotal.objects.order_by("pk").values())
    days.reopen(MARCH)
    assert not FeatureTotal.objects.exists()
    assert months.month_of(MARCH).closed_at is not None
    closed_until(NOW)
    assert list(MonthTotal.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("table", ["wallet_closedmonth", "wallet_monthtotal", "wallet_latetotal"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET entries = entries + 1", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_a_closed_month_cannot_be_changed(table, statement):
    a_quarter()
    closed_until(NOW)
    came_late()
    months.book_late(MARCH, **BOOKED)
    with pytest.raises(IntegrityError), transaction.atomic():
        sql(statement.format(table))


@pytest.mark.django_db(transaction=True)
def test_two_that_close_at_once_close_each_month_once():
    with transaction.atomic():
        a_quarter()
    days.close_days(now=NOW)
    one, other = (begin(months.close_months) for _ in range(2))
    found = [each.result(timeout=120) for each in (one, other)]
    assert sorted([*found[0], *found[1]]) == [MARCH, APRIL]
    assert list(ClosedMonth.objects.order_by("month").values_list("month", flat=True)) == [MARCH, APRIL]
    for month in (MARCH, APRIL, MAY):
        is_as_by_hand(month)


def test_a_month_whose_days_are_forgotten_at_the_last_moment_is_not_closed(monkeypatch):
    """`close_days --again` runs in another process, after this one has seen which month comes next."""
    a_quarter()
    days.close_days(now=NOW)
    next_month = months._first_open

    def forgotten() -> date | None:
        month = next_month()
        days.reopen(date(2026, 3, 20))
        return month

    monkeypatch.setattr(months, "_first_open", forgotten)
    assert months.close_months() == []
    assert not ClosedMonth.objects.exists()
    assert not MonthTotal.objects.exists()


# --- Late entries -------------------------------------------------------------------------------------

BOOKED = {"booked_by": "anna", "reason": "Restore of 20 May"}


def came_late() -> None:
    """Entries come into March, which is closed: a charge of a new user, and one that is given back."""
    with resting_triggers():
        topped_up(40, "2026-03-20 10:00:00", user_id="usr_late")
        gave_back(charged(7, "2026-03-20 11:00:00", user_id="usr_late"), 2, "2026-03-31 23:00:00")
    days.reopen(MARCH)
    days.close_days(now=NOW)


def booked_when(moment: str) -> None:
    """Let what is booked late have been booked then."""
    with resting_triggers():
        sql("UPDATE wallet_latetotal SET created_at = %s", at(moment))


def test_late_entries_count_in_the_month_in_which_they_are_booked():
    a_quarter()
    closed_until(NOW)
    before = [months.month_of(month) for month in (MARCH, APRIL)]
    came_late()
    assert {row.law for row in laws.violations()} == {OF_MONTHS}
    lacking = months.lacking(MARCH)
    assert [(part.kind, part.credits, part.entries) for part in lacking] == [
        ("deduct", -7, 1),
        ("refund", 2, 1),
        ("topup", 40, 1),
    ]
    assert months.book_late(MARCH, **BOOKED) == lacking
    booked_when("2026-05-20 12:00:00")
    assert laws.violations() == []
    assert months.lacking(MARCH) == months.book_late(MARCH, **BOOKED) == []
    assert [months.month_of(month) for month in (MARCH, APRIL)] == before
    may = months.month_of(MAY)
    assert (may.booked.credits, may.booked.entries) == (35, 3)
    assert may.opening == before[-1].ends.credits
    balances = sum(Wallet.objects.values_list("balance", flat=True))
    assert may.ends.credits == balances == months.newest(1, now=NOW)[0].ends.credits
    # June and July begin with them, whether May is closed or not.
    june = date(2026, 6, 1)
    assert months.month_of(june).opening == balances
    closed_until(at("2026-07-02 00:00:00"))
    assert months.month_of(june).closed_at
    assert months.month_of(june).opening == months.month_of(date(2026, 7, 1)).opening == balances
    assert [each.opening for each in months.newest(2, now=at("2026-07-02 00:00:00"))] == [balances, balances]
    assert laws.violations() == []


def test_an_entry_before_the_first_closed_month_is_late_too():
    a_quarter()
    closed_until(NOW)
    with resting_triggers():
        topped_up(40, "2026-02-10 10:00:00", user_id="usr_late")
    closed_until(NOW)
    assert {row.law for row in laws.violations()} == {OF_MONTHS}
    february = date(2026, 2, 1)
    assert [(part.kind, part.credits) for part in months.lacking(february)] == [("topup", 40)]
    assert months.lacking(date(2026, 1, 1)) == []
    months.book_late(february, **BOOKED)
    booked_when("2026-05-20 12:00:00")
    assert laws.violations() == []
    assert months.lacking(february) == []
    balances = sum(Wallet.objects.values_list("balance", flat=True))
    assert months.month_of(MAY).ends.credits == balances
    closed_until(at("2026-06-02 00:00:00"))
    assert months.month_of(MAY).closed_at
    assert months.month_of(date(2026, 6, 1)).opening == balances
    assert laws.violations() == []


def test_late_entries_that_come_twice_are_booked_twice():
    a_quarter()
    closed_until(NOW)
    came_late()
    months.book_late(MARCH, **BOOKED)
    with resting_triggers():
        charged(1, "2026-03-31 23:30:00", user_id="usr_late")
    days.reopen(MARCH)
    days.close_days(now=NOW)
    assert [part.credits for part in months.book_late(MARCH, **BOOKED)] == [-1]
    assert laws.violations() == []
    assert {late.number for late in months.late_of(MARCH)} == {1, 2}


@pytest.mark.breaks_the_books
def test_entries_that_are_gone_are_booked_below_zero():
    a_quarter()
    topped_up(5, "2026-03-14 10:00:00", user_id="usr_rare")
    charged(3, "2026-03-15 10:00:00", user_id="usr_rare", feature="blog.rare", product="blog")
    connection.check_constraints()  # The deferred laws look at the entry while it is there.
    closed_until(NOW)
    with resting_triggers():
        sql("DELETE FROM wallet_entry WHERE feature = 'blog.rare'")
    days.reopen(MARCH)
    days.close_days(now=NOW)
    [part] = months.book_late(MARCH, **BOOKED)
    assert (part.credits, part.entries) == (3, -1)
    assert OF_MONTHS not in {row.law for row in laws.violations()}


def test_nothing_is_late_in_a_month_that_is_open_or_has_an_open_day():
    a_quarter()
    closed_until(at("2026-04-10 05:00:00"))
    assert months.book_late(APRIL, **BOOKED) == []
    came_late()
    ClosedDay.objects.filter(day=date(2026, 3, 9)).delete()
    assert months.book_late(MARCH, **BOOKED) == []


@pytest.mark.django_db(transaction=True)
def test_two_that_book_the_same_at_once_book_it_once():
    with transaction.atomic():
        a_quarter()
        closed_until(NOW)
        came_late()
    both = [begin(lambda: months.book_late(MARCH, **BOOKED)) for _ in range(2)]
    answers = []
    for each in both:
        try:
            answers.append(len(each.result(timeout=120)))
        except IntegrityError:
            answers.append(0)
    assert sorted(answers) == [0, 3]
    assert months.lacking(MARCH) == []


def booked_by_the_command(*options: str) -> tuple[str, int]:
    out, code = StringIO(), 0
    try:
        call_command("book_late_entries", "2026-03-20", *options, stdout=out)
    except SystemExit as exit:
        code = int(str(exit.code))
    return out.getvalue(), code


def test_the_command_shows_what_is_late_and_books_it_with_a_reason():
    a_quarter()
    closed_until(NOW)
    came_late()
    said, code = booked_by_the_command()
    assert code == 1
    assert "2026-03 mail mail.send deduct: −7 credits in 1 entry." in said
    assert not LateTotal.objects.exists()
    for options in (["--reason", "Restore"], ["--by", "anna"], ["--reason", "a\nb", "--by", "anna"]):
        with pytest.raises(CommandError) as refused:
            booked_by_the_command(*options)
        assert refused.value.returncode == 2
    assert booked_by_the_command("--reason", "Restore of 20 May", "--by", "anna")[1] == 0
    assert {(each.booked_by, each.reason) for each in months.late_of(MARCH)} == {
        ("anna", "Restore of 20 May")
    }
    assert booked_by_the_command() == (
        "2026-03 lacks nothing, is not closed, or has a day that is not added up.\n",
        0,
    )


# --- The law ------------------------------------------------------------------------------------------


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ("UPDATE wallet_monthtotal SET credits = credits - 1 WHERE kind = 'topup'", "2026-03 wallet topup"),
        ("UPDATE wallet_monthtotal SET granted = 1 WHERE kind = 'topup'", "2026-03 wallet topup"),
        ("DELETE FROM wallet_monthtotal WHERE kind = 'topup'", "2026-03 wallet topup"),
        ("UPDATE wallet_closedmonth SET opening = 7 WHERE month = '2026-04-01'", "2026-04"),
        ("UPDATE wallet_closedmonth SET entries = 0 WHERE month = '2026-03-01'", "2026-03"),
        ("DELETE FROM wallet_closedmonth WHERE month = '2026-04-01'", "2026-04"),
        (
            "INSERT INTO wallet_latetotal (month, number, product, feature, kind, credits, granted, entries,"
            " booked_by, reason) VALUES ('2026-03-01', 1, 'wallet', '', 'topup', 1, 0, 1, '', '')",
            "2026-03 wallet topup",
        ),
    ],
)
def test_the_law_names_a_month_that_its_days_do_not_add_up_to(change, subject):
    a_quarter()
    closed_until(NOW)
    rest()
    sql(change)
    assert subject in [row.subject for row in laws.violations() if row.law == OF_MONTHS]


@pytest.mark.breaks_the_books
def test_the_law_names_a_day_whose_features_do_not_add_up():
    a_quarter()
    closed_until(NOW)
    sql("UPDATE wallet_featuretotal SET granted = granted + 1 WHERE kind = 'topup'")
    assert {row.subject for row in laws.violations()} == {"2026-03-01 wallet topup", "2026-03 wallet topup"}
