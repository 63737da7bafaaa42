"""The subscriptions page: a search keeps addresses out of URLs, and a change shows its effect on MRR."""

from datetime import timedelta

import pytest
from django.utils import timezone

from monetization import subscriptions
from monetization.models import Subscription, SubscriptionEvent
from monetization.privacy import erasure
from monetization.templatetags.records import effect
from tests.html import browser_of, hidden, link, table, words
from tests.monetization.dashboard.list_pages import (
    HOSTILE,
    file_of,
    is_missing_for,
    is_text_only,
    requires_sign_in,
    strict_browser_of,
)
from tests.monetization.records import NOON, change, clock_at, days, subscribe

LIST = "/dashboard/subscriptions"
SENT = ("status", "plan", "price", "seen", "confirmed")

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(creator):
    return browser_of(creator)


def at(one):
    return f"{LIST}/{one.pk}"


def terms(status="active", plan="monthly", price="7.99", **more):
    return {"status": status, "plan": plan, "price": price, **more}


def confirm(page, one, answer):
    """Confirm what a preview shows."""
    assert answer.status_code in (200, 409), words(answer)
    return page.post(at(one), {name: hidden(answer, name) for name in SENT})


def text_after(answer, page):
    assert answer.status_code == 302, words(answer)
    return words(page.get(answer["Location"]))


# --- Who sees it ------------------------------------------------------------------------------------


def test_every_page_requires_a_sign_in(creator):
    for path in (LIST, f"{LIST}.csv", at(subscribe(creator))):
        requires_sign_in(path)


def test_another_creators_subscription_is_not_there(creator, stranger):
    one = subscribe(creator, "secret@example.com")
    is_missing_for(stranger, at(one), "get", "post")
    theirs = browser_of(stranger)
    seen = subscriptions.newest_event(one)
    assert theirs.post(at(one), terms(status="cancelled", seen=seen, confirmed="1")).status_code == 404
    for answer in (theirs.get(LIST), theirs.post(LIST, {"search": one.pk})):
        assert "secret@example.com" not in words(answer)
    assert file_of(theirs.get(f"{LIST}.csv")) == []
    one.refresh_from_db()
    assert one.status == "active"


def test_no_cache_stores_the_pages(creator, page):
    one = subscribe(creator)
    for answer in (page.get(LIST), page.get(at(one)), page.post(LIST, {"search": "a"})):
        assert "no-store" in answer["Cache-Control"]


# --- The list ---------------------------------------------------------------------------------------


def test_each_row_shows_its_record(creator, page):
    with clock_at(NOON):
        subscribe(creator, "ada@example.com", "annual", 7900, stripe_subscription_id="sub_1")
    with clock_at(NOON + days(1)):
        subscribe(creator, "bo@example.com", "supporter", 1500, "EUR")
    with clock_at(NOON + days(2)):
        change(subscribe(creator, "cy@example.com"), status="cancelled")
    rows = table(page.get(LIST), "list_title")
    assert rows == [
        ["cy@example.com", "Cancelled", "monthly", "7.99 USD", "–", "17 Jun 2026"],
        ["bo@example.com", "Active", "supporter interval not known", "15.00 EUR", "–", "16 Jun 2026"],
        ["ada@example.com", "Active", "annual yearly", "79.00 USD", "6.58 USD", "15 Jun 2026"],
    ]


def test_filters_narrow_page_and_file_alike(creator, page):
    subscribe(creator, "ada@example.com")
    change(subscribe(creator, "bo@example.com"), status="past_due")
    change(subscribe(creator, "cy@example.com", currency="EUR"), status="past_due")
    answer = page.get(f"{LIST}?status=past_due&currency=EUR")
    assert [row[0] for row in table(answer, "list_title")] == ["cy@example.com"]
    rows = file_of(page.get(link(answer, "Download CSV")))
    assert [row["subscriber_email"] for row in rows] == ["cy@example.com"]


def test_subscriptions_outside_mrr_can_be_listed(creator, page):
    subscribe(creator, "ada@example.com")
    subscribe(creator, "bo@example.com", "gold")
    change(subscribe(creator, "cy@example.com", "gold"), status="cancelled")
    answer = page.get(f"{LIST}?interval=unknown")
    assert [row[0] for row in table(answer, "list_title")] == ["bo@example.com"]
    rows = file_of(page.get(link(answer, "Download CSV")))
    assert [row["subscriber_email"] for row in rows] == ["bo@example.com"]
    assert "There is no such choice. This filter is not applied." in words(
        page.get(f"{LIST}?interval=monthly")
    )


@pytest.mark.parametrize("plan", ["New Year's special - monthly", "monthly, billed yearly", "every 2 months"])
def test_an_unclear_name_is_an_unknown_interval_on_every_page_and_in_the_file(creator, page, plan):
    one = subscribe(creator, plan=plan)
    [cells] = table(page.get(LIST), "list_title")
    assert cells[2:5] == [f"{plan} interval not known", "7.99 USD", "–"]
    [row] = file_of(page.get(link(page.get(LIST), "Download CSV")))
    assert (row["interval"], row["yearly_cents"], row["yearly"]) == ("unknown", "", "")
    shown = words(page.get(at(one)))
    assert "Billing interval Not known" in shown
    assert "MRR does not include this subscription" in shown
    overview = words(page.get("/dashboard"))
    assert "1 subscription of unknown interval not counted" in overview
    assert "1 subscription has no known billing period and is not in MRR." in overview
    assert "No subscription in USD counted in the last 30 days." in overview


def test_an_invalid_filter_is_shown_and_not_applied(creator, page):
    subscribe(creator)
    answer = page.get(f"{LIST}?status=unhappy")
    assert "There is no such choice. This filter is not applied." in words(answer)
    assert len(table(answer, "list_title")) == 1
    assert page.get(f"{LIST}.csv?status=unhappy").status_code == 303


def test_a_reader_is_found_without_an_address_in_the_url(creator, page):
    subscribe(creator, "ada@example.com", stripe_subscription_id="sub_A")
    subscribe(creator, "bo@example.com", stripe_subscription_id="sub_B")
    for search in ("ADA@", "ada@example.com", "sub_A"):
        answer = page.post(LIST, {"search": search})
        assert [row[0] for row in table(answer, "list_title")] == ["ada@example.com"]
    assert len(table(page.get(f"{LIST}?search=ada@example.com"), "list_title")) == 2
    rows = file_of(page.post(f"{LIST}.csv", {"search": "sub_B"}))
    assert [row["subscriber_email"] for row in rows] == ["bo@example.com"]


def test_without_a_search_the_form_redirects_to_a_url_that_can_be_bookmarked(page):
    answer = page.post(LIST, {"status": "past_due", "currency": "", "search": " "})
    assert (answer.status_code, answer["Location"]) == (303, f"{LIST}?status=past_due")


def test_it_is_read_page_by_page_also_under_a_search(creator, page):
    for number in range(60):
        subscribe(creator, f"r{number}@example.com")
    first = page.get(LIST)
    second = page.get(link(first, "Older"))
    assert len({row[0] for answer in (first, second) for row in table(answer, "list_title")}) == 60
    first = page.post(LIST, {"search": "r"})
    second = page.post(LIST, {"search": "r", "cursor": hidden(first, "cursor")})
    assert len({row[0] for answer in (first, second) for row in table(answer, "list_title")}) == 60


def test_an_empty_list_says_what_will_be_here_and_how_to_start(page):
    answer = page.get(LIST)
    assert "No subscriptions yet" in words(answer)
    assert '/mail/v1/monetization/subscriptions \\ -H "Authorization: Bearer YOUR_KEY"' in words(answer)
    assert "<table" not in answer.content.decode()


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_text_stays_text(creator, page, word):
    one = subscribe(creator, plan=word, stripe_subscription_id=word)
    for answer in (
        *(page.get(LIST), page.get(at(one)), page.post(LIST, {"search": word})),
        *(page.post(at(one), terms(plan=word + "!")), page.post(at(one), terms(price=word))),
    ):
        is_text_only(answer)
    assert word in words(page.get(LIST))
    assert file_of(page.get(f"{LIST}.csv"))[0]["plan"][0] not in "=+-@"


def test_an_erased_reader_is_called_erased_reader(creator, page):
    one = subscribe(creator, "ada@example.com")
    erasure.erase("ada@example.com", actor="user:staff:1")
    for answer in (page.get(LIST), page.get(at(one)), page.post(at(one), terms(status="cancelled"))):
        assert "Erased reader" in words(answer)
        assert "erased.invalid" not in answer.content.decode()


# --- One subscription -------------------------------------------------------------------------------


def test_the_history_shows_the_effect_of_each_change_on_mrr(creator, page):
    one = subscribe(creator, plan="monthly", amount_cents=799)
    change(one, status="past_due")
    change(one, plan="annual", amount_cents=7900)
    change(one, status="cancelled")
    history = table(page.get(at(one)), "history")
    assert [(row[0], row[-1]) for row in history] == [
        ("Cancelled", "−6.58 USD"),
        ("Plan or price changed", "−1.41 USD"),
        ("Past due", "–"),
        ("New", "+7.99 USD"),
    ]


@pytest.mark.parametrize(
    ("requested", "sentence"),
    [
        (terms(status="cancelled"), "MRR changes by −7.99 USD."),
        (terms(status="past_due"), "MRR stays as it is. 7.99 USD of it is at risk"),
        (terms(price="9.99"), "MRR changes by +2.00 USD."),
        (terms(plan="annual", price="79"), "MRR changes by −1.41 USD."),
        (terms(plan="gold"), "MRR changes by −7.99 USD. The plan's name does not clearly say"),
        (terms(plan="monthly-gold"), "MRR stays as it is."),
    ],
)
def test_a_change_has_the_previewed_effect(creator, page, requested, sentence):
    one = subscribe(creator, plan="monthly", amount_cents=799)
    before = one.yearly_cents
    answer = page.post(at(one), requested)
    assert sentence in words(answer)
    one.refresh_from_db()
    assert (one.yearly_cents, one.events.count()) == (before, 1)
    assert sentence in text_after(confirm(page, one, answer), page)
    one.refresh_from_db()
    delta = one.yearly_cents - before
    assert (one.status, one.plan) == (requested["status"], requested["plan"])
    assert ("stays" in sentence) == (delta == 0)
    if delta:
        assert effect(delta, "USD") in sentence


def test_a_cancelled_subscription_can_be_reactivated(creator, page):
    one = change(subscribe(creator), status="cancelled")
    answer = page.post(at(one), terms(status="active"))
    assert "MRR changes by +7.99 USD." in words(answer)
    assert "from Cancelled to Active" in words(answer)
    confirm(page, one, answer)
    assert [event.kind for event in one.events.order_by("pk")] == ["created", "cancelled", "reactivated"]


def test_the_same_confirmation_twice_changes_once(creator, page):
    one = subscribe(creator)
    answer = page.post(at(one), terms(status="past_due", price="9"))
    confirm(page, one, answer)
    events = SubscriptionEvent.objects.count()
    assert "nothing had to change" in text_after(confirm(page, one, answer), page)
    assert SubscriptionEvent.objects.count() == events == 3


def test_an_outdated_page_is_shown_again(creator, page):
    one = subscribe(creator)
    answer = page.post(at(one), terms(price="9.99"))
    change(one, plan="annual", amount_cents=7900)  # By the webhook, meanwhile.
    again = confirm(page, one, answer)
    assert again.status_code == 409
    assert "The subscription was changed meanwhile" in words(again)
    assert "from annual to monthly" in words(again)
    one.refresh_from_db()
    assert one.plan == "annual"


def test_a_confirmed_change_holds_though_another_hosts_clock_was_ahead(creator, page):
    one = subscribe(creator)
    ahead = timezone.now() + timedelta(minutes=4)
    with clock_at(ahead):
        change(one, status="past_due", amount_cents=899)
    answer = page.post(at(one), terms(status="cancelled"))
    assert "Saved." in text_after(confirm(page, one, answer), page)
    one.refresh_from_db()
    assert (one.status, one.amount_cents) == ("cancelled", 799)


def test_the_page_says_that_nothing_had_to_change(creator, page):
    one = subscribe(creator)
    assert "nothing had to change" in text_after(page.post(at(one), terms()), page)
    assert SubscriptionEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("requested", "sentence"),
    [
        (terms(status="paused"), "Choose one of these."),
        (terms(status=""), "Choose a status."),
        (terms(plan=" "), "Write the plan's name."),
        (terms(plan="x" * 101), "This must be at most 100 characters."),
        (terms(price=""), "Write an amount."),
        (terms(price="free"), "Write an amount such as 12.50."),
        (terms(price="1000000"), "The most is 999,999.99 USD."),
    ],
)
def test_an_error_is_shown_beside_its_field_and_nothing_changes(creator, page, requested, sentence):
    one = subscribe(creator)
    answer = page.post(at(one), requested | {"confirmed": "1", "seen": subscriptions.newest_event(one)})
    assert answer.status_code == 400
    assert sentence in words(answer)
    assert SubscriptionEvent.objects.count() == 1


def test_a_form_without_its_token_is_refused(creator):
    one = subscribe(creator)
    strict = strict_browser_of(creator)
    sent = terms(status="cancelled", confirmed="1", seen=subscriptions.newest_event(one))
    assert strict.post(at(one), sent).status_code == 403
    assert strict.post(LIST, {"search": "a"}).status_code == 403
    assert Subscription.objects.get().status == "active"
