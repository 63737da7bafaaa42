"""A statement as a file has the figures of its page, and every entry."""

import csv
import io
import os
import re
from datetime import UTC, datetime

import pytest

from tests.factories import UserFactory
from tests.html import browser_of, table, words
from tests.wallet.entries import move, sql
from tests.wallet.pages.papers import text_of
from wallet.history import statements

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana():
    """A user with 120 entries in October 2026, and an entry on each side."""
    user = UserFactory.create(misar_id="usr_dana", name="Dana Demo")
    sql(
        "INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at) VALUES (%s, 0, 0, now())",
        user.pk,
    )
    entries = [(datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC), 8000)]
    entries += [
        (datetime(2026, 10, 1 + number // 4, number % 24, tzinfo=UTC), 40 if number % 7 == 0 else -1 - number)
        for number in range(120)
    ]
    for day, credits in (*entries, (datetime(2026, 11, 1, tzinfo=UTC), -3)):
        move(user.pk, credits, created_at=day, effective_at=day, reason="Moved")
    return user


def pdf(browser, month="2026-10"):
    answer = browser.get(f"/wallet/statements/{month}.pdf")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert answer["Content-Disposition"] == f'attachment; filename="wallet-statement-{month}.pdf"'
    return text_of(answer.content)


def figures(text):
    """Opening, added, taken, closing: of the page, and of the file, which has them under their names."""
    if "Opening balance Added Taken Closing balance" in text:
        rest = text.partition("Opening balance Added Taken Closing balance ")[2]
        return re.findall(r"([+−]?[\d,]+) credits?", rest)[:4]
    names = ("Opening balance", "Added", "Taken", "Closing balance")
    return [text.partition(f"{name} ")[2].split()[0] for name in names]


def test_the_file_has_the_figures_and_the_entries_of_the_page(dana):
    browser = browser_of(dana)
    page, file = browser.get("/wallet/statements/2026-10"), pdf(browser)
    assert figures(file) == figures(words(page))
    rows = table(page, "lines")
    assert len(rows) == 120
    for what, _, when, credits, balance in rows:
        assert f"{what} {when} {credits} {balance}" in file
    for kind, entries, credits in table(page, "by_kind"):
        assert f"{kind} {entries} {credits}" in file
    assert "1 October to 31 October 2026, days in UTC." in file
    assert "Page 1 of" in file


def test_with_too_many_entries_the_file_has_the_days_of_the_page(dana, monkeypatch):
    monkeypatch.setattr(statements, "ENTRIES_SHOWN_MAX", 50)
    browser = browser_of(dana)
    page, file = browser.get("/wallet/statements/2026-10"), pdf(browser)
    rows = table(page, "lines")
    assert len(rows) == 30
    for row in rows:
        assert " ".join(cell for cell in row if cell) in file
    assert "This month has 120 entries, so this table sums them up by day." in file


def test_the_csv_file_has_every_entry_of_the_month_and_no_other(dana, monkeypatch):
    monkeypatch.setattr(statements, "ENTRIES_SHOWN_MAX", 50)
    browser = browser_of(dana)
    answer = browser.get("/wallet/statements/2026-10.csv")
    assert answer.streaming
    assert answer["Content-Disposition"] == 'attachment; filename="wallet-statement-2026-10.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert len(rows) == 120
    opening, _, _, closing = (
        int(figure.replace(",", "").replace("−", "-"))
        for figure in figures(words(browser.get("/wallet/statements/2026-10")))
    )
    assert opening + sum(int(row["credits"]) for row in rows) == closing == int(rows[0]["balance_after"])


def test_a_month_without_entries_has_files_too(dana):
    browser = browser_of(dana)
    assert "No entries in this month." in pdf(browser, "2026-08")
    assert browser.get("/wallet/statements/2026-08.csv").getvalue().count(b"\r\n") == 1


def test_files_are_of_the_one_who_is_signed_in(dana):
    stranger = browser_of()
    assert "No entries in this month." in pdf(stranger)
    assert stranger.get("/wallet/statements/2026-10.csv").getvalue().count(b"\r\n") == 1
    for path in ("/wallet/statements/2999-01.pdf", "/wallet/statements/2026-13.csv"):
        assert stranger.get(path).status_code == 404


def test_a_file_of_the_same_minute_is_the_same_file(dana, monkeypatch):
    browser, at = browser_of(dana), datetime(2026, 11, 30, 12, tzinfo=UTC)
    monkeypatch.setattr("django.utils.timezone.now", lambda: at)
    one, other = (browser.get("/wallet/statements/2026-10.pdf").content for _ in range(2))
    assert one == other


@pytest.mark.slow
def test_the_longest_file_takes_a_bounded_time(dana):
    for number in range(180):
        day = datetime(2026, 11, 2 + number // 8, number % 24, tzinfo=UTC)
        move(dana.pk, -1, created_at=day, effective_at=day, reason="Moved")
    browser, begun = browser_of(dana), processor_seconds()
    assert "Every entry" in pdf(browser, "2026-11")
    assert processor_seconds() - begun < 5


def processor_seconds() -> float:
    """What this process and the children that have ended have used so far. A busy machine gives it slowly."""
    return sum(os.times()[:4])
