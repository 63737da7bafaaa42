"""On a tip's page: the subscriptions of its reader to this creator."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monetization.dashboard.tips.views import SUBSCRIPTIONS_MAX
from monetization.privacy import erasure
from tests.html import browser_of, table, words
from tests.monetization.dashboard.test_overview_cost import analyze, fill, nodes
from tests.monetization.records import NOON, change, clock_at, days, subscribe, tip
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db

TITLE = "Subscriptions of this reader"


def page_of(creator, one):
    return browser_of(creator).get(f"/dashboard/tips/{one.pk}")


@pytest.mark.parametrize("written", ["zoe@bücher.example", "ZOE@xn--bcher-kva.example"])
def test_a_tip_shows_its_readers_subscriptions_in_any_spelling(creator, stranger, written):
    with clock_at(NOON):
        old = subscribe(creator, "Zoe@Bücher.example", "monthly", 799)
        change(old, status="cancelled")
    with clock_at(NOON + days(1)):
        new = subscribe(creator, "zoe@bücher.example", "annual", 7900, currency="EUR")
    subscribe(creator, "other@example.com")
    subscribe(stranger, "zoe@bücher.example")
    answer = page_of(creator, tip(creator, email=written))
    assert table(answer, "subscriptions") == [
        ["annual", "Active", "16 Jun 2026", "79.00 EUR"],
        ["monthly", "Cancelled", "15 Jun 2026", "7.99 USD"],
    ]
    assert f'<a href="/dashboard/subscriptions/{new.pk}"><bdi>annual</bdi></a>' in answer.content.decode()


def test_without_an_address_or_a_subscription_there_is_no_such_part(creator):
    subscribe(creator, "other@example.com")
    for email in ("", "alex@example.com"):
        assert TITLE not in words(page_of(creator, tip(creator, email=email)))


def test_an_erased_readers_records_are_not_brought_together(creator):
    subscribe(creator, "alex@example.com")
    one = tip(creator, email="alex@example.com")
    assert TITLE in words(page_of(creator, one))
    erasure.erase("alex@example.com", actor="operator")
    assert TITLE not in words(page_of(creator, one))


def test_only_the_newest_are_read_and_by_the_index(creator):
    fill(creator, 3000)
    for _ in range(SUBSCRIPTIONS_MAX + 2):
        subscribe(creator, "alex@example.com")
    analyze()
    one = tip(creator, email="alex@example.com")
    with CaptureQueriesContext(connection) as captured:
        answer = page_of(creator, one)
    assert len(table(answer, "subscriptions")) == SUBSCRIPTIONS_MAX
    [query] = [each["sql"] for each in captured if each["sql"].endswith(f"LIMIT {SUBSCRIPTIONS_MAX}")]
    [[plan]] = sql(f"EXPLAIN (FORMAT JSON) {query.replace('%', '%%')}")
    [explained] = plan if isinstance(plan, list) else json.loads(plan)
    assert "monetization_sub_payer" in {node.get("Index Name") for node in nodes(explained["Plan"])}
