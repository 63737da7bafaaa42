"""The link to a creator's free days: what its page shows, whom it shows it to, and how it ends."""

import re
from datetime import UTC, date, datetime, timedelta

import hypothesis.strategies as st
import pytest
from django.test import Client
from hypothesis import given, settings

from accounts.throttling import hit
from monetization import sponsors
from monetization.dashboard.sponsors.free_slots import OPENED_PER_MINUTE
from monetization.free_slots import links
from monetization.free_slots.models import FreeSlotsLink
from monetization.free_slots.weeks import DAYS, free_weeks
from monetization.models import Sponsor
from tests.accounts.test_throttling import with_time_left
from tests.factories import UserFactory
from tests.html import browser_of, words
from tests.monetization.dashboard.list_pages import HOSTILE, is_text_only, requires_sign_in, strict_browser_of
from tests.monetization.records import NOON, clock_at, days, place
from tests.wallet.entries import sql

SHARE = "/dashboard/sponsors/free-slots"
REVOKE = f"{SHARE}/revoke"
MONDAY = datetime(2026, 6, 8, tzinfo=UTC)
WEDNESDAY = datetime(2026, 6, 10, 12, tzinfo=UTC)
# Written separately: the days that no placement touches.
FREE = """
SELECT position.name, day::date
  FROM (VALUES ('header'), ('footer'), ('inline')) AS position (name),
       generate_series(%s::date, %s::date, '1 day') AS day
 WHERE NOT EXISTS (
       SELECT FROM monetization_sponsor sponsor
        WHERE sponsor.creator_id = %s AND sponsor.position = position.name
          AND sponsor.cancelled_at IS NULL
          AND tstzrange(sponsor.active_from, sponsor.active_until) && tstzrange(
              day::timestamp AT TIME ZONE 'UTC', (day + interval '1 day')::timestamp AT TIME ZONE 'UTC'))
"""

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(creator):
    return browser_of(creator)


def token_of(creator):
    link = links.link_of(creator)
    assert link is not None
    return links.token_of(link)


def address_of(creator):
    return f"/free-slots/{token_of(creator)}"


def free_days(creator, at=WEDNESDAY):
    return {
        (each.position.value, day.day)
        for each in free_weeks(creator.pk, at=at)
        for week in each.weeks
        for day in week
        if day.is_free
    }


def spans(creator, position="header", at=WEDNESDAY):
    return next(each.spans for each in free_weeks(creator.pk, at=at) if each.position == position)


# --- Which days -------------------------------------------------------------------------------------


def test_twelve_weeks_begin_on_this_monday_and_what_is_past_is_not_free(creator):
    header, footer, inline = free_weeks(creator.pk, at=WEDNESDAY)
    assert [len(week) for week in header.weeks] == [7] * 12
    assert header.weeks[0][0].day == date(2026, 6, 8)
    assert [day.is_past for day in header.weeks[0]] == [True, True, *[False] * 5]
    assert header.spans == footer.spans == inline.spans == ["10 Jun – 30 Aug"]


def test_a_day_is_taken_if_a_placement_runs_in_any_part_of_it(creator, stranger):
    place(creator, "Acme", starts=MONDAY + days(7), ends=MONDAY + days(14))
    place(
        creator,
        "Globex",
        starts=MONDAY + days(16) + timedelta(hours=23),
        ends=MONDAY + days(17) + timedelta(seconds=1),
    )
    place(creator, "Later", starts=MONDAY + days(80), ends=MONDAY + days(900))
    place(creator, "Footer", starts=MONDAY - days(900), ends=MONDAY + days(900), position="footer")
    place(stranger, "Theirs", starts=MONDAY + days(20), ends=MONDAY + days(21))
    gone = place(creator, "Gone", starts=MONDAY + days(30), ends=MONDAY + days(40))
    with clock_at(WEDNESDAY):
        sponsors.cancel(creator=creator, sponsor_id=gone.pk)
    assert spans(creator) == ["10–14 Jun", "22–23 Jun", "26 Jun – 26 Aug"]
    assert spans(creator, "footer") == []
    assert spans(creator, "inline") == ["10 Jun – 30 Aug"]


def test_one_free_day_is_one_span(creator):
    place(creator, starts=MONDAY, ends=MONDAY + days(5))
    place(creator, starts=MONDAY + days(6), ends=MONDAY + days(DAYS))
    assert spans(creator) == ["13 Jun"]


PLACEMENTS = st.lists(
    st.tuples(
        st.integers(-100, 24 * 90),  # The hour at which it begins, counted from Monday.
        st.integers(1, 24 * 30),  # How many hours it runs.
        st.sampled_from(Sponsor.Position.values),
        st.booleans(),  # Whether it was cancelled.
    ),
    max_size=12,
)


@given(placements=PLACEMENTS)
@settings(max_examples=25, deadline=None)
def test_the_days_are_those_that_a_separate_query_finds(placements):
    creator = UserFactory.create()
    for hour, length, position, is_cancelled in placements:
        starts = MONDAY + timedelta(hours=hour)
        one = place(creator, starts=starts, ends=starts + timedelta(hours=length), position=position)
        if is_cancelled:
            Sponsor.objects.filter(pk=one.pk).update(cancelled_at=NOON)
    found = sql(FREE, WEDNESDAY.date(), (MONDAY + days(DAYS - 1)).date(), creator.pk)
    assert free_days(creator) == set(found)


def test_more_placements_need_no_more_queries(creator, django_assert_num_queries):
    for number in range(30):
        place(creator, starts=MONDAY + days(number), ends=MONDAY + days(number + 40))
    with django_assert_num_queries(1):
        free_weeks(creator.pk, at=WEDNESDAY)


# --- The public page --------------------------------------------------------------------------------


def test_a_visitor_sees_days_and_nothing_else_of_the_creator(creator, client):
    creator.name, creator.email = "Dana Demo", "dana@example.com"
    creator.save()
    place(creator, "Secret Sauce", starts=MONDAY + days(7), ends=MONDAY + days(14), price_cents=29_900)
    links.make(creator=creator)
    with clock_at(WEDNESDAY):
        answer = client.get(address_of(creator))
    text, html = words(answer), answer.content.decode()
    assert "Header Free: 10–14 Jun, 22 Jun – 30 Aug" in text
    assert "Footer Free: 10 Jun – 30 Aug" in text
    for secret in ("Secret", "299", "USD", "Dana", "dana@", creator.pk, "acme.example.com", "logo.png"):
        assert secret not in html, secret
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["X-Robots-Tag"] == "noindex"
    assert '<meta name="robots" content="noindex">' in html
    assert "sign-in" not in html  # A sign-in would name the address of this page in its own.
    assert "csrftoken" not in client.cookies
    assert "sessionid" not in client.cookies


def test_the_page_has_the_title_that_the_creator_chose(creator, client):
    links.make(creator=creator, title="The Law Blog")
    assert "The Law Blog" in words(client.get(address_of(creator)))
    for hostile in HOSTILE:
        links.rename(creator=creator, title=hostile)
        is_text_only(client.get(address_of(creator)))


def test_unknown_revoked_and_replaced_links_have_the_same_answer(creator, client, page):
    links.make(creator=creator)
    first = address_of(creator)
    links.make(creator=creator)
    second = address_of(creator)
    assert client.get(second).status_code == 200
    page.post(REVOKE)
    links.make(creator=creator)
    third = address_of(creator)
    creator.is_active = False
    creator.save()
    nonce = FreeSlotsLink.objects.get().nonce
    unknown = (
        "/free-slots/x",
        "/free-slots/x:y",
        f"/free-slots/{nonce}",
        f"/free-slots/{nonce}:",
        third + "x",
    )
    answers = [client.get(path) for path in (first, second, third, *unknown)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({re.sub("req_[0-9a-z]+", "", words(answer)) for answer in answers}) == 1


def test_a_link_still_works_after_the_secret_key_was_changed(creator, client, settings):
    links.make(creator=creator)
    address = address_of(creator)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert client.get(address).status_code == 200
    assert client.get(address_of(creator)).status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert client.get(address).status_code == 404


def test_one_network_may_open_it_only_so_often(creator):
    links.make(creator=creator)
    with_time_left(10)
    for _ in range(OPENED_PER_MINUTE):
        assert hit("monetization.free-slots", "203.0.113.9", limit=OPENED_PER_MINUTE).allowed
    for path in (address_of(creator), "/free-slots/x"):
        answer = Client(REMOTE_ADDR="203.0.113.9").get(path)
        assert answer.status_code == 429
        assert int(answer["Retry-After"]) <= 60
    assert Client(REMOTE_ADDR="203.0.113.10").get(address_of(creator)).status_code == 200


def test_the_page_needs_few_queries(creator, client, django_assert_max_num_queries):
    links.make(creator=creator)
    address = address_of(creator)
    with django_assert_max_num_queries(4):
        client.get(address)


# --- Making and revoking ----------------------------------------------------------------------------


def test_it_is_made_shown_again_renamed_and_replaced(creator, page, settings):
    settings.PUBLIC_URL = "https://billing.example"
    assert "Make a link" in words(page.get(SHARE))
    answer = page.post(SHARE, {"title": ""}, follow=True)
    first = address_of(creator)
    assert "The new link works now." in words(answer)
    assert f"https://billing.example{first}" in words(answer)
    assert f"https://billing.example{first}" in words(page.get(SHARE))
    assert "no-transform" in page.get(SHARE)["Cache-Control"]
    page.post(SHARE, {"title": "The Law Blog"})
    assert address_of(creator) == first
    answer = page.post(SHARE, {"title": "The Law Blog", "new": "1"}, follow=True)
    assert "The one before no longer does." in words(answer)
    assert address_of(creator) != first
    assert FreeSlotsLink.objects.get().title == "The Law Blog"


def test_a_bad_title_is_refused_and_changes_nothing(creator, page):
    for title in ("x" * 101, "a\u202eb"):
        answer = page.post(SHARE, {"title": title})
        assert answer.status_code == 400
        assert words(answer).startswith("Error: Share your free days")
    assert links.link_of(creator) is None


def test_only_its_creator_can_change_it(creator, stranger, page):
    links.make(creator=creator)
    address = address_of(creator)
    other = browser_of(stranger)
    assert address not in words(other.get(SHARE))
    other.post(REVOKE)
    other.post(SHARE, {"title": "Mine", "new": "1"})
    assert address_of(creator) == address
    for path in (SHARE, REVOKE):
        requires_sign_in(path)
        assert strict_browser_of(creator).post(path, {"title": ""}).status_code == 403
    assert page.get(REVOKE).status_code == 405


def test_the_database_does_not_hold_what_opens_the_page(creator):
    links.make(creator=creator)
    token = token_of(creator)
    assert len(token.partition(":")[0]) == 22
    [(row,)] = sql("SELECT link::text FROM monetization_freeslotslink link")
    assert token.partition(":")[2] not in row
