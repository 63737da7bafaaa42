"""Parts of the overview: the first answer, the chosen days, what is dismissed, and the small lines."""

import re
from datetime import date, timedelta

import pytest
from django.test import Client

from monetization.dashboard.overview import sparklines
from monetization.dashboard.overview.ranges import ChosenDays
from monetization.dashboard.overview.tiles import DEFINITIONS, NOT_RECORDED
from monetization.figures import attention, periods, series
from monetization.models import Earner, Subscription
from tests.factories import UserFactory
from tests.html import browser_of, hidden, link, words
from tests.monetization.dashboard.overview import charts, live, page_of, tile, value
from tests.monetization.records import NOON, change, clock_at, days, place, refund, subscribe, tip
from tests.patterns import matched

pytestmark = pytest.mark.django_db

TODAY = NOON.date()


@pytest.fixture(autouse=True)
def at_noon():
    with clock_at(NOON):
        yield


@pytest.fixture
def dana():
    """A creator with half a year of everything, in two currencies."""
    creator = UserFactory.create(name="Dana", plan_id="pro")
    live(creator)
    return creator


def minutes(number):
    return timedelta(minutes=number)


def errors(answer):
    return re.findall(r'(?s)<span class="field-error"[^>]*>(.*?)</span>', answer.content.decode())


# --- What the creator earned ------------------------------------------------------------------------


def test_the_first_answer_is_tips_and_sponsors_after_fees_and_what_is_missing(dana):
    answer = page_of(dana)
    # 22.09 of tips after fees and refunds, and Acme for 299.00. Globex and Initech begin later.
    assert value(answer, "earned") == "321.09 USD"
    page_text = words(answer)
    assert "You earned in the last 30 days" in page_text
    assert "22.09 USD from tips after fees and refunds, 299.00 USD from 1 booked placement." in page_text
    assert "Also 11.85 EUR, not converted." in page_text
    assert NOT_RECORDED in page_text
    html = answer.content.decode()
    assert html.index('data-figure="earned"') < html.index('id="attention"') < html.index('data-figure="mrr"')


def test_the_income_of_another_creator_is_not_in_it(dana, stranger):
    tip(stranger, 9900)
    place(stranger, price_cents=77700)
    assert value(page_of(stranger), "earned") == "871.05 USD"
    assert value(page_of(dana), "earned") == "321.09 USD"


@pytest.mark.parametrize("key", DEFINITIONS)
def test_a_definition_opens_above_the_page_without_javascript(dana, key):
    html = page_of(dana).content.decode()
    assert DEFINITIONS[key] in words(page_of(dana))
    button = matched(rf'<button[^>]*popovertarget="definition_{key}"[^>]*>', html)[0]
    assert "how is this counted?" in button
    assert re.search(rf'<div[^>]*popover[^>]*id="definition_{key}"', html)


# --- Changes ----------------------------------------------------------------------------------------


def test_a_change_has_words_and_a_colour(dana):
    html = page_of(dana, "?range=90d").content.decode()
    assert re.search(r'<p class="small change change-(good|bad)">[^<]* the 90 days before</p>', html)


@pytest.mark.parametrize(
    ("then", "now", "words_of_it"),
    [
        (1, 2, "Up from 50% in the 30 days before"),
        (2, 1, "Down from 100% in the 30 days before"),
        (0, 0, ""),
    ],
)
def test_a_change_of_churn_names_the_earlier_percentage(then, now, words_of_it):
    """Of two readers so many had left a month ago; of two others, so many have left since."""
    creator = UserFactory.create()
    for name, came, left in (("old", 70, then), ("new", 31, now)):
        for number in range(2):
            with clock_at(NOON - days(came)):
                subscription = subscribe(creator, f"{name}{number}@example.com")
            if number < left:
                with clock_at(NOON - days(came - 25)):
                    change(subscription, status="cancelled")
    said = tile(page_of(creator), "churn")
    assert words_of_it in said
    assert ("in the 30 days before" in said) == bool(words_of_it)


# --- The period before in charts --------------------------------------------------------------------


def test_charts_have_the_period_before_as_their_last_column(dana):
    html = page_of(dana).content.decode()
    assert "Gross, the 30 days before" in html
    assert "MRR, the 30 days before" in html
    found = charts(page_of(dana))
    period = periods.period_of(dana, "30d", at=NOON)
    before = series.steps_before(dana, "USD", period)
    # One tip, of 20.00 USD, 33 days ago: in the row of three days ago.
    assert [row[-1] for row in found["Tips by day, USD"]].index("20.00") == 26
    assert [row[-1] for row in found["MRR, USD"]] == [f"{each.mrr_cents / 100:.2f}" for each in before]


def test_without_anything_before_there_is_no_such_column():
    creator = UserFactory.create()
    tip(creator)
    assert "data-before" not in page_of(creator).content.decode()


def test_weeks_of_the_year_before_are_aligned_by_their_days(creator):
    """365 days ago is another day of the week, yet a tip of the first day stands in the first row."""
    period = periods.period_of(creator, "12m", at=NOON)
    earlier = periods.before(period)
    assert earlier
    for day, amount in ((earlier.first_day, 500), (earlier.last_day, 700)):
        with clock_at(NOON + (day - TODAY)):
            tip(creator, amount)
    points = series.steps_before(creator, "USD", period)
    assert len(points) == len(series.tips_by_day(creator, "USD", period))
    assert [each.gross_cents for each in points if each.gross_cents] == [500, 700]
    assert (points[0].gross_cents, points[-1].gross_cents) == (500, 700)


# --- Chosen days ------------------------------------------------------------------------------------


def test_chosen_days_are_shown_and_compared_with_as_many_days_before(dana):
    answer = page_of(dana, "?from=2026-05-26&to=2026-06-09&currency=USD")
    page_text = words(answer)
    assert "You earned from 26 May 2026 to 9 Jun 2026" in page_text
    assert "compared with the 15 days before, 11 May 2026 to 25 May 2026." in page_text
    # 5.00 and 15.00 USD on 26 May, 3.00 USD on 9 June.
    assert value(answer, "tips") == "3"
    assert link(answer, "Tips after fees") == "/dashboard/tips?from=2026-05-26&to=2026-06-09&currency=USD"
    assert link(answer, "EUR") == "/dashboard?from=2026-05-26&to=2026-06-09&currency=EUR"
    assert link(answer, "7 days") == "/dashboard?range=7d"
    assert "now" not in matched(r"(?s)MRR, USD</h3>.*?</p>", answer.content.decode())[0]
    assert errors(answer) == []


def test_a_single_day_can_be_chosen(dana):
    answer = page_of(dana, "?from=2026-06-15&to=2026-06-15")
    assert value(answer, "tips") == "1"
    assert "compared with the day before, 14 Jun 2026 to 14 Jun 2026" in words(answer)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("from=2026-06-10", "Enter the last day too."),
        ("to=2026-06-10", "Enter the first day too."),
        ("from=2026-06-10&to=2026-06-09", "The last day comes before the first."),
        ("from=2024-06-10&to=2026-06-11", "Choose at most two years. These are 732 days."),
        ("from=2026-06-10&to=2026-06-16", "Enter a day from 1 Jan 2000 to today."),
        ("from=0001-01-01&to=2026-06-10", "Enter a day from 1 Jan 2000 to today."),
        ("from=10.6.2026&to=2026-06-15", "Enter a date such as 2026-10-31."),
        ("from=%3Cb%3E&to=%F0%9F%98%80", "Enter a date such as 2026-10-31."),
    ],
)
def test_days_that_cannot_be_shown_are_refused_in_words(dana, query, message):
    answer = page_of(dana, f"?{query}")
    assert message in errors(answer)
    assert "You earned in the last 30 days" in words(answer)
    assert '<details class="custom-range" open>' in answer.content.decode()


@pytest.mark.parametrize("first_day", ["2024-06-15", "2000-01-01"])
def test_two_years_are_the_most(first_day):
    form = ChosenDays({"from": first_day, "to": "2026-06-15"}, today=TODAY)
    assert form.is_valid() == (date.fromisoformat(first_day) > TODAY - days(periods.CHOSEN_DAYS_MAX))


def test_the_form_offers_the_days_that_are_shown_and_keeps_the_currency(dana):
    answer = page_of(dana, "?currency=EUR&range=7d")
    html = answer.content.decode()
    assert re.search(r'<input type="date" name="from" value="2026-06-09"', html)
    assert re.search(r'<input type="date" name="to" value="2026-06-15"', html)
    assert hidden(answer, "currency") == "EUR"


def test_a_gap_in_chosen_days_offers_a_range_that_has_the_last_tip():
    creator = UserFactory.create()
    with clock_at(NOON - days(50)):
        tip(creator)
    answer = page_of(creator, "?from=2026-06-01&to=2026-06-10")
    assert "No tips from 1 Jun 2026 to 10 Jun 2026. The last one came on 26 Apr 2026." in words(answer)
    assert link(answer, "Show 90 days") == "/dashboard?range=90d"


# --- To look at, and what is dismissed --------------------------------------------------------------


def bookkeeping(answer):
    return re.search(r'(?s)<details class="bookkeeping">.*?</details>', answer.content.decode())


def dismissal(answer):
    """The form with which the page dismisses bookkeeping."""
    names = re.findall(r'name="((?:part|unknown_interval|no_stripe_id)(?:_newest)?)"', bookkeeping(answer)[0])
    return {name: hidden(answer, name) for name in names}


def test_money_at_risk_stands_above_bookkeeping(dana):
    html = page_of(dana).content.decode()
    order = ["Money at risk", "past due", "double-booked", 'class="bookkeeping"', "no known billing period"]
    places = [html.index(part) for part in order]
    assert places == sorted(places)


def test_dismissed_bookkeeping_comes_back_when_there_is_more(dana):
    answer = page_of(dana, "?range=90d&currency=EUR")
    assert bookkeeping(answer)
    form = dismissal(answer)
    assert form == {
        "part": "bookkeeping",
        "unknown_interval": "1",
        "unknown_interval_newest": (NOON - days(4)).isoformat(),
    }
    browser = browser_of(dana)
    url = matched(r'action="(/dashboard/dismiss[^"]*)"', answer.content.decode())[1].replace("&amp;", "&")
    answer = browser.post(url, form, follow=True)
    assert answer.redirect_chain == [("/dashboard?range=90d&currency=EUR", 302)]
    assert "It comes back when there is something new." in words(answer)
    assert not bookkeeping(answer)
    assert "Money at risk" in words(answer)
    assert not bookkeeping(page_of(dana))  # Also in another browser.
    subscribe(dana, "new@example.com", "gold", 100)
    assert bookkeeping(page_of(dana))


def test_a_new_record_in_the_place_of_a_mended_one_brings_bookkeeping_back(dana):
    browser_of(dana).post("/dashboard/dismiss", dismissal(page_of(dana)))
    with clock_at(NOON + minutes(1)):
        change(Subscription.objects.get(interval="unknown"), plan="monthly")
        assert not bookkeeping(page_of(dana))
        subscribe(dana, "new@example.com", "gold", 100)
        assert bookkeeping(page_of(dana))


@pytest.mark.parametrize("changed", [{"plan": "gold"}, {"status": "active"}])
def test_a_subscription_that_comes_to_lack_something_is_new(dana, changed):
    """One that had a plan with a known interval, and one that was cancelled."""
    with clock_at(NOON - days(9)):
        later = subscribe(dana, "later@example.com", "gold" if "status" in changed else "monthly", 100)
        if "status" in changed:
            change(later, status="cancelled")
    browser_of(dana).post("/dashboard/dismiss", dismissal(page_of(dana)))
    change(Subscription.objects.get(interval="unknown", status="active"), status="cancelled")
    assert not bookkeeping(page_of(dana))
    with clock_at(NOON + minutes(1)):
        # However long ago it happened: it is recorded now.
        change(later, **changed, occurred_at=NOON - days(5))
        assert bookkeeping(page_of(dana))


def test_what_changes_without_becoming_new_stays_dismissed(dana):
    browser_of(dana).post("/dashboard/dismiss", dismissal(page_of(dana)))
    with clock_at(NOON + minutes(1)):
        for changed in ({"status": "past_due"}, {"plan": "platinum"}, {"amount_cents": 1}):
            change(Subscription.objects.get(interval="unknown"), **changed)
            assert not bookkeeping(page_of(dana))


def test_a_tip_above_the_number_that_is_counted_is_new_too(dana, monkeypatch):
    monkeypatch.setattr(attention, "TIPS_COUNTED", 1)
    change(Subscription.objects.get(interval="unknown"), status="cancelled")
    for _ in range(3):
        tip(dana)
    answer = page_of(dana)
    assert "More than 1 tip have no Stripe ID." in words(answer)
    browser_of(dana).post("/dashboard/dismiss", dismissal(answer))
    with clock_at(NOON + minutes(1)):
        tip(dana, stripe_payment_id="pi_known")
        assert not bookkeeping(page_of(dana))
        tip(dana)
        assert bookkeeping(page_of(dana))


def test_a_tip_that_was_dated_earlier_and_stored_later_is_new_too(dana):
    tip(dana)
    browser_of(dana).post("/dashboard/dismiss", dismissal(page_of(dana)))
    with clock_at(NOON - minutes(5)):
        tip(dana)
    assert bookkeeping(page_of(dana))


def test_what_the_release_before_stored_still_counts(dana):
    """It compared numbers alone."""
    dismissed = {"bookkeeping": {"unknown_interval": 1, "no_stripe_id": 0}}
    Earner.objects.update_or_create(creator=dana, defaults={"dismissed": dismissed})
    assert not bookkeeping(page_of(dana))
    subscribe(dana, "new@example.com", "gold", 100)
    assert bookkeeping(page_of(dana))


def test_what_came_after_the_page_was_made_is_not_dismissed(dana):
    form = {"part": "bookkeeping", "unknown_interval": "1"}
    subscribe(dana, "new@example.com", "gold", 100)
    browser_of(dana).post("/dashboard/dismiss", form)
    assert bookkeeping(page_of(dana))


def test_two_parts_are_dismissed_apart(dana):
    browser = browser_of(dana)
    browser.post("/dashboard/dismiss", {"part": "bookkeeping", "unknown_interval": "1"})
    browser.post("/dashboard/dismiss", {"part": "first_steps"})
    assert Earner.objects.get(pk=dana.pk).dismissed == {
        "bookkeeping": {"unknown_interval": 1},
        "first_steps": {},
    }


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"part": "everything"},
        {"part": "bookkeeping", "unknown_interval": "many"},
        {"part": "bookkeeping", "no_stripe_id_newest": "soon"},
    ],
)
def test_a_form_that_is_not_the_pages_changes_nothing(dana, form):
    answer = browser_of(dana).post("/dashboard/dismiss", form)
    assert answer.status_code == 302
    assert not Earner.objects.filter(pk=dana.pk).exclude(dismissed={}).exists()


def test_only_the_creator_dismisses_and_only_by_post(dana):
    assert Client().post("/dashboard/dismiss", {"part": "bookkeeping"})["Location"].startswith("/sign-in")
    assert browser_of(dana).get("/dashboard/dismiss").status_code == 405
    form = {"part": "bookkeeping", "unknown_interval": "9"}
    assert Client(enforce_csrf_checks=True).post("/dashboard/dismiss", form).status_code == 403


# --- Small lines ------------------------------------------------------------------------------------


def test_each_tile_with_a_series_has_a_small_line_that_is_not_read_aloud(dana):
    html = page_of(dana).content.decode()
    lines = re.findall(r"<svg[^>]*>", html)
    assert len(lines) == 5  # Earned, tips after fees, MRR, tips, sponsors. No day is closed for readers.
    assert all('aria-hidden="true"' in line and "style" not in line for line in lines)


def test_a_small_line_stays_inside_its_drawing():
    points = [tuple(map(float, each.split(","))) for each in sparklines.points_of([-50, 10**12, 0]).split()]
    assert [x for x, _ in points] == [0, 60, 120]
    assert all(0 <= y <= sparklines.HEIGHT for _, y in points)
    assert points[0][1] > points[2][1] - 1e-6 > points[1][1]


def test_a_refund_that_takes_all_is_said(dana):
    creator = UserFactory.create()
    with clock_at(NOON - days(60)):
        given = tip(creator)
    refund(given)
    assert "Refunds took more than you earned in the last 30 days" in words(page_of(creator))
