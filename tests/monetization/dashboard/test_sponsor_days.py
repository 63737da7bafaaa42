"""The sponsors page by days: first and last day, exact times, known sponsors, logos, and other weeks."""

from datetime import UTC, datetime
from typing import Any

import pytest

from monetization.models import Sponsor
from tests.html import browser_of, link, table, words
from tests.monetization.dashboard.list_pages import file_of
from tests.monetization.dashboard.sponsor_pages import ADD, LIST, edit_of, fields, seen_by
from tests.monetization.records import NOON, days, place, upcoming
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(creator):
    return browser_of(creator)


def rows_of(answer):
    return table(answer, "list_title")


def test_days_are_whole_and_times_are_exact(creator, page):
    page.post(ADD, fields(first_day="2030-12-03", last_day="2030-12-09"))
    placed = Sponsor.objects.get()
    assert placed.active_from == datetime(2030, 12, 3, tzinfo=UTC)
    assert placed.active_until == datetime(2030, 12, 10, tzinfo=UTC)
    exact = fields(first_day="2030-12-03", last_day="2030-12-03", starts_at="09:30", ends_at="18:00:01")
    page.post(edit_of(placed), exact | seen_by(page, placed))
    placed.refresh_from_db()
    assert placed.active_from == datetime(2030, 12, 3, 9, 30, tzinfo=UTC)
    assert placed.active_until == datetime(2030, 12, 3, 18, 0, 1, tzinfo=UTC)
    form = page.get(edit_of(placed)).content.decode()
    assert '<details class="exact-times" open>' in form
    assert 'name="starts_at" value="09:30"' in form
    assert 'name="ends_at" value="18:00:01"' in form
    assert rows_of(page.get(LIST))[0][3] == "3 Dec 2030, 09:30 – 3 Dec 2030, 18:00:01"


def test_a_form_sent_as_it_was_shown_changes_nothing(creator, page):
    for ends in (datetime(2030, 12, 10, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)):
        sponsor = place(creator, starts=datetime(2030, 1, 1, 0, 0, 1, tzinfo=UTC), ends=ends, price_cents=0)
        before = Sponsor.objects.values().get(pk=sponsor.pk)
        form = page.get(edit_of(sponsor)).context["form"]
        sent = {name: form[name].value() or "" for name in form.fields if name != "key"}
        assert page.post(edit_of(sponsor), sent).status_code == 302
        assert Sponsor.objects.values().get(pk=sponsor.pk) == before


def test_the_form_offers_known_sponsors_and_currencies(creator, page, stranger):
    for number, target in enumerate(("https://old.example", "https://new.example")):
        begins = NOON + days(9 * number)
        upcoming_facts: dict[str, Any] = {"starts": begins, "price_cents": 100, "currency": "JPY"}
        Sponsor.objects.filter(pk=place(creator, "Acme", **upcoming_facts).pk).update(target_url=target)
    place(stranger, "Secret Sauce")
    html = page.get(ADD).content.decode()
    assert html.count('<option value="Acme"') == 1
    assert 'data-target_url="https://new.example" data-logo_url="https://cdn.example.com/logo.png"' in html
    assert "Secret Sauce" not in html
    assert '<optgroup label="Used so far">' in html
    assert '<option value="JPY" selected>' in html
    assert '<option value="KWD">' in html


def test_the_list_can_be_searched_by_name(creator, page):
    for name in ("Acme Corp", "Globex", "100% Acme"):
        upcoming(creator, name)

    def found(query):
        names = (
            row[0].partition(" acme.example.com")[0] for row in rows_of(page.get(f"{LIST}?sponsor={query}"))
        )
        return set(names)

    assert found("acme") == {"Acme Corp", "100% Acme"}
    assert found("100%25") == {"100% Acme"}
    assert "No placement fits these filters." in words(page.get(f"{LIST}?sponsor=_cme"))
    assert [row["sponsor_name"] for row in file_of(page.get(f"{LIST}.csv?sponsor=glob"))] == ["Globex"]


def test_logos_are_shown_on_the_list_alone(creator, page):
    sponsor = upcoming(creator, "Acme & Sons")
    Sponsor.objects.filter(pk=upcoming(creator, "Odd").pk).update(logo_url="http://odd.example/a.png")
    answer = page.get(LIST)
    html = answer.content.decode()
    assert "img-src 'self' data: https:;" in answer["Content-Security-Policy"] + ";"
    assert html.count("<img") == 1
    assert '<img src="https://cdn.example.com/logo.png" alt=""' in html
    assert 'referrerpolicy="no-referrer"' in html
    assert 'data-initials="A&amp;"' in html
    for path in (ADD, edit_of(sponsor), "/dashboard", "/dashboard/tips"):
        assert "img-src 'self' data:;" in page.get(path)["Content-Security-Policy"] + ";"


def test_the_list_turns_to_other_weeks_and_keeps_its_filters(creator, page):
    upcoming(creator)
    answer = page.get(f"{LIST}?position=header&weeks=6")
    assert link(answer, "Later") == "?position=header&weeks=12#weeks"
    assert link(answer, "Earlier") == "?position=header&weeks=0#weeks"
    assert link(answer, "This week") == "?position=header#weeks"
    assert "All three positions are free in these weeks." in words(answer)
    assert "All three positions are free" not in words(page.get(f"{LIST}?weeks=nonsense"))


def test_the_totals_are_those_of_a_separate_query(creator, page, stranger):
    for number in range(55):  # More than one page.
        place(creator, f"Acme {number}", starts=NOON + days(number), price_cents=100 + number, currency="USD")
    upcoming(creator, "Acme in yen", price_cents=500, currency="JPY")
    upcoming(creator, "Acme for nothing")
    gone = upcoming(creator, "Acme no more", price_cents=7, currency="JPY")
    upcoming(creator, "Globex", price_cents=9_999)
    upcoming(stranger, "Acme of another", price_cents=9_999)
    Sponsor.objects.filter(pk=gone.pk).update(cancelled_at=NOON)
    expected = sql(
        """
        SELECT currency, count(*)::text, count(cancelled_at)::text,
               to_char(coalesce(sum(price_cents) FILTER (WHERE cancelled_at IS NULL), 0)
                       / CASE currency WHEN 'JPY' THEN 1.0 ELSE 100.0 END,
                       CASE currency WHEN 'JPY' THEN 'FM999990' ELSE 'FM999990.00' END)
          FROM monetization_sponsor WHERE creator_id = %s AND sponsor_name LIKE 'Acme%%'
         GROUP BY currency ORDER BY currency
        """,
        creator.pk,
    )
    found = table(page.get(f"{LIST}?sponsor=acme"), "totals")
    assert [tuple(row) for row in found] == expected
    assert len(expected) == 2


def test_the_list_is_sorted_by_name_and_by_days(creator, page):
    for name, first in (("Globex", 3), ("Acme", 9), ("Initech", 6)):
        place(creator, name, starts=NOON + days(365 * 100 + first))

    def names(query):
        return [row[0].split()[0] for row in rows_of(page.get(f"{LIST}{query}"))]

    assert names("") == names("?sort=-from") == ["Acme", "Initech", "Globex"]
    assert names("?sort=from") == names("?state=upcoming") == ["Globex", "Initech", "Acme"]
    assert names("?state=upcoming&sort=-from") == ["Acme", "Initech", "Globex"]
    assert names("?sort=name") == ["Acme", "Globex", "Initech"]
    assert names("?sort=-name") == ["Initech", "Globex", "Acme"]
    assert link(page.get(LIST), "Days") == f"{LIST}?sort=from"
    assert link(page.get(f"{LIST}?state=upcoming"), "Days") == f"{LIST}?state=upcoming&sort=-from"


def test_the_last_placement_of_the_calendar_can_be_copied(creator, page):
    placed = place(
        creator, starts=datetime(9998, 12, 31, tzinfo=UTC), ends=datetime(9999, 12, 31, tzinfo=UTC)
    )
    assert page.get(f"{ADD}?copy={placed.pk}").status_code == 200
