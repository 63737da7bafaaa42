"""A creator's lists in each of their orders: on the pages, in the file, and in the totals above them."""

import json
import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from foundation import money
from monetization import keyset
from monetization.dashboard.sponsors.forms import SponsorFilterForm
from monetization.dashboard.subscriptions.forms import SubscriptionFilterForm
from monetization.dashboard.tips.forms import TipFilterForm
from monetization.figures import stats
from tests.html import browser_of, hidden, link, table, words
from tests.monetization.dashboard.list_pages import file_of
from tests.monetization.dashboard.test_overview_cost import analyze, fill, nodes, rows_read
from tests.monetization.records import NOON, change, clock_at, days, place, refund, subscribe, tip
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db

TIPS, SUBSCRIPTIONS = "/dashboard/tips", "/dashboard/subscriptions"


@pytest.fixture
def page(creator):
    return browser_of(creator)


def some_tips(creator, count):
    """Tips in two currencies, some with the same amount and some at the same time."""
    for number in range(count):
        with clock_at(NOON + days(number // 2)):
            one = tip(creator, 100 + 100 * (number * 7 % 5), currency=("USD", "EUR")[number % 3 == 0])
        if number % 4 == 0:
            refund(one, 50)


def some_subscriptions(creator, count):
    for number in range(count):
        with clock_at(NOON + days(number // 2)):
            one = subscribe(
                creator,
                f"r{number}@example.com",
                ("monthly", "annual", "gold")[number % 3],
                100 + 100 * (number % 4),
                currency=("USD", "EUR")[number % 5 == 0],
            )
        if number % 3:
            change(one, status=("past_due", "cancelled")[number % 2])


def some_placements(creator, count):
    """Placements in two currencies, some without a price and some for 0."""
    for number in range(count):
        place(
            creator,
            f"Sponsor {number % 4}",
            starts=NOON + days(number // 2),
            price_cents=(None, 0, 100, 29900)[number * 7 % 4],
            currency=("USD", "EUR")[number % 3 == 0],
        )


def sorted_by(rows, fields):
    """The rows in the order of these fields, by Python."""
    names = [each.removeprefix("-") for each in fields]
    return sorted(
        rows, key=lambda row: [getattr(row, name) for name in names], reverse=fields[0].startswith("-")
    )


@pytest.mark.parametrize(
    ("form_class", "make"),
    [
        (TipFilterForm, some_tips),
        (SubscriptionFilterForm, some_subscriptions),
        (SponsorFilterForm, some_placements),
    ],
)
def test_each_order_is_complete_and_the_same_page_by_page(creator, stranger, form_class, make):
    make(creator, 23)
    make(stranger, 3)
    for name, order in form_class.orders.items():
        form = form_class({"sort": name}, creator)
        expected = sorted_by(form.mine, order.fields)
        assert list(form.records()) == list(keyset.every_row(form.records())) == expected
        for limit in (1, 4):
            seen: list[Any] = []
            cursor = None
            while True:
                found = keyset.page_of(form.records(), among=form.mine, limit=limit, cursor=cursor)
                seen += found.rows
                if (cursor := found.next_cursor) is None:
                    break
            assert seen == expected


def test_a_file_has_more_rows_than_one_query_reads_in_any_order(creator, monkeypatch):
    some_tips(creator, 11)
    monkeypatch.setattr(keyset, "ROWS_MAX", 3)
    for name in TipFilterForm.orders:
        form = TipFilterForm({"sort": name}, creator)
        assert list(keyset.every_row(form.records())) == list(form.records())


@pytest.mark.parametrize("sort", ["", "-date", "x", "-", "created_at", "-gross_cents", "amount ", "é" * 99])
def test_an_order_that_does_not_exist_is_left_out(creator, page, sort):
    some_tips(creator, 3)
    answer = page.get(TIPS, {"sort": sort})
    assert answer.status_code == 200
    if sort.strip() == "amount":
        assert "sort=amount" in link(answer, "Download CSV")
    else:
        assert link(answer, "Download CSV") == "/dashboard/tips.csv"
        assert "newest first" in words(answer)


def heads(answer):
    """Of each column that can be sorted: its name, its state, and where a click on it leads."""
    found = re.findall(
        r'<th scope="col"[^>]*?(?:aria-sort="(\w+)")?><a class="sorts" href="([^"]*)"[^>]*>([^<]*)</a>',
        answer.content.decode(),
    )
    return {name: (state, unescape(url)) for state, url, name in found}


def test_a_click_on_a_head_sorts_and_the_next_click_turns_the_order(creator, page):
    some_tips(creator, 6)
    first = page.get(f"{TIPS}?refunded=no")
    assert heads(first) == {
        "Date": ("descending", f"{TIPS}?refunded=no&sort=date"),
        "Gross": ("", f"{TIPS}?refunded=no&sort=-amount"),
    }
    second = page.get(heads(first)["Gross"][1])
    assert heads(second) == {
        "Date": ("", f"{TIPS}?refunded=no"),
        "Gross": ("descending", f"{TIPS}?refunded=no&sort=amount"),
    }
    assert heads(page.get(heads(second)["Gross"][1]))["Gross"] == (
        "ascending",
        f"{TIPS}?refunded=no&sort=-amount",
    )


def test_the_file_and_the_next_page_keep_the_filters_and_the_order(creator, page):
    some_tips(creator, 120)
    answer = page.get(f"{TIPS}?currency=USD&sort=-amount")
    rows = file_of(page.get(link(answer, "Download CSV")))
    amounts = [int(row["gross_cents"]) for row in rows]
    assert amounts == sorted(amounts, reverse=True)
    shown = table(answer, "list_title") + table(page.get(link(answer, "Older")), "list_title")
    assert [row[3].removeprefix("0.50 refunded ") for row in shown] == [
        money.amount(cents, "USD") for cents in amounts
    ]
    assert link(answer, "Clear filters") == f"{TIPS}?sort=-amount"


def test_a_search_is_sorted_by_a_button_of_its_form(creator, page):
    for number in range(60):
        tip(creator, 100 + number, email="alex@example.com")
    sent = {"search": "alex@", "sort": "-amount"}
    first = page.post(TIPS, sent)
    assert '<button class="sorts" form="filters" name="sort" value="amount"' in first.content.decode()
    second = page.post(TIPS, sent | {"cursor": hidden(first, "cursor")})
    shown = [row[3] for answer in (first, second) for row in table(answer, "list_title")]
    assert shown == [money.amount(100 + number, "USD") for number in reversed(range(60))]
    rows = file_of(page.post("/dashboard/tips.csv", sent))
    assert [row["gross_cents"] for row in rows][:2] == ["159", "158"]
    # Without the search, the order is part of the address.
    assert page.post(TIPS, {"sort": "-amount"})["Location"] == f"{TIPS}?sort=-amount"


def test_links_of_before_the_orders_still_lead_to_their_page(creator, page):
    some_tips(creator, 60)
    older = link(page.get(TIPS), "Older")
    assert re.fullmatch(r"/dashboard/tips\?cursor=[\w-]+", older)
    assert len(table(page.get(older), "list_title")) == 10


def test_a_tag_says_how_much_of_a_tip_was_refunded(creator, page):
    refund(tip(creator, 500), 200)
    refund(tip(creator, 700))
    tip(creator, 900)
    rows = table(page.get(TIPS), "list_title")
    assert [(row[3], row[5]) for row in rows] == [
        ("9.00 USD", "8.55 USD"),
        ("Refunded 7.00 USD", "0.00 USD"),
        ("2.00 refunded 5.00 USD", "2.85 USD"),
    ]


def test_lists_show_no_stripe_id_and_the_pages_copy_it_whole(creator, page):
    whole = "pi_3OaBcDeFgHiJkLmNoPq"
    one = tip(creator, stripe_payment_id=whole)
    other = subscribe(creator, stripe_subscription_id="sub_1OaBcDeFgHiJkLmN")
    assert whole not in page.get(TIPS).content.decode()
    assert "sub_1OaBcDeFgHiJkLmN" not in page.get(SUBSCRIPTIONS).content.decode()
    html = page.get(f"{TIPS}/{one.pk}").content.decode()
    assert f'<code class="id-whole" id="stripe_id">{whole}</code>' in html
    assert f'<code class="id-short" title="{whole}" aria-hidden="true">pi_3OaB…NoPq</code>' in html
    assert 'data-copy="stripe_id"' in html
    html = page.get(f"{SUBSCRIPTIONS}/{other.pk}").content.decode()
    assert "sub_1Oa…kLmN" in html
    assert f'<code class="id-whole" id="subscription_id">{other.pk}</code>' in html


# --- Totals of subscriptions ------------------------------------------------------------------------

OF_SUBSCRIPTIONS = """
SELECT currency, count(*), count(*) FILTER (WHERE status = 'active'),
       count(*) FILTER (WHERE status = 'past_due'), count(*) FILTER (WHERE status = 'cancelled'),
       floor(coalesce(sum(yearly_cents) FILTER (WHERE status = 'past_due'), 0) / 12.0 + 0.5)::bigint,
       floor(sum(yearly_cents) / 12.0 + 0.5)::bigint
  FROM monetization_subscription WHERE creator_id = 'usr_creator' {}
 GROUP BY currency ORDER BY count(*) DESC, currency
"""


@pytest.mark.parametrize(
    ("filters", "condition"),
    [
        ({}, ""),
        ({"status": "past_due"}, "AND status = 'past_due'"),
        ({"search": "gold"}, "AND plan ILIKE 'gold%%'"),
        ({"currency": "EUR", "sort": "mrr"}, "AND currency = 'EUR'"),
    ],
)
def test_the_totals_of_subscriptions_are_those_of_the_whole_filter(
    creator, stranger, page, filters, condition
):
    some_subscriptions(creator, 61)
    some_subscriptions(stranger, 5)
    answer = page.post(SUBSCRIPTIONS, filters) if "search" in filters else page.get(SUBSCRIPTIONS, filters)
    expected = [
        [
            currency,
            *(str(each) for each in counts),
            money.figure(at_risk, currency) if at_risk else "–",
            money.figure(mrr, currency),
        ]
        for currency, *counts, at_risk, mrr in sql(OF_SUBSCRIPTIONS.format(condition))
    ]
    assert expected
    assert table(answer, "totals") == expected


def test_the_mrr_above_the_list_is_that_of_the_overview(creator):
    some_subscriptions(creator, 17)
    figures = stats.of_creator(creator).currencies
    for row in SubscriptionFilterForm({}, creator).totals():
        shown = figures[row["currency"]]
        assert (row["mrr_cents"], row["at_risk_cents"]) == (shown.mrr_cents, shown.at_risk_cents)


@pytest.mark.parametrize(
    ("search", "plans"),
    [("gold", ["Gold yearly", "gold"]), ("GOLD Y", ["Gold yearly"]), ("yearly", []), ("g_ld", []), ("%", [])],
)
def test_subscriptions_are_found_by_the_beginning_of_their_plan(creator, stranger, search, plans):
    for n, plan in enumerate(("gold", "Gold yearly", "silver")):
        subscribe(creator, f"a{n}@example.com", plan)
    subscribe(stranger, plan="gold")
    found = SubscriptionFilterForm({"search": search}, creator).records()
    assert [row.plan for row in found] == plans


# --- Cost -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "form_class"), [(TIPS, TipFilterForm), (SUBSCRIPTIONS, SubscriptionFilterForm)]
)
def test_a_page_in_any_order_reads_its_own_rows_by_an_index(creator, stranger, path, form_class):
    """Among 5,000 records, the second page reads about as many rows as it shows."""
    fill(creator, 20)
    fill(stranger, 5000)
    analyze()
    page, other = browser_of(stranger), browser_of(creator)
    for name in form_class.orders:
        first = page.get(path, {"sort": name})
        with CaptureQueriesContext(connection) as captured:
            page.get(link(first, "Older"))
        [rows] = [each["sql"] for each in captured if "LIMIT 51" in each["sql"]]
        [[plan]] = sql(f"EXPLAIN (FORMAT JSON) {rows.replace('%', '%%')}")
        [explained] = plan if isinstance(plan, list) else json.loads(plan)
        assert not [node for node in nodes(explained["Plan"]) if node["Node Type"] in ("Sort", "Seq Scan")], (
            name
        )
        assert sum(rows_read(rows).values()) <= 60, name
        with CaptureQueriesContext(connection) as captured:
            other.get(path, {"sort": name})
        assert len(captured) <= 8
