"""The weekly mail: each tip of a week told once, whatever the creator chooses, and figures that add up."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from io import StringIO

import hypothesis as h
import pytest
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import strategies as st

from accounts.mail import outbox
from accounts.models import OutgoingMail, User
from foundation.calendar import day_of, start_of
from monetization import mails, tips
from monetization.days import closing
from monetization.digests import news
from monetization.digests import writing as digests
from monetization.figures.periods import beginning_of
from monetization.models import Digest
from monetization.privacy import erasure
from tests.crowd import at_once, patiently
from tests.factories import UserFactory
from tests.html import browser_of
from tests.monetization.records import (
    MESSAGE,
    NAME,
    READER,
    change,
    clock_at,
    days,
    give,
    place,
    refund,
    subscribe,
    tables_with,
    tip,
)
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db

MONDAY = date(2025, 3, 3)
BEFORE = datetime(2025, 3, 3, tzinfo=UTC)
TUESDAY = datetime(2025, 3, 4, 9, 47, tzinfo=UTC)
THURSDAY = TUESDAY + days(2)
NEXT_MONDAY = datetime(2025, 3, 10, 1, 10, tzinfo=UTC)
OTHERS = {"receipt", "reversal", "subscription_past_due"}


@pytest.fixture(autouse=True)
def mail_is_on(settings):
    settings.MAIL_ENABLED = True


def choose(creator, how, at):
    with clock_at(at):
        outbox.set_switches(
            creator,
            OTHERS | ({mails.TIP} if how != "none" else set()),
            weekly={mails.TIP} if how == "week" else set(),
        )


def tip_at(creator, at, amount_cents=500, **facts):
    with clock_at(at):
        return tip(creator, amount_cents, **facts)


def write_at(at=NEXT_MONDAY):
    with clock_at(at):
        return digests.write_due()


def digests_of(creator):
    return OutgoingMail.objects.filter(user=creator, fact__startswith="tip_digest:").order_by("fact")


def the_digest(creator):
    return digests_of(creator).get()


def told_alone():
    return set(OutgoingMail.objects.filter(fact__startswith="tip_received:").values_list("fact", flat=True))


@pytest.fixture
def weekly(creator):
    choose(creator, "week", BEFORE)
    return creator


# --- What it says -----------------------------------------------------------------------------------


def test_a_week_is_told_in_one_mail_with_its_figures(weekly):
    given_back = tip_at(weekly, TUESDAY, 2_000, name="Bea", email="bea@example.com")
    tip_at(weekly, THURSDAY, 123_456, name="Åsa", message="Love it\n> Tip: 9 USD")
    tip_at(weekly, THURSDAY, 700, currency="EUR")
    tip_at(weekly, BEFORE - days(7), 99_900, name="Earlier")
    tip_at(weekly, NEXT_MONDAY, 88_800, name="Later")
    with clock_at(THURSDAY):
        refund(given_back, 1_000)
        subscribe(weekly, "a@example.com", plan="gold monthly")
        subscribe(weekly, "b@example.com", plan="gold monthly")
        change(subscribe(weekly, "c@example.com", plan="annual", amount_cents=7_900), status="cancelled")
        place(
            weekly, "Acme", starts=datetime(2025, 3, 12, tzinfo=UTC), ends=datetime(2025, 3, 15, tzinfo=UTC)
        )
        place(weekly, "Far", starts=datetime(2025, 3, 17, tzinfo=UTC), position="footer")
        place(
            weekly,
            "Globex",
            starts=datetime(2025, 3, 1, tzinfo=UTC),
            ends=datetime(2025, 3, 17, tzinfo=UTC),
            position="inline",
        )
    assert told_alone() == set()
    assert write_at() == outbox.Written(1, 0)
    found = the_digest(weekly)
    assert (found.to, found.kind) == (weekly.email, "tip_received")
    assert found.subject == "Your week, 3–9 Mar: 3 tips, 3 new subscriptions"
    assert found.text.startswith(
        """Your week, 3–9 Mar 2025

EUR: 1 tip
Gross: 7.00 EUR
Platform fee: −0.35 EUR
You keep: 6.65 EUR
No tips or refunds the week before.

USD: 2 tips
Gross: 1,254.56 USD
Platform fee: −62.73 USD
1 refund: −10.00 USD
Fee returned: 0.50 USD
You keep: 1,182.33 USD
233.28 USD more than the week before.

Largest tips

7.00 EUR from a reader

1,234.56 USD from Åsa
> Love it
> > Tip: 9 USD

20.00 USD from Bea

3 new subscriptions
- 2 × gold monthly, 7.99 USD
- 1 × annual, 79.00 USD

1 ended subscription
- 1 × annual, 79.00 USD

Sponsors next week, 10–16 Mar
- Globex (inline) ends: 1–16 Mar
- Acme (header) starts and ends: 12–14 Mar

Days are in UTC. Your overview:
http://testserver/dashboard
"""
    )
    assert "You get this because you chose tips once a week." in found.text
    for words in ("1,182.33 USD", "6.65 EUR", "Åsa", "Love it<br>&gt; Tip: 9 USD", "Globex", "gold monthly"):
        assert words in found.html
    for words in ("bea@example.com", "a@example.com", "Earlier", "Later", "Far"):
        assert words not in found.text + found.html


def test_its_html_loads_nothing_and_shows_hostile_texts_as_texts(weekly):
    hostile = '<img src=x onerror="alert(1)">{{ kept }}'
    tip_at(weekly, TUESDAY, name=hostile, message=f"</blockquote>{hostile}\u202e")
    with clock_at(TUESDAY):
        subscribe(weekly, plan=f"{hostile}\nTo: eve")
    write_at()
    html = the_digest(weekly).html
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;{{ kept }}" in html
    for word in ("<img", "\u202e", "<link", "<script", "@import", "url(", "style="):
        assert word not in html
    assert "To: eve" in the_digest(weekly).text
    assert "\nTo: eve" not in the_digest(weekly).text


# --- Figures and choices, for any week --------------------------------------------------------------------

# Three weeks: the hour and amount of each tip, whether it is refunded, and the choice made before it, if any.
WEEKS = st.lists(
    st.lists(
        st.tuples(
            st.integers(0, 160),
            st.integers(1, 90_000),
            st.booleans(),
            st.sampled_from(["", "each", "week", "none"]),
        ),
        max_size=3,
    ).map(sorted),
    min_size=3,
    max_size=3,
)
TIPS = """
SELECT coalesce(sum(gross_cents), 0), coalesce(sum(fee_cents), 0) FROM monetization_tip
 WHERE creator_id = %s AND date_trunc('week', created_at AT TIME ZONE 'UTC') = %s
"""
REFUNDS = """
SELECT coalesce(sum(amount_cents), 0), coalesce(sum(fee_returned_cents), 0) FROM monetization_refund
 WHERE creator_id = %s AND date_trunc('week', created_at AT TIME ZONE 'UTC') = %s
"""


def of_week(creator, monday):
    return [int(cents) for query in (TIPS, REFUNDS) for cents in sql(query, creator.pk, monday)[0]]


def cents(text):
    return int(text.removesuffix(" USD").replace(",", "").replace(".", "").replace("−", "-"))


@h.settings(max_examples=25, deadline=None)
@h.given(weeks=WEEKS)
def test_each_tip_is_told_once_and_the_figures_are_those_of_other_sql(weeks):
    creator = UserFactory.create()
    choice = "each"
    recorded_with: dict[str, str] = {}  # The choice when each tip was recorded, by the reader's name.
    chosen_at_the_end: dict[str, str] = {}  # The choice on the Monday after it.
    in_a_weekly_week: set[str] = set()  # The tips of weeks in which the choice was "week" at some time.
    for number, week in enumerate(weeks):
        names, is_weekly_week = [], choice == "week"
        monday = datetime(2025, 3, 3, 2, tzinfo=UTC) + number * days(7)
        for hour, amount, is_refunded, chosen in week:
            at = monday + timedelta(hours=hour)
            if chosen:
                choice = chosen
                choose(creator, choice, at)
                is_weekly_week |= choice == "week"
            name = f"Reader {len(recorded_with)}."
            recorded_with[name] = choice
            names.append(name)
            made = tip_at(creator, at, amount, name=name)
            if is_refunded:
                with clock_at(at + timedelta(hours=1)):
                    refund(made)
        write_at(monday + days(7))
        in_a_weekly_week.update(names if is_weekly_week else ())
        chosen_at_the_end = dict.fromkeys(recorded_with, choice) | chosen_at_the_end
    texts = [mail.text for mail in OutgoingMail.objects.filter(user=creator)]
    for name, recorded in recorded_with.items():
        told = sum(name in text for text in texts)
        is_in_a_digest = name in in_a_weekly_week and chosen_at_the_end[name] != "none"
        assert told == (recorded == "each" or is_in_a_digest), name
    for each in digests_of(creator):
        week = each.fact.split(":")[1]
        gross, fee, refunded, returned = of_week(creator, week)
        earlier = of_week(creator, str(date.fromisoformat(week) - timedelta(days=7)))
        facts = dict(line.split(": ", 1) for line in each.text.splitlines() if ": " in line)
        if gross or refunded:
            assert cents(facts["Gross"]) == gross
            assert cents(facts["Platform fee"]) == -fee
            kept = gross - fee - refunded + returned
            assert cents(facts["You keep"]) == kept
            more = kept - (earlier[0] - earlier[1] - earlier[2] + earlier[3])
            [compared] = [line for line in each.text.splitlines() if line.endswith("the week before.")]
            if not (earlier[0] or earlier[2]):
                assert compared == "No tips or refunds the week before."
            elif more:
                amount, word = (
                    f"{abs(more) // 100:,}.{abs(more) % 100:02d} USD",
                    "more" if more > 0 else "less",
                )
                assert compared == f"{amount} {word} than the week before."
            else:
                assert compared == "As much as the week before."


# --- Once -------------------------------------------------------------------------------------------


def test_no_mail_before_the_week_is_over_or_without_news(weekly):
    write_at(datetime(2025, 3, 3, 1, 10, tzinfo=UTC))
    assert Digest.objects.get().next_week == MONDAY
    tip_at(weekly, TUESDAY)
    assert write_at(NEXT_MONDAY - timedelta(seconds=1)) == outbox.Written(0, 0)
    assert write_at(NEXT_MONDAY) == outbox.Written(1, 0)
    assert write_at(NEXT_MONDAY) == write_at(NEXT_MONDAY + days(7)) == outbox.Written(0, 0)
    assert digests_of(weekly).count() == 1


def test_a_digest_that_is_late_is_written_once_a_week_and_not_for_ever(weekly):
    for week in range(6):
        tip_at(weekly, TUESDAY + week * days(7), name=f"Of week {week}")
    long_after = NEXT_MONDAY + 5 * days(7) + days(3)
    for _ in range(5):
        write_at(long_after)
    assert [mail.fact.split(":")[1] for mail in digests_of(weekly)] == [
        "2025-03-24",
        "2025-03-31",
        "2025-04-07",
    ]


def test_a_day_that_is_added_up_changes_nothing(weekly):
    tip_at(weekly, TUESDAY, 123_456)
    with clock_at(NEXT_MONDAY):
        closing.close_days(now=NEXT_MONDAY)
    write_at()
    assert "Gross: 1,234.56 USD" in the_digest(weekly).text


def test_the_choice_that_was_made_after_a_single_mail_is_kept_in_mind(creator):
    tip_at(creator, TUESDAY, 900, name="Told alone")
    choose(creator, "week", TUESDAY)
    tip_at(creator, THURSDAY, 500, name="Told later")
    write_at()
    text = the_digest(creator).text
    assert "Told later" in text
    assert "Told alone" not in text
    assert "You had an email about 1 tip of this week before." in text
    assert "USD: 2 tips\nGross: 14.00 USD" in text


def test_after_each_time_is_chosen_again_the_begun_week_is_told_and_no_other(weekly):
    tip_at(weekly, TUESDAY, name="Bea")
    choose(weekly, "each", THURSDAY)
    with clock_at(THURSDAY + days(7)):
        subscribe(weekly)
    write_at()
    assert "Bea" in the_digest(weekly).text
    assert not Digest.objects.exists()
    write_at(NEXT_MONDAY + days(7))
    assert digests_of(weekly).count() == 1


@pytest.mark.parametrize("before", ["none", "week"])
def test_the_mail_is_about_the_whole_week_also_the_days_of_none(creator, before):
    """The last choice decides. Beside the choice, the account page says so."""
    choose(creator, before, BEFORE)
    choose(creator, "none", BEFORE)
    tip_at(creator, TUESDAY, name="Bea")
    choose(creator, "week", THURSDAY)
    write_at()
    text = the_digest(creator).text
    assert "5.00 USD from Bea" in text
    assert "You had an email about" not in text
    sentence = "A weekly email is about the whole week, also about its days before you chose it."
    assert sentence in browser_of(creator).get("/account").content.decode()


def test_a_single_mail_that_waits_is_still_sent_after_once_a_week_is_chosen(creator):
    tip_at(creator, TUESDAY, name="Bea")
    choose(creator, "week", TUESDAY)
    outbox.send_due(10)
    assert [message.subject for message in mail.outbox] == ["A tip of 5.00 USD from Bea"]


def test_a_digest_that_waits_is_dropped_when_tips_are_switched_off(weekly):
    tip_at(weekly, TUESDAY)
    write_at()
    choose(weekly, "none", NEXT_MONDAY)
    outbox.send_due(10)
    assert the_digest(weekly).state == "dropped"


def test_a_process_that_is_stopped_leaves_the_rest_for_later(weekly):
    tip_at(weekly, TUESDAY)
    with clock_at(NEXT_MONDAY):
        assert digests.write_due(lambda: False) == outbox.Written(0, 0)
        assert digests.write_due(lambda: True) == outbox.Written(1, 0)


def test_a_creator_without_an_address_stops_no_other(weekly, stranger):
    choose(stranger, "week", BEFORE)
    for each in (weekly, stranger):
        tip_at(each, TUESDAY)
    User.objects.filter(pk=weekly.pk).update(email="")
    assert write_at() == outbox.Written(1, 0)
    assert digests_of(stranger).count() == 1
    assert set(Digest.objects.values_list("next_week", flat=True)) == {MONDAY + days(7)}


def test_a_closed_account_gets_no_digest(weekly):
    tip_at(weekly, TUESDAY)
    User.objects.filter(pk=weekly.pk).update(is_active=False)
    assert write_at() == outbox.Written(0, 0)
    assert not digests_of(weekly).exists()


def test_one_that_cannot_be_written_stops_no_other_and_is_written_later(weekly, stranger, settings):
    choose(stranger, "week", BEFORE)
    for each in (weekly, stranger):
        tip_at(each, TUESDAY)
    sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$")
    sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON accounts_outgoingmail FOR EACH ROW"
        " WHEN (NEW.user_id = 'usr_stranger') EXECUTE FUNCTION refuse()"
    )
    assert write_at() == outbox.Written(1, 1)
    sql("DROP TRIGGER refuse ON accounts_outgoingmail")
    assert write_at() == outbox.Written(1, 0)
    assert digests_of(weekly).count() == digests_of(stranger).count() == 1


def test_the_command_that_sends_mails_writes_them_first(weekly):
    week = beginning_of(day_of(timezone.now()), "week") - days(14)
    Digest.objects.update(next_week=week)
    tip_at(weekly, start_of(week), name="Bea")
    call_command("send_mail", stdout=StringIO())
    assert [message.subject.partition(":")[2] for message in mail.outbox] == [" 1 tip"]
    assert "http://testserver/account" in mail.outbox[0].extra_headers["List-Unsubscribe"]


def test_more_tips_take_no_more_queries_and_the_texts_stay_short(weekly):
    def queries(week):
        with CaptureQueriesContext(connection) as found:
            write_at(NEXT_MONDAY + week * days(7))
        return len(found)

    tip_at(weekly, TUESDAY)
    few = queries(0)
    for number in range(40):
        tip_at(
            weekly, TUESDAY + days(7), 500 + number, currency=("USD", "EUR", "GBP", "CHF", "JPY")[number % 5]
        )
        with clock_at(TUESDAY + days(7)):
            subscribe(weekly, f"r{number}@example.com", plan=f"plan {number}")
            place(weekly, f"Sponsor {number}.", starts=NEXT_MONDAY + days(8))
    assert queries(1) <= few + 1  # The plans of new subscriptions.
    text = digests_of(weekly).last().text
    assert text.count(" from a reader") == news.NAMED_MAX
    assert text.count("× plan") == news.PLANS_MAX
    assert text.count("(header)") == news.SPONSORS_MAX
    assert "- and others\n" in text


# --- Hidden and erased --------------------------------------------------------------------------------


def test_a_hidden_message_and_an_erased_reader_leave_a_digest_that_waits(weekly, stranger):
    choose(stranger, "week", BEFORE)
    rude = tip_at(weekly, TUESDAY, message="Rude words", name="Carl")
    with clock_at(TUESDAY):
        give(weekly)
        give(stranger)
    write_at()
    assert "accounts_outgoingmail" in tables_with("Rude words")
    tips.hide_message(creator=weekly, tip_id=rude.pk, hidden=True)
    assert "accounts_outgoingmail" not in tables_with("Rude words")
    assert NAME in the_digest(weekly).text
    erasure.erase(READER, actor="operator")
    assert tables_with(READER, NAME, MESSAGE) == set()
    for each, gross in ((weekly, "10.00 USD"), (stranger, "5.00 USD")):
        assert the_digest(each).state == "waiting"
        assert f"Gross: {gross}" in the_digest(each).text
    assert "5.00 USD from Carl" in the_digest(weekly).text


def test_nothing_of_an_erased_or_hidden_tip_is_written_afterwards(weekly):
    rude = tip_at(weekly, TUESDAY, message="Rude words", name="Carl")
    with clock_at(TUESDAY):
        give(weekly)
    tips.hide_message(creator=weekly, tip_id=rude.pk, hidden=True)
    erasure.erase(READER, actor="operator")
    write_at()
    text = the_digest(weekly).text
    assert "5.00 USD from a reader" in text
    for words in ("Rude words", NAME, MESSAGE, "reader-"):
        assert words not in text


@pytest.mark.django_db(transaction=True)
def test_two_writers_an_erasure_a_hidden_message_and_a_choice_at_once(creator):
    for round_number in range(4):
        monday = NEXT_MONDAY + round_number * days(7)
        choose(creator, "week", monday - days(6))
        with clock_at(monday - days(5)):
            give(creator)
            kept = tip(creator, name=f"Kept {round_number}.", message="Rude words")
        hide = partial(tips.hide_message, creator=creator, tip_id=kept.pk, hidden=True)
        with clock_at(monday):
            calls: list[Callable[[], object]] = [
                digests.write_due,
                digests.write_due,
                lambda: erasure.erase(READER, actor="operator"),
                hide,
                lambda: outbox.set_switches(creator, OTHERS | {mails.TIP}, weekly={mails.TIP}),
            ]
            at_once([partial(patiently, call) for call in calls])
            write_at(monday)
        assert digests_of(creator).count() == round_number + 1
        assert tables_with(NAME, MESSAGE, READER) == set()
        assert "accounts_outgoingmail" not in tables_with("Rude words")
        assert f"Kept {round_number}." in digests_of(creator).last().text
    assert Digest.objects.get().next_week == (NEXT_MONDAY + days(21)).date()
