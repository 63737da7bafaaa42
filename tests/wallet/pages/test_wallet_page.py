"""The wallet page: its balance, days, spending and history are those of the ledger."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ServiceKey
from tests.environment import ROOT
from tests.factories import UserFactory
from tests.html import browser_of, link, table, words
from tests.patterns import matched
from tests.wallet import by_hand
from tests.wallet.entries import move, sql
from tests.wallet.resting import resting_triggers
from tests.wallet.reversed import leave_owing
from wallet.books.funds import available_of
from wallet.charges import debits, deductions
from wallet.history import spending, statements
from wallet.models import Entry, TopUp
from wallet.pages import chart, tables
from wallet.prices import rates

HTML_BYTES_MAX, SCRIPT_BYTES_MAX = 150_000, 100_000

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana(article_rate, give):
    """A user with a little of everything."""
    user = UserFactory.create(name="Dana")
    give(user.pk, 50)
    charge(user.pk, count=3)
    failed = charge(user.pk, count=2)
    by_hand.give_back(entry=failed, reason="The work failed", key="failed", actor="user:staff:1")
    charge(user.pk, feature="mail.send", product="mail")
    return user


def charge(user_id, *, feature="blog.article.generate", product="blog", count=1):
    service = ServiceKey(product=product, prefix="test")
    return deductions.deduct(service=service, user_id=user_id, feature=feature, count=count).entry


def charge_many(user_id, times):
    for _ in range(times):
        charge(user_id)


# --- Who sees it ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/wallet", "/wallet/statements", "/wallet/statements/2026-10", "/wallet/history.csv"]
)
def test_a_page_is_shown_to_signed_in_users_only(client, path):
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in?next=/wallet")


def test_a_user_sees_nothing_of_another_user(dana, give):
    stranger = browser_of()
    give("usr_other", 77)
    shown = words(stranger.get("/wallet"))
    assert "Your balance 0 credits" in shown
    assert "77" not in shown
    assert "Generate an article" in shown  # In the list of prices alone.
    assert "History" not in shown


def test_no_cache_on_the_way_keeps_it(dana):
    assert "no-store" in browser_of(dana).get("/wallet")["Cache-Control"]


def test_it_is_read_only(dana):
    assert browser_of(dana).post("/wallet").status_code == 405


def test_the_old_address_leads_to_it_and_keeps_the_query(client):
    answer = client.get("/dashboard/wallet?returnTo=https%3A%2F%2Fwww.misar.io%2Fx&a=b")
    assert answer.status_code == 302
    assert answer["Location"] == "/wallet?returnTo=https%3A%2F%2Fwww.misar.io%2Fx&a=b"


# --- The balance ------------------------------------------------------------------------------------


def test_the_balance_is_the_ledgers(dana):
    assert f"Your balance {available_of(dana.pk)} credits" in words(browser_of(dana).get("/wallet"))


def test_one_credit_is_written_in_the_singular(give):
    user = UserFactory.create()
    give(user.pk, 1)
    assert "Your balance 1 credit One" in words(browser_of(user).get("/wallet"))


def test_a_debt_is_named_before_the_button_that_pays(give):
    user = UserFactory.create()
    leave_owing(give, user.pk, 12)
    shown = words(browser_of(user).get("/wallet"))
    assert "−12 credits" in shown
    debt = shown.index("You owe 12 credits. The first $12 of your next top-up will settle this.")
    assert debt < shown.index("Pay $25")


@pytest.mark.parametrize(
    ("owed", "amount", "own_amount"),
    [(1, "10", ""), (10, "10", ""), (12, "25", ""), (100, "100", ""), (101, "other", "101")],
)
def test_a_debt_has_an_amount_chosen_that_settles_it(give, owed, amount, own_amount):
    user = UserFactory.create()
    leave_owing(give, user.pk, owed)
    html = browser_of(user).get("/wallet").content.decode()
    assert f'value="{amount}"' in html.partition("checked")[0].rpartition("<input")[2]
    typed = matched(r'<input type="text" name="own_amount"[^>]*>', html)[0]
    assert (f'value="{own_amount}"' in typed) == bool(own_amount)


def test_a_debts_link_shows_the_reversed_payments_and_keeps_the_rest_of_the_address(give):
    user = UserFactory.create()
    leave_owing(give, user.pk, 12)
    answer = browser_of(user).get("/wallet?returnTo=/docs&range=90d&kind=charges&product=blog")
    address = link(answer, "See what was taken back")
    assert address == "/wallet?returnTo=%2Fdocs&range=90d&kind=payments#history"


def test_a_top_up_of_this_page_is_the_wallets_own(dana):
    move(dana.pk, 5, product="wallet")
    rows = table(browser_of(dana).get("/wallet?product=wallet"), "history_title")
    assert [row[1] for row in rows] == ["Wallet"]


def test_a_new_user_reads_what_will_be_here():
    answer = browser_of().get("/wallet")
    shown = words(answer)
    assert "No credits yet" in shown
    assert "data-chart" not in answer.content.decode()
    assert "Pay $25" in shown


def test_a_payment_on_its_way_is_listed_whatever_the_address(dana):
    TopUp.objects.create(user_id=dana.pk, state="pending", amount_cents=5000, stripe_session_id="cs_p")
    TopUp.objects.create(user_id="usr_other", state="pending", amount_cents=7000, stripe_session_id="cs_q")
    shown = words(browser_of(dana).get("/wallet?range=12m"))
    assert "$50.00 is on its way" in shown
    assert "$70.00" not in shown


def test_what_things_cost_lists_the_active_rates(dana):
    rates.set_rate(feature="old.thing", label="Old thing", credits=5, unit="thing", active=False, actor="t")
    rates.set_rate(feature="reach.send", label="Send a campaign", credits=2, unit="campaign", actor="t")
    rows = table(browser_of(dana).get("/wallet"), "rates")
    assert ["Send a campaign", "2 credits per campaign"] in rows
    assert "Old thing" not in [row[0] for row in rows]


# --- The days ---------------------------------------------------------------------------------------


def chart_of(answer):
    """The points of the chart: day and balance."""
    html = answer.content.decode()
    figure = matched(r"(?s)<figure.*?</figure>", html)[0]
    return re.findall(
        r'<time datetime="([\d-]+)">.*?<td data-label="Balance" class="number">(.*?)</td>', figure
    )


@pytest.mark.parametrize(("range_", "days", "points"), [("30d", 30, 30), ("90d", 90, 90), ("12m", 365, 53)])
def test_the_chart_holds_the_closing_balances_of_its_days(dana, range_, days, points):
    backdate(dana.pk, days=40)
    charge(dana.pk)
    shown = chart_of(browser_of(dana).get(f"/wallet?range={range_}"))
    today = chart.today()
    closing = statements.closing_balances(
        user_id=dana.pk, first_day=today - timedelta(days=days - 1), last_day=today
    )
    balances = {f"{each.day}": f"{each.balance}" for each in closing}
    assert len(shown) == points
    assert all(balances[day] == balance for day, balance in shown)
    assert shown[-1] == (f"{today}", f"{available_of(dana.pk)}")


@pytest.mark.parametrize(("range_", "drawn"), [("90d", "steps"), ("12m", "line")])
def test_what_the_sentence_says_is_in_the_picture(dana, give, range_, drawn):
    backdate(dana.pk, days=3)  # Between the ends of two weeks: the year's picture has no point there.
    html = browser_of(dana).get(f"/wallet?range={range_}").content.decode()
    assert f'data-chart="{drawn}"' in html
    sentence = matched(r"data-chart-sentence>(.*?)</p>", html)[1]
    lowest, highest = map(int, matched(r"lowest (\d+), highest (\d+)", sentence).groups())
    balances = [
        int(balance) for _, balance in re.findall(r'<time datetime="([\d-]+)">.*?number">(\d+)</td>', html)
    ]
    assert (lowest, highest) == (min(balances), max(balances))


def backdate(user_id, *, days):
    """Move the entries that a wallet has so far into the past; only tests may."""
    with resting_triggers():
        then = timezone.now() - timedelta(days=days)
        sql("UPDATE wallet_entry SET created_at = %s WHERE wallet_id = %s", then, user_id)


@pytest.mark.parametrize("range_", ["", "7d", "30d'", "12m&range="])
def test_an_unknown_range_is_the_usual_one(dana, range_):
    assert len(chart_of(browser_of(dana).get(f"/wallet?range={range_}"))) == 30


def test_spending_is_what_was_charged_less_what_was_given_back(dana):
    rows = table(browser_of(dana).get("/wallet"), "spending")
    assert [row[:4] for row in rows] == [
        ["Generate an article", "MisarBlog", rows[0][2], "3"],
        ["Send emails (per 1,000)", "MisarMail", "1,000 emails", "1"],
    ]
    assert sum(int(row[4].rstrip("%")) for row in rows) == 100


def test_many_features_end_in_one_row_and_the_total_is_of_all(give):
    user = UserFactory.create()
    give(user.pk, 1000)
    for number in range(30):
        feature = f"many.{number:02d}"
        rates.set_rate(feature=feature, label=f"Thing {number}", credits=number + 1, unit="thing", actor="t")
        charge(user.pk, feature=feature, product="many")
    answer = browser_of(user).get("/wallet")
    rows = table(answer, "spending")
    assert len(rows) == 21
    assert rows[-1][:4] == ["10 more", "", "", "55"]
    assert "Total 465" in words(answer)
    assert sum(int(row[4].rstrip("%")) for row in rows) == 100


def test_days_without_spending_say_so(give):
    user = UserFactory.create()
    give(user.pk, 10)
    assert "Nothing was spent in the last 30 days." in words(browser_of(user).get("/wallet"))


# --- The history ------------------------------------------------------------------------------------


def test_the_history_is_every_entry_newest_first(dana):
    rows = table(browser_of(dana).get("/wallet"), "history_title")
    entries = statements.page(user_id=dana.pk, limit=25).entries
    assert [(row[3], row[4]) for row in rows] == [
        (f"{entry.credits:+}".replace("-", "−"), f"{entry.balance_after}") for entry in entries
    ]
    assert [row[0] for row in rows] == [
        "Send emails × 1,000",
        rows[1][0],
        "Generate an article × 2",
        "Generate an article × 3",
        "Top-up",
    ]
    assert rows[1][0].startswith("Given back: Generate an article")
    assert "The work failed" not in rows[1][0]  # Staff's reason is for staff.


def test_every_kind_of_entry_has_words_and_one_filter():
    in_groups = [kind for _, kinds in tables.KIND_GROUPS.values() for kind in kinds]
    assert sorted(in_groups) == sorted(Entry.Kind.values) == sorted(tables.KIND_NAMES)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=top-ups", ["Top-up"]),
        ("kind=charges", ["Send emails × 1,000", "Generate an article × 2", "Generate an article × 3"]),
        ("product=mail", ["Send emails × 1,000"]),
        ("feature=mail.send", ["Send emails × 1,000"]),
        ("kind=charges&product=blog", ["Generate an article × 2", "Generate an article × 3"]),
    ],
)
def test_filters_narrow_it(dana, query, expected):
    rows = table(browser_of(dana).get(f"/wallet?{query}"), "history_title")
    assert [row[0] for row in rows] == expected


def test_days_narrow_it_and_both_ends_count(dana):
    backdate(dana.pk, days=10)
    charge(dana.pk)
    browser, today = browser_of(dana), chart.today()
    then = today - timedelta(days=10)
    assert len(table(browser.get(f"/wallet?from={today}"), "history_title")) == 1
    assert len(table(browser.get(f"/wallet?from={then}&to={then}"), "history_title")) == 5
    assert len(table(browser.get(f"/wallet?from={then}&to={today}"), "history_title")) == 6


def test_filters_that_fit_nothing_say_so(dana):
    shown = words(browser_of(dana).get("/wallet?from=2001-01-01&to=2001-01-02"))
    assert "No entries match these filters." in shown


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("kind=nonsense", "Your history has no such entry. This filter is not applied."),
        ("product=unheard", "Your history has no such entry. This filter is not applied."),
        ("feature=" + "x" * 2000, "Your history has no such entry. This filter is not applied."),
        ("from=yesterday", "Enter a date such as 2026-10-31. This filter is not applied."),
        ("to=2026-13-01", "Enter a date such as 2026-10-31. This filter is not applied."),
        ("from=0001-01-01", "Enter a date between 2000 and 2999. This filter is not applied."),
        ("to=9999-12-31", "Enter a date between 2000 and 2999. This filter is not applied."),
        ("from=2026-02-02&to=2026-02-01", "The last day comes before the first. This filter is not applied."),
    ],
)
def test_a_wrong_filter_is_named_and_not_applied(dana, query, sentence):
    answer = browser_of(dana).get(f"/wallet?{query}")
    assert answer.status_code == 200
    assert sentence in words(answer)


def test_a_day_that_is_none_is_not_put_into_the_field_for_days(dana):
    html = browser_of(dana).get("/wallet?from=yesterday&to=2026-02-01").content.decode()
    fields = re.findall(r'<input type="date"[^>]*>', html)
    assert ["yesterday" in each for each in fields] == [False, False]
    assert 'value="2026-02-01"' in fields[1]


@pytest.mark.parametrize(
    "query", ["kind=%ff", "cursor=%F0%9F", "range[]=1", "product=a&product=b", "cursor=" + "A" * 5000]
)
def test_nonsense_in_the_address_is_no_error(dana, query):
    assert browser_of(dana).get(f"/wallet?{query}").status_code == 200


def test_pages_of_25_lead_on_and_back_and_keep_the_filters(article_rate, give):
    user = UserFactory.create()
    give(user.pk, 100)
    charge_many(user.pk, 60)
    browser = browser_of(user)
    seen = []
    answer = browser.get("/wallet?kind=charges&range=90d&returnTo=https://www.misar.io/x")
    assert ">Newest<" not in answer.content.decode()
    for length in (25, 25, 10):
        rows = table(answer, "history_title")
        assert len(rows) == length
        seen += [int(row[4]) for row in rows]
        if length == 25:
            older = link(answer, "Older")
            assert "range=90d" in older
            assert "returnTo=https%3A%2F%2Fwww.misar.io%2Fx" in older
            answer = browser.get(older)
    assert seen == list(range(40, 100))
    assert ">Older<" not in answer.content.decode()
    newest = browser.get(link(answer, "Newest"))
    assert [int(row[4]) for row in table(newest, "history_title")] == seen[:25]


def test_a_cursor_of_another_wallet_shows_the_newest_and_says_so(dana, article_rate, give):
    other = UserFactory.create()
    give(other.pk, 100)
    charge_many(other.pk, 30)
    theirs = statements.page(user_id=other.pk, limit=25).next_cursor
    answer = browser_of(dana).get(f"/wallet?cursor={theirs}")
    assert "That page no longer exists; these are the newest entries." in words(answer)
    assert len(table(answer, "history_title")) == 5


# --- Back to the page that the user came from -------------------------------------------------------


@pytest.mark.parametrize(
    ("return_to", "name"),
    [
        ("https://www.misar.io/posts/1?tab=a", "misar.io"),
        ("https://someone.misar.blog/", "someone.misar.blog"),
        ("/docs", "Misar"),
    ],
)
def test_the_way_back_is_a_link(return_to, name):
    answer = browser_of().get("/wallet", {"returnTo": return_to})
    assert link(answer, f"Back to {name}") == return_to


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example/",
        "javascript:alert(1)",
        "//evil.example",
        "/\\evil.example",
        "https://misar.io@evil.example/",
        "https://misar.io.evil.example/",
        "http://www.misar.io/",
        "data:text/html,x",
        '"><script>alert(1)</script>',
    ],
)
def test_a_way_to_somewhere_else_is_ignored(dana, return_to):
    html = browser_of(dana).get("/wallet", {"returnTo": return_to}).content.decode()
    assert "Back to" not in html
    assert "evil" not in html
    assert "returnTo" not in html
    assert "alert(1)" not in html


def test_it_is_kept_through_every_link_and_form(dana):
    html = browser_of(dana).get("/wallet?returnTo=/docs&kind=charges").content.decode()
    assert html.count("returnTo=%2Fdocs") >= 5  # Ranges, the form that pays, everything again.
    assert '<input type="hidden" name="returnTo" value="/docs">' in html


# --- Hostile text, and sizes ------------------------------------------------------------------------

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>&lt;'


def test_text_of_services_and_staff_stays_text(give):
    user = UserFactory.create(name=HOSTILE)
    give(user.pk, 50)
    rates.set_rate(feature=HOSTILE[:90], label=HOSTILE, credits=1, unit=HOSTILE, actor="t")
    charge(user.pk, feature=HOSTILE[:90], product=HOSTILE[:100])
    by_hand.adjust(user_id=user.pk, credits=1, reason=HOSTILE, key="k", actor="user:staff:1")
    for path in ("/wallet", f"/wallet/statements/{chart.today():%Y-%m}"):
        answer = browser_of(user).get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.content.decode()
        assert "<img" not in answer.content.decode()
        assert HOSTILE in words(answer)


def test_nothing_on_the_page_is_inline(dana):
    html = browser_of(dana).get("/wallet?wallet_topup=success&returnTo=/docs").content.decode()
    assert not re.search(
        r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\bsrc=\"/static/)[^>]*>", html
    )
    assert not re.search(r"(src|href)=\"(https?:)?//", html)


@pytest.mark.parametrize("range_", ["30d", "90d", "12m"])
def test_the_page_stays_small_with_much_to_show(give, range_):
    user = UserFactory.create()
    give(user.pk, 100_000)
    for number in range(110):
        feature = f"{number:03d}." + "f" * 90
        rates.set_rate(
            feature=feature, label="L" * 100, credits=1, unit="unit", active=number < 20, actor="t"
        )
        with_entry(user.pk, feature=feature, product=f"{number:03d}." + "p" * 90)
    answer = browser_of(user).get(f"/wallet?range={range_}")
    assert len(answer.content) < HTML_BYTES_MAX


def with_entry(user_id, *, feature, product):
    """A charge of a feature that may not be active any more."""
    debits.debit(
        user_id=user_id,
        credits=1,
        kind=Entry.Kind.DEDUCT,
        actor="t",
        feature=feature,
        count=1,
        product=product,
        idempotency_key="",
    )


def test_all_scripts_of_the_page_together_stay_small(dana):
    html = browser_of(dana).get("/wallet").content.decode()
    scripts = re.findall(r'<script src="/static/([^"]+)"', html)
    scripts += matched(r'data-later="([^"]+)"', html)[1].replace("/static/", "").split()
    assert len(scripts) == 8  # With the two style sheets of the charts.
    assert sum((ROOT / "static" / each).stat().st_size for each in scripts) < SCRIPT_BYTES_MAX


def test_the_number_of_queries_does_not_grow_with_the_history(
    article_rate, give, django_assert_max_num_queries
):
    user = UserFactory.create()
    give(user.pk, 200)
    charge_many(user.pk, 80)
    browser = browser_of(user)
    with django_assert_max_num_queries(20):
        browser.get("/wallet?range=12m")


def test_a_user_with_an_odd_id_sees_their_wallet(give):
    user = UserFactory.create(misar_id='usr "<b>ü/../?#')
    give(user.pk, 5)
    assert "Your balance 5 credits" in words(browser_of(user).get("/wallet"))


def test_figures_agree_with_the_sum_of_the_rows(dana):
    """Spending of the table and the entries of the history come to the same."""
    spent = spending.by_feature(user_id=dana.pk, first_day=chart.today(), last_day=chart.today())
    moved = Entry.objects.filter(wallet_id=dana.pk, kind__in=["deduct", "refund"]).values_list(
        "credits", flat=True
    )
    assert sum(each.credits for each in spent) == -sum(moved)


def test_a_client_without_a_session_is_led_to_the_sign_in_and_back():
    answer = Client().get("/wallet?returnTo=/docs")
    assert "returnTo" in answer["Location"]
