"""The account page: what the plan gives, and the buyer that a user enters for receipts."""

import re

import pytest
from django.forms import CheckboxInput
from django.urls import reverse
from django.utils.datastructures import MultiValueDict

from accounts import buyers, plans
from accounts.buyers import Buyer, BuyerDetails
from foundation import erased_texts
from tests.factories import UserFactory
from tests.html import browser_of, words

pytestmark = pytest.mark.django_db

ENTERED = {
    "name": "Acme GmbH",
    "address": "Hauptstraße 1\r\n  10115 Berlin",
    "country": "Germany",
    "vat_number": "DE123456789",
}


@pytest.fixture
def dana():
    return UserFactory.create(misar_id="usr_dana", name="Dana")


def enter(browser, **changes):
    return browser.post("/account/buyer", ENTERED | changes)


def test_a_buyer_is_stored_and_shown_again(dana):
    browser = browser_of(dana)
    assert enter(browser)["Location"] == "/account"
    assert buyers.buyer_of(dana.pk) == Buyer(
        "Acme GmbH", "Hauptstraße 1\n10115 Berlin", "Germany", "DE123456789"
    )
    page = browser.get("/account").content.decode()
    assert 'value="Acme GmbH"' in page
    assert "Hauptstraße 1\n10115 Berlin</textarea>" in page
    assert "usually have another length" not in page


def test_a_buyer_can_be_changed_and_emptied(dana):
    browser = browser_of(dana)
    enter(browser)
    enter(browser, vat_number="")
    assert buyers.buyer_of(dana.pk).vat_number == ""
    enter(browser, name="", address=" ", country="", vat_number="")
    assert not BuyerDetails.objects.exists()
    assert buyers.buyer_of(dana.pk) == Buyer()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x" * 201},
        {"name": "Acme\x00"},
        {"name": "two\nlines"},
        {"address": "a\u202eb"},
        {"address": "x" * 501},
        {"country": "x" * 81},
        {"vat_number": "\u200b"},
        {"vat_number": "1" * 41},
    ],
)
def test_what_cannot_be_printed_is_refused_in_words_and_kept_in_the_form(dana, wrong):
    browser = browser_of(dana)
    answer = enter(browser, **wrong)
    assert answer.status_code == 400
    assert "Not saved. Please fix these fields:" in words(answer)
    assert 'value="Germany"' in answer.content.decode() or "country" in wrong
    assert not BuyerDetails.objects.exists()


@pytest.mark.parametrize("number", ["DE12345678", "FR1", "el12345678", "ATU1234567"])
def test_a_vat_number_that_looks_wrong_is_stored_with_a_hint(dana, number):
    browser = browser_of(dana)
    enter(browser, vat_number=number)
    assert buyers.buyer_of(dana.pk).vat_number == number
    assert "Please check the VAT number" in words(browser.get("/account"))


@pytest.mark.parametrize(
    "number",
    [
        "DE 123 456 789",
        "FRXX999999999",
        "NL123456789B01",
        "CHE-123.456.789 MWST",
        "12-3456789",
        "27AAPFU0939F1ZV",
    ],
)
def test_numbers_of_any_country_get_no_hint_if_nothing_is_known_against_them(dana, number):
    browser = browser_of(dana)
    enter(browser, vat_number=number)
    assert buyers.buyer_of(dana.pk).vat_number == number
    assert "Please check" not in words(browser.get("/account"))


def test_one_statement_stores_a_new_buyer_and_a_known_one(dana, django_assert_num_queries):
    """After a SELECT, the INSERT of a second form would fail, and PostgreSQL's log would have its row."""
    for name in ("Acme", "Acme Ltd"):
        with django_assert_num_queries(1) as queries:
            buyers.save(dana.pk, Buyer(name=name))
        assert "ON CONFLICT" in queries[0]["sql"]
        assert buyers.buyer_of(dana.pk) == Buyer(name=name)


def test_a_buyer_is_of_one_user(dana):
    enter(browser_of(dana))
    other = UserFactory.create()
    assert "Acme" not in words(browser_of(other).get("/account"))
    assert buyers.buyer_of(other.pk) == Buyer()


def test_a_visitor_must_sign_in_and_the_forms_address_leads_to_the_page(dana, client):
    assert client.post("/account/buyer", ENTERED)["Location"].startswith("/sign-in?next=")
    assert browser_of(dana).get(reverse("account-buyer"))["Location"] == "/account"


def test_a_buyer_goes_with_its_user_and_an_erasure_reads_its_texts(dana):
    address = "nora@example.com"
    buyers.save(dana.pk, Buyer(f"Acme {address}", f"c/o {address}\nBerlin", f"Malta {address}", address))
    erased_texts.erase_from_texts("nora@example.com")
    assert buyers.buyer_of(dana.pk) == Buyer(
        "Acme (erased)", "c/o (erased)\nBerlin", "Malta (erased)", "(erased)"
    )
    dana.delete()
    assert not BuyerDetails.objects.exists()


@pytest.mark.parametrize(
    ("fee_bps", "key_limit", "gives"),
    [
        (500, 1, "You keep 95% of each tip; the platform fee is 5%. 1 active API key."),
        (275, 0, "You keep 97.25% of each tip; the platform fee is 2.75%. 0 active API keys."),
        (0, None, "You keep 100% of each tip; the platform fee is 0%. Any number of active API keys."),
    ],
)
def test_a_plan_says_what_it_gives(dana, fee_bps, key_limit, gives):
    plan = plans.add_plan(slug="own", name="Own", fee_bps=fee_bps, key_limit=key_limit, actor="test")
    plans.assign(user=dana, plan=plan)
    assert f"Plan: Own {gives}" in words(browser_of(dana).get("/account"))


# --- Emails -------------------------------------------------------------------------------------------


def chosen(browser):
    page = browser.get("/account").content.decode()
    radios = re.findall(r'<input type="radio" name="tip_received" value="(\w+)"[^>]*?( checked)?>', page)
    return [value for value, is_checked in radios if is_checked]


@pytest.mark.parametrize(
    ("how", "off", "weekly"),
    [
        ("on", ["reversal", "subscription_past_due"], []),
        ("week", ["reversal", "subscription_past_due"], ["tip_received"]),
        ("false", ["reversal", "subscription_past_due", "tip_received"], []),
    ],
)
def test_a_user_chooses_how_often_tips_are_told(dana, how, off, weekly):
    browser = browser_of(dana)
    assert chosen(browser) == ["on"]
    assert browser.post("/account", {"receipt": "on", "tip_received": how})["Location"] == "/account"
    dana.refresh_from_db()
    assert (sorted(dana.mails_off), dana.mails_weekly) == (off, weekly)
    assert chosen(browser) == [how]


@pytest.mark.parametrize(("how", "is_on"), [("on", True), ("week", True), ("false", False)])
def test_a_checkbox_of_the_release_before_reads_the_choice(how, is_on):
    """A page of this release may be sent to a worker of the release before, which has a checkbox."""
    sent = {"tip_received": how}
    assert CheckboxInput().value_from_datadict(sent, MultiValueDict(), "tip_received") == is_on


@pytest.mark.parametrize("wrong", [{}, {"tip_received": "daily"}])
def test_a_choice_that_there_is_not_is_refused_in_words(dana, wrong):
    answer = browser_of(dana).post("/account", {"receipt": "on"} | wrong)
    assert answer.status_code == 400
    page = answer.content.decode()
    assert page.count("Choose how often you want this email.") == 2
    assert 'href="#id_tip_received"' in page
    assert 'id="id_tip_received"' in page
    dana.refresh_from_db()
    assert (dana.mails_off, dana.mails_weekly) == ([], [])
