"""The front of the back-office: figures that are exactly what their links show, for whom, at what cost."""

import html
import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backoffice.overview import figures
from foundation import money
from foundation.comparisons import Change
from monetization.figures.periods import period_of
from tests.backoffice.overviews import DAY, NOW, behind, text_of
from tests.factories import StaffFactory, UserFactory, enter
from tests.monetization.records import clock_at
from tests.wallet.entries import sql
from tests.wallet.granted import past_grant
from tests.wallet.past import charged, gave_back, took_back, topped_up, wrote
from tests.wallet.resting import resting_triggers
from wallet.books import days
from wallet.models import StripeEvent, TopUp, Wallet

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_noon():
    """The page is asked for at one moment, so that its days are known."""
    with clock_at(NOW):
        yield


# --- Figures ----------------------------------------------------------------------------------------


def a_history(seed):
    """Forty days of several products and kinds; a debt, something outside every period, and tips."""
    chance = Random(seed)  # noqa: S311 (a history, and no secret)
    wrote(500, NOW - 400 * DAY, product="blog")
    moments = sorted(
        NOW - timedelta(days=chance.randrange(40), minutes=chance.randrange(600)) for _ in range(70)
    )
    for moment in moments:
        product, user_id = chance.choice(("blog", "mail", "reach", "wallet")), "usr_1"
        roll = chance.random()
        if roll < 0.7:
            charge = charged(chance.randrange(1, 4), moment, user_id=user_id, product=product)
            if chance.random() < 0.2:
                gave_back(charge, 1, moment)
        elif roll < 0.9:
            wrote(chance.choice((-2, 3)), moment, user_id=user_id, product=chance.choice(("", "blog")))
        else:
            past_grant("usr_3", chance.randrange(1, 9), at=moment, ended=None, product=product)
    topup = topped_up(9, NOW - 3 * DAY, user_id="usr_2", product="blog")
    charged(5, NOW - 3 * DAY, user_id="usr_2", product="blog")
    took_back(topup, 9, NOW - 2 * DAY)


def of_the_page(client, path="/admin/"):
    return client.get(path).context


def signed(text):
    """The number that a figure shows."""
    return int(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))


SUM = """
SELECT coalesce(sum(credits), 0)::int FROM wallet_entry
 WHERE kind = %s AND (%s = '' OR product = %s)
   AND created_at >= '2026-06-30'::timestamptz - interval '1 day' * %s AND created_at < '2026-07-01Z'
"""


@pytest.mark.parametrize(("seed", "closed"), [(1, False), (2, True)])
@pytest.mark.parametrize(("period", "back"), [("7d", 6), ("", 29), ("90d", 89)])
@pytest.mark.parametrize("product", ["", "blog"])
def test_the_tiles_are_what_the_entries_add_up_to(staff, seed, closed, period, back, product):
    a_history(seed)
    if closed:
        days.close_days(now=NOW)
    page = of_the_page(staff, f"/admin/?range={period}&product={product}")
    shown = {tile.key: abs(signed(tile.figure.text)) for tile in page["movements"].tiles}
    for kind in ("topup", "deduct", "refund", "adjustment", "grant", "clawback"):
        [(wanted,)] = sql(SUM, kind, product, product, back)
        assert shown.get(kind, 0) == abs(wanted), kind


@pytest.mark.parametrize("path", ["/admin/?range=90d", "/admin/?range=12m", "/admin/?range=90d&product=blog"])
def test_every_figure_is_what_the_rows_behind_its_link_add_up_to(staff, path):
    a_history(8)
    days.close_days(now=NOW - 5 * DAY)
    moved = of_the_page(staff, path)["movements"]
    figures = [tile.figure for tile in moved.tiles]
    for row in moved.by_product.rows:
        figures += row.cells[:-1]
    for chart in filter(None, (moved.flow_chart, moved.product_chart)):
        figures += [cell for bar in chart.table.rows for cell in bar.cells]
    linked = [figure for figure in figures if figure.url]
    assert len(linked) > 25
    for figure in linked:
        total = sum(entry.credits for entry in behind(staff, figure.url))
        assert abs(total) == abs(signed(figure.text)), figure.url
    for figure in figures:
        assert figure.url or signed(figure.text) == 0 or "product=" not in path
    for row in moved.by_product.rows:
        assert behind(staff, row.cells[-1].url).count() == signed(row.cells[-1].text)


BEFORE = """
SELECT coalesce(sum(credits), 0)::int FROM wallet_entry
 WHERE kind = %s AND (%s = '' OR product = %s)
   AND created_at >= '2026-07-01Z'::timestamptz - interval '1 day' * 2 * %s
   AND created_at < '2026-07-01Z'::timestamptz - interval '1 day' * %s
"""


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(("period", "length"), [("7d", 7), ("", 30), ("12m", 365)])
@pytest.mark.parametrize("product", ["", "blog"])
def test_a_tile_says_how_it_compares_with_the_period_before(staff, closed, period, length, product):
    a_history(3)
    wrote(-8, NOW - 370 * DAY, product="blog")
    if closed:
        days.close_days(now=NOW - 10 * DAY)
    tiles = {
        tile.key: tile
        for tile in of_the_page(staff, f"/admin/?range={period}&product={product}")["movements"].tiles
    }
    for kind in ("topup", "deduct", "refund", "adjustment", "grant", "clawback"):
        [(now,)] = sql(SUM, kind, product, product, length - 1)
        [(then,)] = sql(BEFORE, kind, product, product, length, length)
        if kind == "deduct":
            now, then = -now, -then
        words = tiles[kind].change.words if kind in tiles else ""
        if now == then:
            wanted = ""
        elif then == 0:
            wanted = f"New: none in the {length} days before"
        elif then < 0:
            wanted = f"{'Up' if now > then else 'Down'} from {money.plain(then)} in the {length} days before"
        else:
            percent = (Decimal(100 * (now - then)) / then).quantize(Decimal(1), ROUND_HALF_UP)
            wanted = f"{money.signed(int(percent))}% on the {length} days before"
        assert words == wanted, kind


def test_more_charges_are_good_and_more_given_back_is_bad(staff):
    for ago, charges in ((40, 1), (10, 2)):
        for number in range(charges):
            wrote(50, NOW - ago * DAY, product="blog")
            charge = charged(10, NOW - (ago - number) * DAY)
            gave_back(charge, 4, NOW - (ago - number) * DAY)
    tiles = {tile.key: tile.change for tile in of_the_page(staff)["movements"].tiles}
    than = "+100% on the 30 days before"
    assert tiles["deduct"] == Change(than, "good")
    assert tiles["refund"] == Change(than, "bad")
    assert tiles["adjustment"] == Change(than)
    content = staff.get("/admin/").content.decode()
    assert f'<p class="small change change-good">{than}</p>' in content
    assert f'<p class="small change change-bad">{than}</p>' in content


def test_a_chart_shows_the_days_of_the_period_before_beside_its_own(staff):
    wrote(500, NOW - 400 * DAY)
    for ago, credits in ((365, 6), (60, 5), (59, 4), (30, 3), (29, 2), (0, 1)):
        charged(credits, NOW - ago * DAY, product=("blog", "mail")[credits % 2])
    moved = of_the_page(staff)["movements"]
    names = ["Topped up", "Charged", "Charged, 30 days before"]
    assert [column.name for column in moved.flow_chart.table.columns] == names
    assert [column.is_before for column in moved.flow_chart.table.columns] == [False, False, True]
    assert [column.color for column in moved.flow_chart.table.columns] == [0, 0, 2]  # As "Charged" now.
    bars = [[cell.text for cell in bar.cells] for bar in moved.flow_chart.table.rows]
    assert (bars[0], bars[29]) == (["0", "−2", "−4"], ["0", "−1", "−3"])
    assert {cell for bar in bars[1:29] for cell in bar} == {"0"}
    of_all = moved.product_chart.table.columns[-1]
    assert (of_all.name, of_all.color) == ("All, 30 days before", None)
    assert [cell.text for cell in moved.product_chart.table.rows[0].cells] == ["2", "0", "4"]
    # Weeks are compared day by day, too, so none of the days before is left out or counted twice.
    by_week = of_the_page(staff, "/admin/?range=12m")["movements"].flow_chart
    assert [bar.cells[-1].text for bar in by_week.table.rows][-1] == "−6"


def test_what_is_said_below_the_figures(staff):
    wrote(50, NOW - 3 * DAY, product="blog")
    charge = charged(9, NOW - 2 * DAY)
    gave_back(charge, 4, NOW - DAY)
    wrote(-5, NOW - DAY)
    tiles = {tile.key: tile for tile in of_the_page(staff)["movements"].tiles}
    assert tiles["deduct"].figure.text == "9"
    assert tiles["deduct"].details == ("1 entry", "5 net of what was given back")
    assert tiles["adjustment"].figure.text == "+45"
    assert tiles["adjustment"].details == ("2 entries", "+50 added, \N{MINUS SIGN}5 taken")


def test_what_is_outstanding_and_what_is_owed(staff):
    a_history(1)
    outstanding, owed = of_the_page(staff)["balances"]
    [(paid, negative)] = sql(
        "SELECT sum(balance - granted) FILTER (WHERE balance > granted)::int,"
        " sum(balance - granted) FILTER (WHERE balance < granted)::int FROM wallet_wallet"
    )
    # The database's clock decides which grants have ended.
    [(granted,)] = sql("SELECT coalesce(sum(remaining), 0)::int FROM wallet_lot WHERE expires_at > now()")
    assert (signed(outstanding.figure.text), signed(owed.figure.text)) == (paid + granted, -negative)
    assert behind(staff, outstanding.figure.url).count() == Wallet.objects.count()
    assert [wallet.pk for wallet in behind(staff, owed.figure.url)] == ["usr_2"]
    [(change,)] = sql("SELECT sum(credits)::int FROM wallet_entry WHERE created_at >= '2026-06-01Z'")
    assert outstanding.details == ["in 2 wallets", f"{figures.money.signed(change)} in the last 30 days"]


def test_a_chart_has_every_day_of_its_window_and_twelve_months_are_weeks(staff):
    a_history(1)
    by_day = of_the_page(staff)["movements"].flow_chart
    assert [bar.day for bar in by_day.table.rows] == [date(2026, 6, 1) + n * DAY for n in range(30)]
    by_week = of_the_page(staff, "/admin/?range=12m")["movements"].flow_chart
    assert {bar.day.weekday() for bar in by_week.table.rows} == {0}
    assert (by_week.table.rows[0].words, len(by_week.table.rows)) == ("Week of 1 Jul 2025", 53)


def test_of_many_products_two_are_drawn_and_the_others_together(staff):
    wrote(500, NOW - 3 * DAY)
    for credits, product in enumerate(("a", "b", "c", "d"), 1):
        charged(credits, NOW - 2 * DAY, product=product)
    chart = of_the_page(staff)["movements"].product_chart
    assert [column.name for column in chart.table.columns] == ["d", "c", "2 others"]
    assert chart.sentence == "d 4, c 3, 2 others 3."


def test_a_window_or_a_product_that_there_is_not_is_as_if_none_was_named(staff):
    wrote(50, NOW - 3 * DAY, product="blog")
    for query in ("range=1y&product=nothing", "range=30D", "product=%27--"):
        page = of_the_page(staff, f"/admin/?{query}")
        assert (page["period"].name, page["product"]) == ("30d", "")
    said = text_of(staff.get("/admin/?product=blog"))
    assert "Last 30 days, MisarBlog" in said
    assert staff.get("/admin/?product=a%00b").status_code == 400


def test_a_year_that_ends_on_a_leap_day():
    period = period_of(None, "12m", at=datetime(2028, 2, 29, 12, tzinfo=UTC))
    assert (period.first_day, period.last_day) == (date(2027, 3, 1), date(2028, 2, 29))


# --- Tips -------------------------------------------------------------------------------------------

TIP = """
INSERT INTO monetization_tip (id, creator_id, gross_cents, fee_cents, net_cents, fee_bps, plan, currency,
       refunded_cents, fee_returned_cents, email, reader, name, message, created_at)
VALUES (%s, %s, %s, %s, %s, 500, 'free', %s, 0, 0, '', '', '', '', %s)
"""


def test_tips_by_currency_each_figure_with_its_rows(staff):
    creator = UserFactory.create(plan_id="free")
    for number, (cents, currency, ago) in enumerate(
        ((500, "USD", DAY), (700, "USD", 2 * DAY), (900, "EUR", DAY), (100, "EUR", 40 * DAY))
    ):
        sql(TIP, f"tip_{number}", creator.pk, cents, 25, cents - 25, currency, NOW - ago)
    dollars, euros = of_the_page(staff)["tips"].rows
    assert [cell.text for cell in dollars.cells] == ["2", "12.00", "0.50", "0.00", "0.00", "0.00"]
    assert [cell.text for cell in euros.cells] == ["1", "9.00", "0.25", "0.00", "0.00", "1.00"]
    assert {tip.pk for tip in behind(staff, euros.cells[5].url)} == {"tip_3"}
    assert {tip.pk for tip in behind(staff, dollars.cells[0].url)} == {"tip_0", "tip_1"}
    assert {tip.pk for tip in behind(staff, euros.cells[1].url)} == {"tip_2"}


# --- Who sees what ----------------------------------------------------------------------------------


@pytest.fixture
def member(client):
    """A staff member with these permissions alone."""

    def sign_in(*permissions, role=""):
        staff_member = StaffFactory.create(is_superuser=False)
        for permission in permissions:
            app, codename = permission.split(".")
            found = Permission.objects.get(content_type__app_label=app, codename=codename)
            staff_member.user_permissions.add(found)
        if role:
            staff_member.groups.add(Group.objects.get(name=role))
        enter(client, staff_member)
        return client

    return sign_in


def test_without_a_role_nothing_is_shown(member):
    a_history(1)
    said = text_of(member().get("/admin/"))
    assert "You have no role yet." in said
    for word in ("Credits outstanding", "Topped up", "Tips and fees", "Ledger check", "Daily totals through"):
        assert word not in said


@pytest.mark.parametrize("role", ["support", "admin"])
def test_each_role_sees_the_whole_and_every_link_is_open_to_it(member, role):
    a_history(1)
    StripeEvent.objects.create(id="evt_1", type="charge.refunded", state="parked")
    client = member(role=role)
    answer = client.get("/admin/")
    assert "Credits outstanding" in text_of(answer)
    within = answer.content.decode().split('<div class="backoffice')[1]
    urls = {html.unescape(url) for url in re.findall(r'href="(/admin/[^"#]*)', within)}
    assert len(urls) > 20
    for url in urls:
        assert client.get(url).status_code == 200, url


@pytest.mark.parametrize(
    ("permission", "shown"),
    [
        ("wallet.view_wallet", "Credits outstanding"),
        ("wallet.view_entry", "Topped up"),
        ("monetization.view_tip", "Tips and fees"),
        ("wallet.view_audit", "Stripe reconciliation Never ran"),
        ("wallet.view_stripeevent", "Stripe event needs review"),
        ("wallet.view_topup", "payment has been pending"),
        ("wallet.view_closedday", "Daily totals through"),
    ],
)
def test_one_permission_shows_one_part(member, permission, shown):
    a_history(1)
    StripeEvent.objects.create(id="evt_1", type="charge.refunded", state="parked")
    TopUp.objects.create(user_id="usr_0", state="pending", amount_cents=500, created_at=NOW - DAY)
    said = text_of(member(permission).get("/admin/"))
    parts = (
        *("Credits outstanding", "Topped up", "Tips and fees", "Stripe reconciliation Never ran"),
        *("Stripe event needs review", "payment has been pending", "Daily totals through"),
    )
    assert [part for part in parts if part in said] == [shown]


def test_no_address_of_the_page_holds_an_e_mail_address(staff):
    UserFactory.create(misar_id="usr_1", email="reader@example.com")
    a_history(1)
    content = staff.get("/admin/").content.decode()
    for url in re.findall(r'href="([^"]*)"', content):
        assert "@" not in dict(parse_qsl(urlsplit(html.unescape(url)).query)).values()
    assert "reader@example.com" not in content


# --- What it costs ----------------------------------------------------------------------------------

MANY = """
INSERT INTO wallet_entry (id, wallet_id, sequence, kind, credits, balance_after, feature, count, product,
       idempotency_key, stripe_session_id, actor, reason, effective_at, created_at)
SELECT 'txn_many_' || n, 'usr_many', n, CASE WHEN n %% 50 = 0 THEN 'adjustment' ELSE 'grant' END, 1, n, '',
       NULL, 'p' || n %% 3, '', '', 'sql', '', moment, moment
  FROM generate_series(1, %(entries)s) AS n,
       LATERAL (SELECT %(last)s - interval '1 day' * 365 * (%(entries)s - n) / %(entries)s AS moment) AS at
"""


def many_entries(entries):
    """So many over a year, of one wallet, with all but the last two days added up."""
    with resting_triggers():  # Each entry by itself would take minutes.
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO wallet_wallet VALUES ('usr_many', %s, %s, now())", [entries, entries])
            cursor.execute(MANY, {"entries": entries, "last": NOW})
    days.close_days(now=NOW - DAY)


def asked(client, path):
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in captured]


@pytest.mark.breaks_the_books  # The entries are grants without lots.
@pytest.mark.parametrize("query", ["", "?range=12m", "?product=p1"])
def test_the_page_asks_as_often_for_20000_entries_as_for_100(staff, query):
    for count in (100, 20_000):
        sql("SAVEPOINT few")
        many_entries(count)
        queries = asked(staff, f"/admin/{query}")
        if count == 100:
            few = len(queries)
            sql("ROLLBACK TO SAVEPOINT few")
    assert len(queries) == few <= 40


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


@pytest.mark.breaks_the_books  # The entries are grants without lots.
def test_no_query_of_the_page_reads_the_ledger_from_end_to_end(staff):
    many_entries(20_000)
    sql("ANALYZE wallet_entry, wallet_closedday, wallet_daytotal")
    about_entries = [query for query in asked(staff, "/admin/?range=12m") if "wallet_entry" in query]
    assert len(about_entries) >= 3
    for query in about_entries:
        [[explained]] = sql(f"EXPLAIN (FORMAT JSON) {query.replace('%', '%%')}")
        plan = (explained if isinstance(explained, list) else json.loads(explained))[0]["Plan"]
        whole = {node.get("Relation Name") for node in nodes(plan) if node["Node Type"] == "Seq Scan"}
        assert "wallet_entry" not in whole, query


def test_what_takes_too_long_is_left_out_and_said():
    def too_long():
        sql("SET LOCAL statement_timeout = 20")
        sql("SELECT pg_sleep(5)")

    assert figures.in_time(too_long) is None
    assert figures.in_time(lambda: sql("SELECT 1")) == [(1,)]


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_the_page_is_one_snapshot_that_can_write_nothing(staff):
    UserFactory.create()
    with CaptureQueriesContext(connection) as captured:
        assert staff.get("/admin/").status_code == 200
    statements = [query["sql"] for query in captured]
    begun = next(place for place, text in enumerate(statements) if "REPEATABLE READ, READ ONLY" in text)
    figures = [place for place, text in enumerate(statements) if "wallet_" in text and "SELECT" in text]
    assert figures
    assert min(figures) > begun
