"""A creator's lists as files: amounts in cents and as decimals, no hidden message, no formula."""

import csv
import io
from typing import Any

import pytest

from monetization import tips
from tests.html import browser_of
from tests.monetization.conftest import TIP, TIP_BODY
from tests.monetization.dashboard.list_pages import file_of
from tests.monetization.records import NOON, change, clock_at, days, place, refund, subscribe, tip

pytestmark = pytest.mark.django_db


def tips_file(creator):
    return file_of(browser_of(creator).get("/dashboard/tips.csv"))


def test_a_tip_in_the_file_has_each_amount_in_cents_and_as_decimal_text(creator):
    with clock_at(NOON):
        made = tip(
            creator, 500, email="a@example.com", name="Åsa", message="Love\nit", stripe_payment_id="pi_1"
        )
    refund(made, 200)
    assert tips_file(creator) == [
        {
            "tip_id": made.pk,
            "created_at": "2026-06-15T12:00:00Z",
            "name": "Åsa",
            "email": "a@example.com",
            "currency": "USD",
            "gross_cents": "500",
            "gross": "5.00",
            "fee_bps": "500",
            "fee_cents": "25",
            "fee": "0.25",
            "net_cents": "475",
            "net": "4.75",
            "refunded_cents": "200",
            "refunded": "2.00",
            "fee_returned_cents": "10",
            "fee_returned": "0.10",
            "message": "Love\nit",
            "stripe_payment_id": "pi_1",
        }
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(1234567, "USD", "12345.67"), (500, "JPY", "500"), (1230, "KWD", "1.230"), (50, "USD", "0.50")],
)
def test_an_amount_has_the_decimals_of_its_currency(creator, amount, currency, text):
    tip(creator, amount, currency=currency)
    (row,) = tips_file(creator)
    assert (row["gross_cents"], row["gross"]) == (str(amount), text)


def test_a_hidden_message_is_empty_in_the_file(creator):
    made = tip(creator, message="Love it")
    tips.hide_message(creator=creator, tip_id=made.pk, hidden=True)
    (row,) = tips_file(creator)
    assert row["message"] == ""


@pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@SUM(A1)", "\N{FULLWIDTH EQUALS SIGN}1"])
def test_no_text_of_a_reader_or_a_sponsor_is_a_formula(creator, words):
    tip(creator, name=words, message=words, email="=a@example.com")
    place(creator, words)
    subscribe(creator, "=a@example.com", plan=words)
    (given_row,) = tips_file(creator)
    assert (given_row["name"], given_row["message"]) == (f"’{words}", f"’{words}")
    assert given_row["email"] == "’=a@example.com"
    (placed,) = sponsors_file(creator)
    assert placed["sponsor_name"] == f"’{words}"
    (subscribed_row,) = subscriptions_file(creator)
    assert (subscribed_row["subscriber_email"], subscribed_row["plan"]) == ("’=a@example.com", f"’{words}")


def test_no_line_of_a_message_is_a_formula_with_another_separator(api, creator):
    for message in ("hello\n=1+1;x", 'a;"=1+1', "a\n - 2|@b"):
        assert api.post(TIP, TIP_BODY | {"message": message, "stripe_payment_id": None}).status_code == 200
    answer: Any = browser_of(creator).get("/dashboard/tips.csv")
    text = b"".join(answer.streaming_content).decode()
    assert "hello\n’=1+1;x" in text
    for separator in ";|\t ":
        cells = [
            each.lstrip(" \"'")
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
            for each in row
        ]
        assert not [each for each in cells if each[:1] in tuple("=+-@")]


def subscriptions_file(creator):
    return file_of(browser_of(creator).get("/dashboard/subscriptions.csv"))


def test_a_subscription_in_the_file(creator):
    with clock_at(NOON):
        made = change(subscribe(creator, stripe_subscription_id="sub_1"), status="past_due")
        subscribe(creator, plan="gold", currency="JPY")
    unknown, known = sorted(subscriptions_file(creator), key=lambda row: row["currency"])
    assert known == {
        "subscription_id": made.pk,
        "created_at": "2026-06-15T12:00:00Z",
        "subscriber_email": "reader@example.com",
        "plan": "monthly",
        "interval": "month",
        "status": "past_due",
        "status_at": "2026-06-15T12:00:00Z",
        "currency": "USD",
        "amount_cents": "799",
        "amount": "7.99",
        "yearly_cents": "9588",
        "yearly": "95.88",
        "stripe_subscription_id": "sub_1",
    }
    assert (unknown["interval"], unknown["yearly_cents"], unknown["yearly"]) == ("unknown", "", "")
    assert (unknown["amount"], unknown["status_at"], unknown["stripe_subscription_id"]) == ("799", "", "")


def sponsors_file(creator):
    return file_of(browser_of(creator).get("/dashboard/sponsors.csv"))


def test_a_placement_in_the_file(creator):
    with clock_at(NOON):
        made = place(creator, price_cents=29900)
        place(creator, "Globex", starts=NOON - days(9))
        priced, free = sponsors_file(creator)
    assert priced == {
        "sponsor_id": made.pk,
        "created_at": "2026-06-15T12:00:00Z",
        "sponsor_name": "Acme",
        "position": "header",
        "state": "active",
        "active_from": "2026-06-15T12:00:00Z",
        "active_until": "2026-06-22T12:00:00Z",
        "cancelled_at": "",
        "currency": "USD",
        "price_cents": "29900",
        "price": "299.00",
        "target_url": "https://acme.example.com",
        "logo_url": "https://cdn.example.com/logo.png",
    }
    assert (free["state"], free["price_cents"], free["price"]) == ("ended", "", "")
