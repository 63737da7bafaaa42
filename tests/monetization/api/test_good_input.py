"""What looks odd and is right: taken, and kept as it was written."""

from typing import Any

import pytest

from foundation import money
from monetization.models import Sponsor, Subscription, Tip
from tests.monetization.api.test_bad_fields import TEXTS
from tests.monetization.conftest import (
    CHANGE,
    GOOD,
    SPONSOR_BODY,
    SPONSORS,
    SUBSCRIPTION_BODY,
    SUBSCRIPTIONS,
    TIP,
    TIP_BODY,
    TIPS,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "name",
    [
        "Zoë 👩‍👩‍👧‍👦",
        "🏳️‍🌈",
        "👋🏽 Ann",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # the flag of England
        "محمد",
        "می‌خواهم",  # with a zero-width non-joiner, as Persian is written
        "क्‍ष",
        "李 小龍",
        "李\N{IDEOGRAPHIC SPACE}小龍",
        "Jean\N{NO-BREAK SPACE}: l’œuvre",
        " Alex ",
        "O'Brien; DROP TABLE tips; --",
        "=1+1",
        "x" * 200,
        "e\N{COMBINING ACUTE ACCENT}",
        "علی‌رضا",
        "홍길동",
        "Ann 🩷",  # newer than Python 3.11
        "1️⃣ 🇩🇪",
        "\u200eAnn\u200f \u061cعلي",
        "Donau\u00addampf",
        "Ann\u0378",  # not assigned
        "\u3164Ann",
    ],
)
def test_a_name_is_kept_as_it_was_written(api, name):
    assert api.post(TIP, TIP_BODY | {"name": name}).status_code == 200
    assert api.get(TIPS).json()[0]["name"] == name


@pytest.mark.parametrize("message", ["x" * 500, "Loved it 🩷", "😀" * 500, "a\nb\r\nc", "\na\n"])
def test_a_message_has_500_characters_over_several_lines(api, message):
    assert api.post(TIP, TIP_BODY | {"message": message}).status_code == 200
    assert Tip.objects.get().message == message


@pytest.mark.parametrize(
    "email",
    [
        "a@example.com",
        "first.last+news@sub.example.co.uk",
        "UPPER@EXAMPLE.COM",
        "o'brien@example.com",
        "100%real@example.com",
        "_a-b_@example.museum",
        "a@xn--bcher-kva.example",
        "a" * 64 + "@" + "b" * 60 + "." + "c" * 60 + "." + "d" * 55 + ".example.com",
    ],
)
def test_an_ordinary_address_is_taken(api, email):
    assert len(email) <= 254
    assert api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY | {"subscriber_email": email}).status_code == 201
    assert api.get(SUBSCRIPTIONS).json()[0]["subscriber_email"] == email


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "HTTPS://Example.COM/Path",
        "https://example.com:8443/a/b?c=d&e=%20f#g",
        "https://xn--exmple-cua.com/",
        "https://192.0.2.1/",
        "https://[2001:db8::1]/",
        "https://example.com/a@b?next=https://c.example/",
        "https://example.com/~a/(b),c;d='e'!$*+[f]|{g}",
        "https://a-b.example.com/",
        "https://localhost/",
        "https://example.com/".ljust(2048, "x"),
    ],
)
def test_an_ordinary_web_address_is_taken_as_it_is(api, url):
    body = SPONSOR_BODY | {"logo_url": url, "target_url": url}
    assert api.post(SPONSORS, body).status_code == 201
    kept = Sponsor.objects.get()
    assert (kept.logo_url, kept.target_url) == (url, url)


def test_a_click_may_go_to_http(api):
    assert api.post(SPONSORS, SPONSOR_BODY | {"target_url": "http://example.com"}).status_code == 201


@pytest.mark.parametrize(
    ("path", "field", "bounds"),
    [
        (TIP, "amount_cents", (50, 100_000)),
        (SUBSCRIPTIONS, "amount_cents", (0, 99_999_999)),
        (SPONSORS, "price_cents", (0, 99_999_999)),
    ],
)
def test_both_bounds_are_amounts(api, path, field, bounds):
    for amount in bounds:
        body = GOOD[path] | {field: amount, "stripe_payment_id": None, "stripe_subscription_id": None}
        assert api.post(path, body).status_code < 300


@pytest.mark.parametrize(
    ("currency", "amount"), [("JPY", 501), ("ISK", 500), ("UGX", 100000), ("KWD", 510), ("usd", 501)]
)
def test_a_fitting_step_is_taken(api, currency, amount):
    assert api.post(TIP, {"amount_cents": amount, "currency": currency}).status_code == 200


def test_every_currency_of_the_list_is_taken(api):
    for code in money.EXPONENTS:
        assert api.post(TIP, {"amount_cents": 1000, "currency": code}).status_code == 200, code


@pytest.mark.parametrize(
    ("path", "field", "longest"), [row for row in TEXTS if row[0] != CHANGE and row[1] != "message"]
)
def test_the_longest_text_is_kept_whole(api, path, field, longest):
    assert api.post(path, GOOD[path] | {field: "x" * longest}).status_code < 300
    model: Any = {TIP: Tip, SUBSCRIPTIONS: Subscription, SPONSORS: Sponsor}[path]
    assert getattr(model.objects.get(), field) == "x" * longest
