"""The history as a file: every entry under the page's filters, and nothing that a spreadsheet would run."""

import csv
import io
from datetime import datetime

import pytest

from tests.factories import UserFactory
from tests.html import browser_of, link
from tests.wallet import by_hand
from wallet.books.funds import available_of
from wallet.charges import debits
from wallet.models import Entry
from wallet.pages import chart

HEADER = "id time type credits balance_after feature count product stripe_session_id reason".split()

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana(give):
    """A user with a top-up, three charges, and one of them given back."""
    user = UserFactory.create(misar_id="usr_dana")
    give(user.pk, 50, session_id="cs_dana")
    charges = [charge(user.pk, credits) for credits in (1, 2, 3)]
    by_hand.give_back(entry=charges[1], reason="The work\nfailed", key="k", actor="user:staff:1")
    return user


def charge(user_id, credits, *, product="blog", feature="blog.article"):
    return debits.debit(
        user_id=user_id,
        credits=credits,
        kind=Entry.Kind.DEDUCT,
        actor="service:test",
        feature=feature,
        count=credits,
        product=product,
    )


def read(answer):
    """The lines of the file as a spreadsheet reads them."""
    text = b"".join(answer.streaming_content).decode().removeprefix("\ufeff")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == HEADER
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_it_holds_every_entry_newest_first(dana):
    answer = browser_of(dana).get("/wallet/history.csv")
    rows = read(answer)
    entries = list(Entry.objects.of_user(dana.pk))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert len(rows) == len(entries) == 5
    for row, entry in zip(rows, entries, strict=True):
        assert row["id"] == entry.pk
        assert row["type"] == entry.kind
        assert (int(row["credits"]), int(row["balance_after"])) == (entry.credits, entry.balance_after)
        assert (row["feature"], row["product"]) == (entry.feature, entry.product)
        assert row["count"] == ("" if entry.count is None else str(entry.count))
        assert row["stripe_session_id"] == entry.stripe_session_id
        assert datetime.fromisoformat(row["time"]) == entry.created_at.replace(microsecond=0)
    assert sum(int(row["credits"]) for row in rows) == available_of(dana.pk)


def test_the_link_of_the_page_keeps_its_filters(dana):
    browser = browser_of(dana)
    address = link(browser.get("/wallet?kind=charges&range=90d&returnTo=/docs"), "Download CSV")
    assert address == "/wallet/history.csv?kind=charges"
    assert [row["type"] for row in read(browser.get(address))] == ["deduct"] * 3


def test_a_wrong_filter_leads_to_the_page_that_names_it(dana):
    answer = browser_of(dana).get("/wallet/history.csv?kind=nonsense")
    assert answer.status_code == 302
    assert answer["Location"] == "/wallet?kind=nonsense#history"


def test_it_holds_no_other_users_entries(dana, give):
    other = UserFactory.create()
    give(other.pk, 7)
    assert [row["credits"] for row in read(browser_of(other).get("/wallet/history.csv"))] == ["7"]


def test_without_entries_it_is_its_header():
    assert read(browser_of().get("/wallet/history.csv")) == []


def test_its_name_holds_nothing_that_could_be_more_than_a_name(give):
    user = UserFactory.create(misar_id='../../a "b"\\c;ü<x>')
    give(user.pk, 1)
    answer = browser_of(user).get("/wallet/history.csv")
    assert answer["Content-Disposition"] == f'attachment; filename="wallet-a-b-c-x-{chart.today()}.csv"'


@pytest.mark.parametrize("product", ["=1+1", "+cmd", "-2", "@SUM(A1)", "＝1", '"quoted", and more'])
def test_text_that_a_spreadsheet_would_run_is_only_text(give, product):
    user = UserFactory.create()
    give(user.pk, 5)
    charge(user.pk, 1, product=product)
    newest = read(browser_of(user).get("/wallet/history.csv"))[0]
    assert newest["product"] in (product, f"’{product}")
    assert newest["product"][0] not in "=+-@＝"
    assert newest["credits"] == "-1"
