"""The tips page: every tip with its amounts, totals of all filtered tips, refunds that happen once."""

from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.utils import timezone

from foundation import money
from monetization import tips
from monetization.models import Refund, Tip
from monetization.privacy import erasure
from tests.crowd import at_once
from tests.html import browser_of, hidden, link, table, words
from tests.monetization.dashboard.list_pages import (
    HOSTILE,
    file_of,
    is_missing_for,
    is_text_only,
    requires_sign_in,
    strict_browser_of,
)
from tests.monetization.records import NOON, clock_at, days, refund, tip
from tests.wallet.entries import sql

LIST = "/dashboard/tips"

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(creator):
    return browser_of(creator)


def at(one):
    return f"{LIST}/{one.pk}"


def refund_of(one):
    return f"{at(one)}/refund"


def message_of(one):
    return f"{at(one)}/message"


def confirmed(one, amount="5.00", seen=0):
    return {"amount": amount, "seen": seen, "confirmed": "1"}


def text_after(answer, page):
    assert answer.status_code == 302, words(answer)
    return words(page.get(answer["Location"]))


# --- Who sees it ------------------------------------------------------------------------------------


def test_every_page_requires_a_sign_in(creator):
    one = tip(creator)
    for path in (LIST, f"{LIST}.csv", at(one), refund_of(one), message_of(one)):
        requires_sign_in(path)


def test_another_creators_tip_is_not_there(creator, stranger):
    one = tip(creator, name="Secret Admirer", email="secret@example.com", message="For you alone")
    is_missing_for(stranger, at(one), "get", "post")
    is_missing_for(stranger, refund_of(one), "get", "post")
    is_missing_for(stranger, message_of(one), "post")
    theirs = browser_of(stranger)
    assert theirs.post(refund_of(one), confirmed(one)).status_code == 404
    assert theirs.post(message_of(one), {"hidden": "yes"}).status_code == 404
    for answer in (theirs.get(LIST), theirs.post(LIST, {"search": "secret@example.com"})):
        assert "Secret Admirer" not in words(answer)
    assert file_of(theirs.get(f"{LIST}.csv")) == []
    one.refresh_from_db()
    assert (one.refunded_cents, one.message_hidden_at) == (0, None)


def test_no_cache_stores_the_pages(creator, page):
    for answer in (page.get(LIST), page.get(at(tip(creator))), page.post(LIST, {"search": "a"})):
        assert "no-store" in answer["Cache-Control"]


# --- The list ---------------------------------------------------------------------------------------


def test_each_row_shows_its_record(creator, page):
    with clock_at(NOON):
        one = tip(
            creator,
            999,
            name="Alex",
            email="alex@example.com",
            message="Nice\nwork",
            stripe_payment_id="pi_1",
        )
    refund(one, 333)
    assert table(page.get(LIST), "list_title") == [
        [
            "Alex alex@example.com",
            "15 Jun 2026",
            "Nice work",
            "3.33 refunded 9.99 USD",
            "0.50 USD 5%",
            "6.33 USD",
        ]
    ]


def test_a_long_message_is_shortened_in_the_list_and_whole_on_its_page(creator, page):
    one = tip(creator, message="word " * 99 + "end")
    assert "word…" in table(page.get(LIST), "list_title")[0][2]
    assert "word end" in words(page.get(at(one)))


def test_a_hidden_message_is_on_no_page_and_in_no_file(creator, page):
    one = tip(creator, message="Rude words")
    tips.hide_message(creator=creator, tip_id=one.pk, hidden=True)
    for answer in (page.get(LIST), page.get(at(one))):
        assert "Rude" not in words(answer)
    assert table(page.get(LIST), "list_title")[0][2] == "hidden"
    assert file_of(page.get(f"{LIST}.csv"))[0]["message"] == ""


def test_the_totals_and_the_file_come_before_the_rows(creator, page):
    tip(creator)
    html = page.get(LIST).content.decode()
    assert html.index('id="totals"') < html.index("Download CSV") < html.index('class="table lines tips"')


def test_a_long_name_is_shortened_in_rows_and_crumbs_and_whole_once_on_its_page(creator, page):
    name = "Alexandra " * 9 + "End"
    one = tip(creator, name=name)
    assert "Alexandra…" in table(page.get(LIST), "list_title")[0][0]
    assert words(page.get(at(one))).count(name) == 1
    preview = page.post(refund_of(one), {"amount": "5.00", "seen": 0})
    assert "Alexandra…" in words(preview)
    assert name not in words(preview)


def test_the_totals_are_those_of_the_whole_filter_and_of_a_plain_sum(creator, stranger, page):
    for number in range(60):
        one = tip(creator, 500 + number, currency="EUR" if number % 7 == 0 else "USD")
        if number % 9 == 0:
            refund(one, 100)
    tip(stranger, 5000)
    answer = page.get(f"{LIST}?least=5.10&currency=USD")
    count, gross, fee, net, back, fee_back = sql(
        """
        SELECT count(*), sum(gross_cents), sum(fee_cents), sum(net_cents),
               sum(refunded_cents), sum(fee_returned_cents)
          FROM monetization_tip
         WHERE creator_id = 'usr_creator' AND currency = 'USD' AND gross_cents >= 510
        """
    )[0]
    assert len(table(answer, "list_title")) == min(count, 50)
    assert table(answer, "totals") == [
        [
            "USD",
            str(count),
            *(money.figure(int(each), "USD") for each in (gross, fee, net, back, net - back + fee_back)),
        ]
    ]
    assert [row[0] for row in table(page.get(LIST), "totals")] == ["USD", "EUR"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("from=2026-06-15", ["New", "Noon"]),
        ("to=2026-06-15", ["Noon", "Old"]),
        ("from=2026-06-15&to=2026-06-15", ["Noon"]),
        ("currency=EUR", ["New"]),
        ("message=with", ["Old"]),
        ("message=without", ["New", "Noon"]),
        ("refunded=yes", ["Noon"]),
        ("refunded=no", ["New", "Old"]),
        ("least=6&currency=USD", ["Noon"]),
        ("stripe=none", ["New", "Noon"]),
        ("least=6&currency=USD&refunded=no", []),
    ],
)
def test_filters_narrow_page_and_file_alike(creator, page, query, names):
    for name, day, cents, facts in (
        ("Old", -3, 500, {"message": "Hello", "stripe_payment_id": "pi_1"}),
        ("Noon", 0, 700, {}),
        ("New", 3, 900, {"currency": "EUR"}),
    ):
        with clock_at(NOON + days(day)):
            one = tip(creator, cents, name=name, **facts)
        if name == "Noon":
            refund(one, 100)
    answer = page.get(f"{LIST}?{query}")
    shown = [row[0] for row in table(answer, "list_title")] if names else []
    assert shown == names
    file = link(answer, "Download CSV") if names else f"{LIST}.csv?{query}"
    assert [row["name"] for row in file_of(page.get(file))] == names


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("from=yesterday", "Enter a date such as 2026-10-31. This filter is not applied."),
        ("from=2026-06-16&to=2026-06-15", "The last day comes before the first. This filter is not applied."),
        ("from=0001-01-01", "Enter a date between 2000 and 2999. This filter is not applied."),
        ("currency=XXX", "There is no such choice. This filter is not applied."),
        ("least=5", "Choose a currency too. This filter is not applied."),
        ("least=x&currency=USD", "Write an amount such as 12.50."),
        ("refunded=maybe", "There is no such choice. This filter is not applied."),
    ],
)
def test_an_invalid_filter_is_shown_and_not_applied(creator, page, query, sentence):
    tip(creator)
    tip(creator, currency="EUR")
    answer = page.get(f"{LIST}?{query}")
    assert answer.status_code == 200
    assert sentence in words(answer)
    assert len(table(answer, "list_title")) == (1 if "currency=USD" in query else 2)
    assert page.get(f"{LIST}.csv?{query}").status_code == 303


def test_with_one_currency_there_is_none_to_choose(creator, page):
    tip(creator, 500)
    tip(creator, 900)
    answer = page.get(f"{LIST}?least=6")
    assert len(table(answer, "list_title")) == 1
    assert "All currencies" not in words(answer)


def test_it_is_read_page_by_page(creator, page):
    for number in range(60):
        with clock_at(NOON + timedelta(minutes=number // 2)):  # Two of each moment.
            tip(creator, name=f"Number {number}")
    answer, seen = page.get(f"{LIST}?refunded=no"), []
    seen += table(answer, "list_title")
    older = page.get(link(answer, "Older"))
    seen += table(older, "list_title")
    assert len({row[0] for row in seen}) == 60
    assert link(older, "Newest") == f"{LIST}?refunded=no"
    assert "Older</a>" not in older.content.decode()


def test_an_empty_list_says_what_will_be_here_and_how_to_start(page):
    answer = page.get(LIST)
    page_text = words(answer)
    assert "No tips yet" in page_text
    assert '/mail/v1/monetization/tip \\ -H "Authorization: Bearer YOUR_KEY"' in page_text
    assert "<table" not in answer.content.decode()


def test_the_number_of_queries_does_not_grow(creator, page, django_assert_max_num_queries):
    for _ in range(40):
        tip(creator, name="Alex")
    page.get(LIST)
    with django_assert_max_num_queries(6):
        page.get(LIST)


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_text_stays_text(creator, page, word):
    one = tip(creator, name=word, message=f"{word}\n{word}", stripe_payment_id=word)
    for answer in (
        *(page.get(LIST), page.get(at(one)), page.post(LIST, {"search": word})),
        *(
            page.post(refund_of(one), {"amount": word, "seen": "0"}),
            page.post(refund_of(one), confirmed(one, seen=7)),
        ),
    ):
        is_text_only(answer)
    assert f"Tip from {word}" in words(page.get(at(one)))
    row = file_of(page.get(f"{LIST}.csv"))[0]
    for name in ("name", "message", "stripe_payment_id"):
        assert row[name][0] not in "=+-@"


# --- Searching --------------------------------------------------------------------------------------


def test_a_search_is_answered_at_once_and_never_part_of_an_address(creator, page):
    tip(creator, name="Alex", email="alex@example.com")
    tip(creator, name="Zoe", email="zoe@example.com")
    answer = page.post(LIST, {"search": "ALEX@example.com", "refunded": "no"})
    assert answer.status_code == 200
    assert [row[0] for row in table(answer, "list_title")] == ["Alex alex@example.com"]
    html = answer.content.decode()
    assert "?search" not in html
    assert "search=" not in html.replace('type="search"', "")
    rows = file_of(page.post(f"{LIST}.csv?refunded=no", {"search": "alex@", "refunded": "no"}))
    assert [row["name"] for row in rows] == ["Alex"]


def test_a_search_in_the_address_is_not_read(creator, page):
    tip(creator, name="Alex", email="alex@example.com")
    tip(creator, name="Zoe", email="zoe@example.com")
    assert len(table(page.get(f"{LIST}?search=alex@example.com"), "list_title")) == 2


def test_without_a_search_the_form_redirects_to_a_url_that_can_be_bookmarked(page):
    answer = page.post(LIST, {"refunded": "yes", "from": "2026-06-15", "search": "", "currency": ""})
    assert answer.status_code == 303
    assert answer["Location"] == f"{LIST}?from=2026-06-15&refunded=yes"


def test_a_search_is_read_page_by_page(creator, page):
    for number in range(60):
        tip(creator, name=f"Number {number}", email="alex@example.com")
    tip(creator, name="Zoe", email="zoe@example.com")
    first = page.post(LIST, {"search": "alex@"})
    second = page.post(LIST, {"search": "alex@", "cursor": hidden(first, "cursor")})
    names = {row[0] for answer in (first, second) for row in table(answer, "list_title")}
    assert len(names) == 60


@pytest.mark.parametrize("search", ["%", "_", "\\", "a" * 300, "unknown@example.com"])
def test_a_search_without_a_match_finds_nothing(creator, page, search):
    tip(creator, email="alex@example.com")
    answer = page.post(LIST, {"search": search})
    assert answer.status_code == 200
    assert "No tips match these filters." in words(answer) or len(search) > 255


# --- One tip ----------------------------------------------------------------------------------------


def test_the_page_of_a_tip_shows_what_was_paid_and_what_the_creator_keeps(creator, page):
    one = tip(creator, 999, name="Alex", email="alex@example.com")
    refund(one, 333)
    page_text = words(page.get(at(one)))
    for words_of_it in (
        *("Tip from Alex", "Paid 9.99 USD", "Platform fee, 5% 0.50 USD", "After platform fee 9.49 USD"),
        *("Refunded so far 3.33 USD", "Fee returned with it 0.17 USD", "You keep 6.33 USD"),
    ):
        assert words_of_it in page_text
    assert table(page.get(at(one)), "refunds")[0][1:] == ["3.33 USD", "3.16 USD", "0.17 USD"]


def test_the_text_of_a_mail_of_thanks_is_encoded(creator, page):
    one = tip(creator, name='A&B <x> "?cc=c@d"', email="o'neil+a%b&cc=x@example.com")
    url = link(page.get(at(one)), "Say thanks by mail")
    parts = urlsplit(url)
    assert parts.scheme == "mailto"
    assert unquote(parts.path) == "o'neil+a%b&cc=x@example.com"
    query = parse_qs(parts.query)
    assert set(query) == {"subject", "body"}
    assert query["subject"] == ["Thank you for your tip"]
    assert query["body"][0].startswith('Hi A&B <x> "?cc=c@d",\r\n\r\nthank you for your tip of 5.00 USD.')


def test_there_is_no_mail_of_thanks_without_an_address_or_after_an_erasure(creator, page):
    silent = tip(creator, name="Alex")
    gone = tip(creator, name="Zoe", email="zoe@example.com", message="Words")
    erasure.erase("zoe@example.com", actor="user:staff:1")
    for one in (silent, gone):
        assert "mailto:" not in page.get(at(one)).content.decode()
    page_text = words(page.get(at(gone)))
    assert "Tip from Erased reader" in page_text
    assert "erased.invalid" not in page_text + words(page.get(LIST))
    assert "Zoe" not in page_text


# --- Refunds ----------------------------------------------------------------------------------------


def test_a_refund_is_shown_before_it_is_made(creator, page):
    one = tip(creator, 500)
    answer = page.post(refund_of(one), {"amount": "5.00", "seen": "0"})
    page_text = words(answer)
    assert "The reader gets 5.00 USD You give back 4.75 USD Fee returned 0.25 USD" in page_text
    assert not Refund.objects.exists()
    sent = {name: hidden(answer, name) for name in ("amount", "seen", "confirmed")}
    assert "Recorded a refund of 5.00 USD." in text_after(page.post(refund_of(one), sent), page)
    made = Refund.objects.get()
    assert (made.amount_cents, made.fee_returned_cents, made.actor) == (500, 25, f"user:{creator.pk}")
    assert "All of this tip went back to its reader." in words(page.get(at(one)))


def test_parts_of_a_refund_come_to_exactly_the_fee(creator, page):
    one = tip(creator, 999)
    for seen in (0, 333, 666):
        answer = page.post(refund_of(one), {"amount": "3.33", "seen": seen})
        page.post(refund_of(one), {name: hidden(answer, name) for name in ("amount", "seen", "confirmed")})
    assert sorted(Refund.objects.values_list("fee_returned_cents", flat=True)) == [16, 17, 17]


def test_the_same_confirmation_twice_refunds_once(creator, page):
    one = tip(creator, 1000)
    page.post(refund_of(one), confirmed(one, "4.00"))
    assert "This refund was recorded already" in text_after(
        page.post(refund_of(one), confirmed(one, "4.00")), page
    )
    one.refresh_from_db()
    assert one.refunded_cents == 400


def test_a_second_window_opened_at_the_same_time_refunds_nothing_more(creator, page):
    one = tip(creator, 1000)
    page.post(refund_of(one), confirmed(one, "4.00"))
    page.post(refund_of(one), confirmed(one, "1.00"))
    one.refresh_from_db()
    assert one.refunded_cents == 400


def test_an_outdated_page_is_shown_again(creator, page):
    one = tip(creator, 1000)
    refund(one, 300)  # By staff, meanwhile.
    answer = page.post(refund_of(one), confirmed(one, "4.00"))
    assert answer.status_code == 409
    assert "Part of this tip was refunded meanwhile" in words(answer)
    assert Refund.objects.count() == 1
    page.post(refund_of(one), {name: hidden(answer, name) for name in ("amount", "seen", "confirmed")})
    one.refresh_from_db()
    assert one.refunded_cents == 700


@pytest.mark.parametrize(
    ("amount", "sentence"),
    [
        ("", "Write an amount."),
        ("0", "Write an amount above 0."),
        ("-1", "Write an amount such as 12.50."),
        ("1.001", "An amount in USD has at most 2 decimals."),
        ("5.01", "Only 5.00 USD of this tip are left."),
        ("9" * 19, "Write an amount such as 12.50."),
    ],
)
def test_an_error_of_a_refund_is_shown_beside_its_field(creator, page, amount, sentence):
    one = tip(creator, 500)
    for sent in ({"amount": amount, "seen": "0"}, confirmed(one, amount)):
        answer = page.post(refund_of(one), sent)
        assert answer.status_code == 400
        assert sentence in words(answer)
    assert not Refund.objects.exists()


def test_a_refund_in_yen_has_no_decimals(creator, page):
    one = tip(creator, 500, currency="JPY")
    assert 'value="500"' in page.get(at(one)).content.decode()
    page.post(refund_of(one), confirmed(one, "500"))
    assert Refund.objects.get().amount_cents == 500


def test_a_get_of_the_refund_url_shows_the_tip(creator, page):
    assert "Tip from Anonymous" in words(page.get(refund_of(tip(creator))))


@pytest.mark.django_db(transaction=True)
def test_sent_many_times_at_once_it_refunds_once(creator):
    one = tip(creator, 1000)
    browsers = [browser_of(creator) for _ in range(4)]
    answers = at_once([partial(browser.post, refund_of(one), confirmed(one, "4.00")) for browser in browsers])
    assert {answer.status_code for answer in answers} <= {302, 409}
    assert Refund.objects.count() == 1
    one.refresh_from_db()
    assert one.refunded_cents == 400


# --- Messages ---------------------------------------------------------------------------------------


def test_a_message_is_hidden_and_shown_again(creator, page):
    one = tip(creator, message="Hello")
    assert "Hello" in words(page.get(at(one)))
    hidden_from = "hidden from these pages and files, and from mail not yet sent; the API still returns it."
    page_text = text_after(page.post(message_of(one), {"hidden": "yes"}), page)
    assert f"The message is {hidden_from}" in page_text
    assert f"You have hidden this message. It is {hidden_from}" in page_text
    assert "Hello" not in words(page.get(at(one)))
    page.post(message_of(one), {"hidden": "yes"})
    assert "The message is shown again." in text_after(page.post(message_of(one), {"hidden": "no"}), page)
    assert "Hello" in words(page.get(at(one)))


def test_an_invalid_choice_changes_nothing(creator, page):
    one = tip(creator, message="Hello")
    assert page.post(message_of(one), {"hidden": "perhaps"}).status_code == 302
    assert page.get(message_of(one)).status_code == 405
    assert Tip.objects.get().message_hidden_at is None


def test_a_form_without_its_token_is_refused(creator):
    one = tip(creator, message="Hello")
    strict = strict_browser_of(creator)
    assert strict.post(refund_of(one), confirmed(one)).status_code == 403
    assert strict.post(message_of(one), {"hidden": "yes"}).status_code == 403
    assert not Refund.objects.exists()


def test_the_file_is_named_after_the_list_and_the_day(page):
    day = timezone.now().astimezone(UTC).date()
    answer = page.get(f"{LIST}.csv")
    assert answer["Content-Disposition"] == f'attachment; filename="tips-usr_creator-{day}.csv"'
    assert datetime.fromisoformat(str(day)).date() == day
