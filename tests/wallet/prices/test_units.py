"""Counts in what users count: emails, not units of 1,000 emails."""

import pytest

from wallet.prices import rates, units
from wallet.prices.units import Feature

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("label", "unit", "expected"),
    [
        ("Send an email", "1000 emails", Feature("Send emails", 1000, "emails")),
        ("Send an email", "1,000 emails", Feature("Send emails", 1000, "emails")),
        ("Emails", "500 emails", Feature("Emails", 500, "emails")),
        ("Make an image", "4 images", Feature("Make images", 4, "images")),
        ("Make an imagery set", "4 images", Feature("Make an imagery set", 4, "images")),
        (r"Read a \1 page", r"10 \1 pages", Feature(r"Read \1 pages", 10, r"\1 pages")),
        ("Generate an article", "article", Feature("Generate an article")),
        ("Generate an article", "1 article", Feature("Generate an article")),
        ("Think", "1000", Feature("Think")),
        ("Think", "0 tokens", Feature("Think")),
        ("Think", "1,00 tokens", Feature("Think")),
        ("Think", "٣٠ tokens", Feature("Think")),
        ("Think", "9" * 90 + " x", Feature("Think")),
        ("Think", "", Feature("Think")),
    ],
)
def test_a_unit_of_several_things_is_counted_in_things(label, unit, expected):
    assert units.described(label, unit) == expected


def test_counts_have_commas_and_the_name_of_the_thing():
    emails = Feature("Send emails", 1000, "emails")
    assert emails.priced_label == "Send emails (per 1,000)"
    assert (emails.count_of(3), emails.count_of(0)) == ("3,000 emails", "0 emails")
    assert (emails.times(3), emails.times(1), emails.times(None)) == (
        "Send emails × 3,000",
        "Send emails × 1,000",
        "Send emails × 1,000",
    )
    article = Feature("Generate an article")
    assert (article.priced_label, article.count_of(1200)) == ("Generate an article", "1,200")
    assert (article.times(1), article.times(1200)) == ("Generate an article", "Generate an article × 1,200")


def test_the_rate_table_says_what_a_unit_is():
    found = units.features()
    assert found["mail.send"] == Feature("Send emails", 1000, "emails")
    assert units.features(["mail.send", "gone"]).keys() == {"mail.send"}


def test_a_change_of_price_keeps_the_count():
    rates.set_rate(feature="mail.send", label="Send an email", credits=9, unit="1000 emails", actor="t")
    assert units.features()["mail.send"].size == 1000


def test_after_a_change_of_the_unit_only_units_are_true_of_all_charges():
    """A charge keeps its number of units, not what a unit was then."""
    rates.set_rate(feature="mail.send", label="Send an email", credits=1, unit="100 emails", actor="t")
    assert units.features()["mail.send"] == Feature("Send an email")
    rates.set_rate(feature="mail.send", label="Send an email", credits=1, unit="1000 emails", actor="t")
    assert units.features()["mail.send"] == Feature("Send an email")


def test_all_of_it_is_one_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        units.features()
