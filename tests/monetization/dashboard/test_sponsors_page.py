"""The sponsors page: placements with their states and conflicts, and forms that can be submitted twice."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from monetization import sponsors
from monetization.models import Sponsor
from tests.html import browser_of, hidden, link, table, words
from tests.monetization.dashboard.list_pages import (
    HOSTILE,
    NO_KEYS,
    file_of,
    is_missing_for,
    is_text_only,
    requires_sign_in,
    strict_browser_of,
)
from tests.monetization.dashboard.sponsor_pages import (
    ADD,
    LIST,
    cancel_of,
    edit_of,
    fields,
    seen_by,
    text_after,
)
from tests.monetization.records import NOON, clock_at, days, place, upcoming

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(creator):
    return browser_of(creator)


# --- Who sees it ------------------------------------------------------------------------------------


def test_every_page_requires_a_sign_in(creator):
    sponsor = upcoming(creator)
    for path in (LIST, ADD, edit_of(sponsor), cancel_of(sponsor)):
        requires_sign_in(path)
    requires_sign_in(f"{LIST}.csv")


def test_another_creators_placement_is_not_there(creator, stranger):
    sponsor = upcoming(creator, "Secret Sauce")
    is_missing_for(stranger, edit_of(sponsor), "get", "post")
    is_missing_for(stranger, cancel_of(sponsor), "post")
    theirs = browser_of(stranger)
    assert "Secret Sauce" not in words(theirs.get(LIST))
    assert "Secret Sauce" not in theirs.get(f"{ADD}?copy={sponsor.pk}").content.decode()
    assert file_of(theirs.get(f"{LIST}.csv")) == []
    sponsor.refresh_from_db()
    assert sponsor.cancelled_at is None


def test_no_cache_stores_the_pages(page):
    assert "no-store" in page.get(LIST)["Cache-Control"]


# --- The list ---------------------------------------------------------------------------------------


def test_each_row_shows_its_record(creator):
    begins, ends = datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    place(creator, "Acme", starts=begins, ends=ends, price_cents=29_900, currency="JPY")
    with clock_at(begins - timedelta(days=9, hours=12)):
        row = table(browser_of(creator).get(LIST), "list_title")[0]
    assert row[0].startswith("Acme acme.example.com")
    assert row[1:5] == [
        "Upcoming begins in 10 days",
        "Header",
        "1 Dec 2026 – 31 Dec 2026, 23:59:59",
        "29,900 JPY",
    ]


def test_the_list_shows_the_state_at_this_moment(creator):
    place(creator, "Past", starts=NOON - days(9), ends=NOON - days(2))
    place(creator, "Now", starts=NOON - days(1), ends=NOON + timedelta(hours=30))
    upcoming_one = place(creator, "Soon", starts=NOON + days(2), ends=NOON + days(4))
    gone = place(creator, "Gone", starts=NOON + days(2), ends=NOON + days(4), position="footer")
    with clock_at(NOON):
        page = browser_of(creator)
        sponsors.cancel(creator=creator, sponsor_id=gone.pk)
        states = {row[0].split()[0]: row[1] for row in table(page.get(LIST), "list_title")}
        assert states == {
            "Past": "Ended",
            "Now": "Active 2 days left",
            "Soon": "Upcoming begins in 2 days",
            "Gone": "Cancelled",
        }
        only = table(page.get(f"{LIST}?state=upcoming"), "list_title")
        assert [row[0].split()[0] for row in only] == [upcoming_one.sponsor_name]
        assert len(table(page.get(f"{LIST}?position=header"), "list_title")) == 3


def test_a_conflict_names_the_other_sponsors(creator, page):
    begins = timezone.now() + days(3)
    for name in ("Acme", "Globex", "Initech"):
        place(creator, name, starts=begins)
    upcoming(creator, "Alone", position="footer")
    answer = page.get(LIST)
    rows = {row[0].split()[0]: row[0] for row in table(answer, "list_title")}
    assert "Same header, same days as Globex and Initech" in rows["Acme"]
    assert "Same" not in rows["Alone"]
    assert "3 placements overlap." in words(answer)


def test_only_possible_actions_are_offered(creator, page):
    over = place(creator, "Past", starts=timezone.now() - days(9), ends=timezone.now() - days(2))
    for path in (LIST, edit_of(over)):
        html = page.get(path).content.decode()
        assert "Edit Past</" not in html
        assert 'aria-label="Edit Past"' not in html
        assert cancel_of(over) not in html
        assert f"{ADD}?copy={over.pk}" in html


def test_an_invalid_filter_is_shown_and_not_applied(creator, page):
    upcoming(creator)
    answer = page.get(f"{LIST}?state=nonsense")
    assert answer.status_code == 200
    assert "There is no such choice. This filter is not applied." in words(answer)
    assert len(table(answer, "list_title")) == 1


def test_it_is_read_page_by_page(creator, page):
    for number in range(60):
        place(creator, f"Number {number}", starts=NOON + days(number), ends=NOON + days(number + 1))
    first = page.get(f"{LIST}?position=header")
    older = link(first, "Older")
    assert older.startswith(f"{LIST}?position=header&cursor=")
    second = page.get(older)
    names = [row[0].split(" acme")[0] for answer in (first, second) for row in table(answer, "list_title")]
    assert names == [f"Number {number}" for number in reversed(range(60))]
    assert link(second, "Newest") == f"{LIST}?position=header"


def test_a_page_that_does_not_exist_shows_the_first_one(creator, page):
    upcoming(creator)
    answer = page.get(f"{LIST}?cursor=nonsense")
    assert "This page no longer exists" in words(answer)
    assert len(table(answer, "list_title")) == 1


def test_an_empty_list_says_what_will_be_here_and_how_to_start(creator, page, settings):
    settings.PUBLIC_URL = "https://billing.example"
    answer = page.get(LIST)
    page_text = words(answer)
    assert "All three positions are free" in page_text
    assert "curl -X POST https://billing.example/mail/v1/monetization/sponsors" in page_text
    assert "YOUR_KEY" in page_text
    assert "<table" not in answer.content.decode()


def test_filters_that_match_nothing_can_be_cleared(creator, page):
    upcoming(creator)
    answer = page.get(f"{LIST}?position=footer")
    assert "No placement fits these filters." in words(answer)
    assert link(answer, "Clear filters") == LIST


def test_the_file_has_the_same_rows_under_the_same_filters(creator, page):
    upcoming(creator, "Acme")
    upcoming(creator, "Globex", position="footer")
    address = link(page.get(f"{LIST}?position=footer"), "Download CSV")
    assert [row["sponsor_name"] for row in file_of(page.get(address))] == ["Globex"]
    assert page.get(f"{LIST}.csv?state=nonsense").status_code == 303


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_stays_text(creator, page, name):
    sponsor = upcoming(creator, name)
    upcoming(creator, name + " again")
    for path in (LIST, edit_of(sponsor), f"{ADD}?copy={sponsor.pk}"):
        is_text_only(page.get(path))
    assert name in words(page.get(LIST))
    cell = file_of(page.get(f"{LIST}.csv"))[0]["sponsor_name"]
    assert cell.removeprefix("’").startswith(name)
    assert cell[0] not in "=+-@"


def test_a_target_that_is_no_web_address_is_not_a_link(creator, page):
    sponsor = upcoming(creator)
    Sponsor.objects.filter(pk=sponsor.pk).update(target_url="javascript:alert(1)")
    assert "javascript:" not in page.get(LIST).content.decode()


# --- Adding -----------------------------------------------------------------------------------------


def test_a_sponsor_is_placed_as_the_form_says(creator, page):
    page_text = text_after(page.post(ADD, fields(price="1,299.50", currency="usd")), page)
    placed = Sponsor.objects.get()
    assert "Acme is placed in the header." in page_text
    assert (placed.creator_id, placed.price_cents, placed.currency) == (creator.pk, 129_950, "USD")
    assert placed.active_until - placed.active_from == days(7)
    assert placed.active_from.astimezone(UTC).hour == 0


def test_without_a_price_none_is_recorded(page):
    page.post(ADD, fields(price=""))
    assert Sponsor.objects.get().price_cents is None


def test_a_new_form_has_what_the_link_names(page):
    html = page.get(f"{ADD}?position=footer&from=2026-12-10&until=2026-12-16").content.decode()
    assert 'name="first_day" value="2026-12-10"' in html
    assert 'name="last_day" value="2026-12-16"' in html
    assert 'value="footer"' in html.partition("checked")[0].rpartition("<input")[2]


@pytest.mark.parametrize("query", ["from=x&until=9999-12-31&position=x", "copy=nonsense", "from=0000-00-00"])
def test_an_invalid_link_opens_an_empty_form(page, query):
    assert page.get(f"{ADD}?{query}").status_code == 200


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sponsor_name": " "}, "Write the sponsor's name."),
        ({"sponsor_name": "x" * 201}, "This must be at most 200 characters."),
        ({"sponsor_name": "a\u202eb"}, "This must hold printable characters only."),
        ({"position": "sidebar"}, "Choose one of these positions."),
        ({"first_day": ""}, "Choose the first day."),
        ({"last_day": ""}, "Choose the last day."),
        ({"first_day": "tomorrow"}, "Enter a date such as 2026-10-31."),
        ({"last_day": "9999-12-31"}, "Choose an earlier day."),
        ({"last_day": "2020-01-01"}, "It must end after it begins."),
        ({"starts_at": "soon"}, "Enter a time such as 09:30."),
        (
            {"target_url": "javascript:alert(1)"},
            "Enter a web address starting with http:// or https://, without a user name",
        ),
        (
            {"logo_url": "http://cdn.example.com/a.png"},
            "Enter a web address starting with https://, without a user name or password.",
        ),
        ({"price": "ten"}, "Write an amount such as 12.50."),
        ({"price": "-1"}, "Write an amount such as 12.50."),
        ({"price": "1.005"}, "An amount in USD has at most 2 decimals."),
        ({"price": "1.5", "currency": "JPY"}, "An amount in JPY has no decimals."),
        ({"price": "1.50", "currency": "ISK"}, "An amount in ISK is a multiple of 1.00 ISK."),
        ({"price": "1000000"}, "The most is 999,999.99 USD."),
        ({"currency": "XXX"}, "This must be an ISO 4217 currency code we know."),
        *(({"key": key}, "This page was incomplete, so nothing was recorded.") for key in NO_KEYS),
    ],
)
def test_an_error_is_shown_beside_its_field_and_nothing_is_placed(page, changes, sentence):
    answer = page.post(ADD, fields(**changes))
    assert answer.status_code == 400
    assert sentence in words(answer)
    assert not Sponsor.objects.exists()


def test_what_was_typed_is_kept(page):
    html = page.post(ADD, fields(sponsor_name='Acme "<b>"', price="ten")).content.decode()
    assert 'value="Acme &quot;&lt;b&gt;&quot;"' in html
    assert 'value="ten"' in html


def test_the_same_form_sent_twice_places_once(page):
    filled = fields(key=hidden(page.get(ADD), "key"))
    for _ in range(2):
        assert page.post(ADD, filled).status_code == 302
    assert Sponsor.objects.count() == 1


def test_the_same_form_with_another_name_is_refused_and_can_be_sent_again(page):
    filled = fields()
    page.post(ADD, filled)
    answer = page.post(ADD, filled | {"sponsor_name": "Globex"})
    assert answer.status_code == 409
    assert "This form was sent before" in words(answer)
    page.post(ADD, filled | {"sponsor_name": "Globex", "key": hidden(answer, "key")})
    assert set(Sponsor.objects.values_list("sponsor_name", flat=True)) == {"Acme", "Globex"}


def test_a_taken_position_is_refused_where_one_sponsor_at_a_time_is_allowed(creator, page):
    sponsors.set_one_at_a_time(creator=creator, on=True)
    upcoming(creator, "Globex")
    answer = page.post(ADD, fields())
    assert answer.status_code == 409
    assert "The header is taken in that period by Globex." in words(answer)
    assert Sponsor.objects.count() == 1


def test_a_new_conflict_is_shown_as_a_warning(creator, page):
    upcoming(creator, "Globex")
    assert "Same header, same days as Globex: both will be shown." in text_after(
        page.post(ADD, fields()), page
    )


def test_next_month_begins_with_the_same_days(creator):
    begins, ends = datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    sold = place(creator, "Acme", starts=begins, ends=ends, price_cents=29_900)
    with clock_at(datetime(2026, 12, 5, tzinfo=UTC)):
        html = browser_of(creator).get(f"{ADD}?copy={sold.pk}").content.decode()
    assert 'name="first_day" value="2026-12-31"' in html  # The first such day that is still to come.
    assert 'name="last_day" value="2027-01-30"' in html
    assert 'name="ends_at" value="23:59:59"' in html
    assert 'value="299.00"' in html
    assert 'value="Acme"' in html
    assert "Copied from Acme to the same days of the next month." in html


def test_the_message_names_the_position(page):
    assert "Acme is placed inline." in text_after(page.post(ADD, fields(position="inline")), page)
    assert "Acme is placed in the footer." in text_after(page.post(ADD, fields(position="footer")), page)


@pytest.mark.parametrize("name", ["\u3164", "\u2800 \u0301", "\u200b"])
def test_a_name_that_shows_nothing_is_refused(page, name):
    answer = page.post(ADD, fields(sponsor_name=name))
    assert "This must not be empty." in answer.text
    assert not Sponsor.objects.exists()


def test_a_name_in_a_list_is_cut_between_two_characters(creator, page):
    place(creator, "x" * 58 + "👩‍🚀" + "y" * 20)
    assert f"{'x' * 58}…" in page.get(LIST).text


def test_a_long_name_is_shortened_and_whole_once_on_the_page_of_its_record(creator, page):
    name = "Acme of the very long name, which goes on and on, and then on to its end"
    sponsor = upcoming(creator, name)
    for answer in (page.get(LIST), page.get(edit_of(sponsor))):
        assert "Acme of the very long name, which goes on" in words(answer)
        assert "to its end" not in words(answer).partition("Begins")[0].partition("Sponsor Acme")[0]
    assert name in page.get(edit_of(sponsor)).content.decode()


def test_an_end_at_midnight_is_the_day_before(creator, page):
    starts = datetime(2099, 12, 3, tzinfo=UTC)
    sponsor = place(creator, starts=starts, ends=datetime(2099, 12, 10, tzinfo=UTC))
    assert table(page.get(LIST), "list_title")[0][3] == "3–9 Dec 2099"
    form = page.get(edit_of(sponsor)).content.decode()
    assert 'name="first_day" value="2099-12-03"' in form
    assert 'name="last_day" value="2099-12-09"' in form
    assert '<details class="exact-times">' in form


def test_a_page_with_errors_says_so_first(page):
    answer = page.post(ADD, fields(sponsor_name=""))
    html = answer.content.decode()
    assert words(answer).startswith("Error: Add a sponsor")
    assert 'id="errors" role="alert" tabindex="-1"' in html


# --- Editing ----------------------------------------------------------------------------------------


def test_before_it_begins_everything_can_change(creator, page):
    sponsor = upcoming(creator, price_cents=100)
    changes = fields(sponsor_name="Globex", position="inline", price="")
    answer = page.post(edit_of(sponsor), changes | seen_by(page, sponsor))
    sponsor.refresh_from_db()
    assert "Saved. Globex runs through" in text_after(answer, page)
    assert (sponsor.sponsor_name, sponsor.position, sponsor.price_cents) == ("Globex", "inline", None)


def test_after_it_has_begun_closed_fields_are_text(creator, page):
    sponsor = place(creator, "Acme", starts=timezone.now() - days(1), ends=timezone.now() + days(1))
    answer = page.get(edit_of(sponsor))
    assert "What stays Sponsor Acme Position Header" in words(answer)
    assert 'name="sponsor_name"' not in answer.content.decode()
    opens = {name: fields()[name] for name in ("last_day", "ends_at", "target_url", "logo_url")}
    sent = opens | {"target_url": "https://b.example/x"} | seen_by(page, sponsor)
    assert "Saved. Acme runs through" in text_after(page.post(edit_of(sponsor), sent), page)
    sponsor.refresh_from_db()
    assert sponsor.target_url == "https://b.example/x"


def test_an_end_before_a_closed_beginning_is_refused(creator, page):
    sponsor = place(creator, "Acme", starts=timezone.now() - days(1), ends=timezone.now() + days(1))
    opens = {name: fields()[name] for name in ("target_url", "logo_url")}
    sent = opens | {"last_day": "2020-01-01", "ends_at": ""} | seen_by(page, sponsor)
    answer = page.post(edit_of(sponsor), sent)
    assert answer.status_code == 400
    assert "A placement must end after it begins." in words(answer)


def test_a_placement_that_is_over_has_no_form(creator, page):
    sponsor = place(creator, "Acme", starts=timezone.now() - days(9), ends=timezone.now() - days(1))
    answer = page.get(edit_of(sponsor))
    assert "so it can no longer change" in words(answer)
    assert "last_day" not in answer.content.decode()
    answer = page.post(edit_of(sponsor), fields(last_day="2030-01-01"))
    assert answer.status_code == 409
    assert "Acme is over already. Nothing was saved." in words(answer)
    sponsor.refresh_from_db()
    assert sponsor.active_until < timezone.now()


def test_a_form_without_its_token_is_refused(creator):
    sponsor = upcoming(creator)
    strict = strict_browser_of(creator)
    for path in (ADD, edit_of(sponsor), cancel_of(sponsor)):
        assert strict.post(path, fields()).status_code == 403
    assert Sponsor.objects.get().cancelled_at is None
