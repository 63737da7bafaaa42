"""The creator's overview: it says what the figures say, of its own creator alone, and never draws zeros."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from foundation import money
from foundation.money import figure
from foundation.words import span_words
from monetization import tips
from monetization.dashboard.overview import tiles
from monetization.figures import attention, periods, series, stats
from monetization.figures.stats import Figures
from monetization.models import Sponsor, Tip
from monetization.privacy import erasure, placeholders
from tests.factories import UserFactory
from tests.html import browser_of, link, table, text, words
from tests.monetization.dashboard.overview import cents, charts, live, page_of, tile, value
from tests.monetization.records import NOON, clock_at, days, place, refund, subscribe, tip
from tests.patterns import matched

HTML_BYTES_MAX = 150_000
SCRIPT_BYTES_MAX = 100_000
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7|add:7 }}"

pytestmark = pytest.mark.django_db


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


# --- Who sees it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/"])
def test_it_is_for_signed_in_creators_alone(path):
    answer = Client().get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in?next=/dashboard")


def test_it_is_the_same_with_a_slash(dana):
    browser = browser_of(dana)
    assert words(browser.get("/dashboard/")) == words(browser.get("/dashboard"))


def test_a_stranger_sees_nothing_of_another_creator(dana):
    stranger = browser_of()
    for query in ("", "?range=all&currency=EUR"):
        said = words(stranger.get(f"/dashboard{query}"))
        assert "Create an API key" in said
        for secret in ("Acme", "Reader", "Globex", "r1000@", "s160@", "EUR"):
            assert secret not in said, secret


def test_two_creators_are_never_mixed(dana):
    other = UserFactory.create()
    tip(other, 7777, email="only@others.example", name="A stranger's", message="Not Dana's")
    place(other, "Umbrella", price_cents=5)
    said = words(page_of(dana, "?range=all"))
    for secret in ("77.77", "others.example", "A stranger", "Not Dana", "Umbrella"):
        assert secret not in said, secret


def test_no_cache_on_the_way_keeps_it_and_it_is_read_only(dana):
    browser = browser_of(dana)
    assert "no-store" in browser.get("/dashboard")["Cache-Control"]
    assert browser.post("/dashboard").status_code == 405


# --- Figures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("currency", ["USD", "EUR"])
@pytest.mark.parametrize("range_", periods.RANGES)
def test_every_figure_is_that_of_the_period(dana, range_, currency):
    period = periods.period_of(dana, range_, at=NOON)
    found = stats.of_period(dana, period)[currency]
    answer = page_of(dana, f"?range={range_}&currency={currency}")
    assert value(answer, "income") == money.amount(found.net_after_refunds_cents, currency)
    assert value(answer, "mrr") == money.amount(found.mrr_cents, currency)
    assert value(answer, "subscribers") == f"{found.paying_subscribers}"
    assert value(answer, "churn") == tiles.percent(found.churn)
    assert value(answer, "tips") == f"{found.tips}"
    assert value(answer, "sponsors") == money.amount(found.sponsors_booked_cents, currency)
    assert f"{found.new_subscribers} joined, {found.left_subscribers} cancelled" in tile(
        answer, "subscribers"
    )
    active = f"{found.sponsors_active_now} active now"
    assert (active in tile(answer, "sponsors")) == (found.sponsors_active_now > 0)
    assert value(answer, "earned") == money.amount(found.earned_cents, currency)


def test_the_figures_of_a_known_month(dana):
    answer = page_of(dana)
    # 5, 15, 3 and 10 USD at 4 %. Of earlier tips 6.66 and 3.33 went back, with 0.27 and 0.13 of fee.
    assert value(answer, "income") == "22.09 USD"
    assert "33.00 gross − 1.32 fee − 9.59 refunds" in tile(answer, "income")
    assert value(answer, "tips") == "4"
    assert "33.00 USD gross, 8.25 on average" in tile(answer, "tips")
    assert value(answer, "mrr") == "12.99 USD"
    assert "5.00 USD of it past due, 1 subscription of unknown interval not counted" in tile(answer, "mrr")
    assert value(answer, "subscribers") == "3"
    assert value(answer, "churn") == "100%"
    assert "1 of 1 cancelled" in tile(answer, "churn")


def test_each_tile_leads_to_its_list_and_tells_how_it_is_counted(dana):
    answer = page_of(dana)
    for name, path in (
        ("Tips after fees", "tips?from=2026-05-17&to=2026-06-15&currency=USD"),
        ("MRR", "subscriptions?currency=USD"),
        ("Sponsors booked", "sponsors"),
    ):
        assert link(answer, name) == f"/dashboard/{path}"
    assert len(table(browser_of(dana).get(link(answer, "Tips after fees")), "list_title")) == 4
    for key, definition in tiles.DEFINITIONS.items():
        if key != "earned":  # It is above the tiles.
            assert definition in tile(answer, key)


@pytest.mark.parametrize("key", tiles.DEFINITIONS)
def test_a_figure_is_counted_in_the_words_of_the_docs(key):
    docs = (Path(settings.BASE_DIR) / "docs" / "monetization.md").read_text()
    said = " ".join(re.sub(r" \(`\w+`\)|[`*]", "", docs).lower().split())
    for sentence in tiles.DEFINITIONS[key].rstrip(".").split(". "):
        assert sentence.lower() in said


def test_trends_are_against_the_equal_window_before(dana):
    answer = page_of(dana)
    period = periods.period_of(dana, "30d", at=NOON)
    earlier = periods.before(period)
    assert earlier is not None
    now, then = (stats.of_period(dana, each)["USD"] for each in (period, earlier))
    assert (now.tips, then.tips) == (4, 1)
    assert "+300% on the 30 days before" in tile(answer, "tips")
    assert "Changes are compared with the 30 days before, 17 Apr 2026 to 16 May 2026." in words(answer)


def test_all_time_has_nothing_before_it(dana):
    answer = page_of(dana, "?range=all")
    assert "Changes are compared with" not in words(answer)
    assert 'class="change' not in answer.content.decode()


def test_the_plan_its_fee_and_an_example_are_said(dana):
    said = words(page_of(dana))
    assert "Your plan: Pro · platform fee 4% · a 5.00 USD tip pays you 4.80 USD." in said
    assert "a 5.00 EUR tip pays you 4.80 EUR." in words(page_of(dana, "?currency=EUR"))
    assert "Days and times are in UTC" in said


# --- Range and currency -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "?range=9d",
        "?range=",
        "?range=30d",
        "?currency=XXX",
        "?currency=JPY",
        "?currency=usd",
        "?currency=%ff",
        "?range=7d&range=nonsense",
        "?cursor=x&range[]=7d",
    ],
)
def test_an_address_that_makes_no_sense_shows_the_default(dana, query):
    assert words(page_of(dana, query)) == words(page_of(dana))


def test_range_and_currency_are_kept_together(dana):
    answer = page_of(dana, "?range=90d&currency=EUR")
    kept = parse_qs(urlsplit(link(answer, "7 days")).query)
    assert kept == {"range": ["7d"], "currency": ["EUR"]}
    assert parse_qs(urlsplit(link(answer, "USD")).query) == {"range": ["90d"]}
    assert parse_qs(urlsplit(link(answer, "30 days")).query) == {"currency": ["EUR"]}


def test_a_single_currency_is_no_choice():
    creator = UserFactory.create()
    tip(creator, currency="JPY")
    answer = page_of(creator)
    assert 'aria-label="Currency"' not in answer.content.decode()
    assert value(answer, "income") == "475 JPY"


# --- Charts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("range_", periods.RANGES)
def test_the_tips_of_a_chart_add_up_to_the_figures(dana, range_):
    period = periods.period_of(dana, range_, at=NOON)
    found = stats.of_period(dana, period)["USD"]
    step = periods.step_of(period)
    rows = charts(page_of(dana, f"?range={range_}"))[f"Tips by {step}, USD"]
    gross, net, fee, refunded = (sum(cents(row[at]) for row in rows) for at in (1, 2, 3, 4))
    assert (gross, net, fee, -refunded) == (
        *(found.gross_cents, found.net_cents, found.fee_cents),
        found.refunded_cents,
    )
    assert len(rows) == len(series.tips_by_day(dana, "USD", period))


@pytest.mark.parametrize("range_", periods.RANGES)
def test_mrr_ends_with_the_figure(dana, range_):
    rows = charts(page_of(dana, f"?range={range_}"))["MRR, USD"]
    assert rows[-1][:2] == ["15 Jun 2026", "12.99"]


def test_income_by_month_is_tips_and_what_is_booked(dana):
    rows = charts(page_of(dana, "?range=7d"))["Income by month, USD, the last 12 months"]
    assert [row[0] for row in rows][:: len(rows) - 1] == ["July 2025", "June 2026"]
    months = series.income_by_month(dana, "USD", at=NOON)
    assert [row[1:] for row in rows] == [
        [figure(each.tips_net_cents, "USD"), figure(each.sponsors_booked_cents, "USD")] for each in months
    ]


def test_bars_of_weeks_are_equally_far_apart():
    creator = UserFactory.create()
    with clock_at(NOON - days(200)):
        tip(creator)
    html = page_of(creator, "?range=12m").content.decode()
    figure = matched(r'(?s)<figure[^>]*data-chart="bars".*?</figure>', html)[0]
    starts = [
        datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
        for day in re.findall(r'datetime="([\d-]+)"', figure)
    ]
    assert {late - early for early, late in pairwise(starts)} == {timedelta(days=7)}


# --- Nothing, and what to do about it ---------------------------------------------------------------


def test_see_all_keeps_the_currency(dana):
    html = page_of(dana, "?currency=EUR&range=7d").content.decode()
    assert "/dashboard/tips?currency=EUR" in html
    assert "/dashboard/tips?from=2026-06-09&amp;to=2026-06-15&amp;currency=EUR" in html
    assert "/dashboard/subscriptions?currency=EUR" in html


def test_nothing_in_a_range_names_the_last_and_a_range_that_has_it():
    creator = UserFactory.create()
    with clock_at(NOON - days(50)):
        tip(creator)
    answer = page_of(creator, "?range=7d")
    assert "No tips in the last 7 days. The last one came on 26 Apr 2026." in words(answer)
    assert not [title for title in charts(answer) if title.startswith("Tips")]
    wider = link(answer, "Show 90 days")
    assert "Tips by day, USD" in charts(browser_of(creator).get(wider.partition("#")[0]))


def test_there_is_never_a_chart_of_zeros():
    creator = UserFactory.create()
    place(creator, starts=NOON - days(500), ends=NOON - days(480), price_cents=100)
    answer = page_of(creator)
    assert charts(answer) == {}
    said = words(answer)
    assert "Tips you record through the API appear here" in said
    assert "/mail/v1/monetization/subscriptions" in said
    assert "All three positions are free for the next six weeks" in said


def test_a_refund_alone_is_drawn():
    creator = UserFactory.create()
    with clock_at(NOON - days(60)):
        given = tip(creator)
    refund(given)
    answer = page_of(creator, "?range=7d")
    assert charts(answer)["Tips by day, USD"][-1] == ["15 Jun 2026", "0.00", "0.00", "0.00", "−5.00"]
    assert value(answer, "income") == "−4.75 USD"
    assert "Refunds took more than you earned in the last 7 days" in words(answer)


# --- Lists ------------------------------------------------------------------------------------------


def test_recent_tips_supporters_and_changes_are_the_newest(dana):
    answer = page_of(dana)
    assert [row[0] for row in table(answer, "tips_title")] == [
        "Reader 1000",
        "Reader 300",
        "Reader 1500",
        "Reader 500",
        "Reader 2000 6.66 refunded",
    ]
    assert table(answer, "supporters_title")[0] == ["Reader 1500 r1500@example.com Write", "1", "15.00"]
    changes = table(answer, "changes_title")
    assert changes[0][0].endswith("@example.com x")
    assert [row[1] for row in changes] == ["New", "Cancelled", "Past due", "Reactivated", "New"]
    assert [row[3] for row in changes] == ["0.00", "−6.58", "0.00", "+7.99", "+5.00"]


def test_what_asks_for_attention_leads_to_its_list(dana):
    answer = page_of(dana)
    notice = matched(r'(?s)<section class="attention".*?</section>', answer.content.decode())[0]
    leads = {
        text(words): unescape(url) for url, words in re.findall(r'(?s)<a href="(.*?)">(.*?)</a>', notice)
    }
    assert "/dashboard/subscriptions?status=past_due" in leads.values()
    assert "/dashboard/sponsors?position=header" in leads.values()
    [unknown] = [url for url in leads.values() if "interval=unknown" in url]
    assert len(table(browser_of(dana).get(unknown), "list_title")) == 1
    assert len(leads) == len(attention.lines(dana, at=NOON))
    for url in leads.values():
        assert browser_of(dana).get(url).status_code == 200


def test_sponsors_of_six_weeks_with_conflicts_and_free_days(dana):
    answer = page_of(dana)
    html = answer.content.decode()
    lane = matched(r'(?s)<ol[^>]*aria-labelledby="lane_header".*?</ol>', html)[0]
    items = re.findall(r"(?s)<li.*?</li>", lane)
    slots = [text(each) for each in items]
    # Acme began before the six weeks. Its bar fades there, and the page prints its own days.
    assert slots[0] == "Acme Active, 5–20 Jun"
    assert 'title="Acme, 5–20 Jun"' in items[0]
    assert ["slot-cut-before" in each for each in items] == [True] + [False] * (len(items) - 1)
    assert "slot-cut-after" not in lane
    assert "Globex Upcoming, 23–27 Jun Double-booked" in slots
    assert "Initech Upcoming, 25–30 Jun Double-booked" in slots
    for sponsor in Sponsor.objects.filter(creator=dana):
        assert f'href="/dashboard/sponsors/{sponsor.pk}/edit"' in lane
    assert "/dashboard/sponsors/add?position=header&amp;from=2026-06-21&amp;until=2026-06-22" in lane


# --- Hostile and private words ----------------------------------------------------------------------


def test_hostile_words_are_text_everywhere():
    creator = UserFactory.create(name=HOSTILE)
    tip(creator, name=HOSTILE, message=HOSTILE, email="a+b&c'd@example.com")
    place(creator, HOSTILE)
    subscribe(creator, plan=HOSTILE[:90])
    answer = page_of(creator)
    html = answer.content.decode()
    assert "<script>alert" not in html
    assert "<img" not in html
    assert words(answer).count("<script>alert(1)</script>") >= 4
    assert "mailto:a%2Bb%26c%27d@example.com" in html


def test_a_long_message_is_cut_and_a_hidden_one_is_not_shown():
    creator = UserFactory.create()
    tip(creator, message="long words " * 20)
    hidden = tip(creator, message="Something rude")
    tips.hide_message(creator=creator, tip_id=hidden.pk, hidden=True)
    messages = [row[2] for row in table(page_of(creator), "tips_title")]
    assert messages[0] == ""
    assert len(messages[1]) <= 80
    assert messages[1].endswith("…")


def test_an_erased_reader_keeps_the_figures_and_loses_the_name():
    creator = UserFactory.create()
    tip(creator, name="Bob", email="bob@example.com", message="From Bob")
    subscribe(creator, "bob@example.com")
    before = page_of(creator)
    erasure.erase("bob@example.com", actor="user:staff:1")
    answer = page_of(creator)
    assert all(value(answer, key) == value(before, key) for key in tiles.DEFINITIONS)
    assert "bob" not in words(answer).lower()
    assert placeholders.STAND_IN_DOMAIN not in answer.content.decode()
    assert table(answer, "tips_title")[0][0] == "Erased reader"


def test_nothing_stands_inline_that_the_policy_would_refuse(dana):
    for html in (page_of(dana).content.decode(), browser_of().get("/dashboard").content.decode()):
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))


# --- What it costs ----------------------------------------------------------------------------------


def many_tips(creator, count):
    Tip.objects.bulk_create(
        Tip(
            creator=creator,
            gross_cents=500,
            fee_cents=25,
            net_cents=475,
            fee_bps=500,
            plan="free",
            currency="USD",
            email=f"r{number}@example.com",
            reader=f"r{number}@example.com",
            created_at=NOON - timedelta(minutes=7 * number),
        )
        for number in range(count)
    )


def queries_of(creator: User, query: str) -> int:
    browser = browser_of(creator)
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(f"/dashboard{query}").status_code == 200
    return len(queries)


@pytest.mark.parametrize("range_", periods.RANGES)
def test_it_asks_as_few_queries_for_2000_tips_as_for_20(range_):
    few, many = UserFactory.create(), UserFactory.create()
    many_tips(few, 20)
    many_tips(many, 2000)
    for creator in (few, many):
        subscribe(creator)
        place(creator)
    assert queries_of(many, f"?range={range_}") == queries_of(few, f"?range={range_}") <= 40


@pytest.mark.parametrize("range_", periods.RANGES)
def test_the_page_stays_small_however_long_ago_it_began(dana, range_):
    with clock_at(NOON - days(7000)):
        tip(dana)
    answer = page_of(dana, f"?range={range_}")
    assert len(answer.content) < HTML_BYTES_MAX
    scripts = re.findall(r'<script[^>]*src="/static/([^"]+)"', answer.content.decode())
    assert scripts
    sizes = [(Path(settings.BASE_DIR) / "static" / name).stat().st_size for name in scripts]
    assert sum(sizes) < SCRIPT_BYTES_MAX


# --- Words ------------------------------------------------------------------------------------------


def test_a_creator_with_nothing_in_a_currency_has_no_average():
    made = tiles.Tiles(Figures(), None, "USD", None, tiles.Series())
    assert [each.detail for each in made.all() if each.key == "tips"] == [""]
    assert span_words(NOON.date(), NOON.date(), today=NOON.date()) == "15 Jun"
