"""What a plan's name says of its billing: one interval in plain words, or nothing."""

from itertools import product

import pytest

from monetization.plan_names import interval_of

ADVERBS = {
    "weekly": "week",
    "monthly": "month",
    "quarterly": "quarter",
    "yearly": "year",
    "annual": "year",
    "Annually": "year",
}
PLAIN = {
    "week": ["Weekly", "per week", "The Weekly", "Top 10 weekly", "Every week"],
    "month": [
        *("monthly", "MONTHLY", "Month", " month ", "1 month", "1mo", "$5/mo", "5 per mo.", "$5/month"),
        *("pro_monthly", "tier-2-monthly", "basic_10_monthly", "Premium (monthly)", "Gold (month)"),
        *("Tier 2 monthly", "$5 monthly", "9.99 monthly", "5 EUR monthly", "2026 monthly", "Gold per month"),
        *("month-to-month", "Every month!", "a month", "Plan A, monthly", "monthly, 1 month free"),
        # Words that only contain the name of an interval say nothing.
        *(
            "Headquarters monthly",
            "Dailymotion fans, monthly",
            "Weekend edition, monthly",
            "Mo's club, monthly",
        ),
        *("Max 5 monthly", "Woodland monthly", "Seminar monthly"),
        *("Half-price monthly", "Non-profit, monthly", "Trial monthly", "Financial Times monthly"),
    ],
    "quarter": ["quarterly-gold", "Per quarter", "each quarter", "1 quarter"],
    "year": [
        *(
            "Yearly",
            "annual",
            "Annually",
            "1 year",
            "$50/yr",
            "plan-yr",
            "60 per annum",
            "one year",
            "a year",
        ),
        *("Gold - year", "Annual membership", "Non-profit yearly", "billed annually", "€50/year"),
    ],
}
UNCLEAR = {
    "two intervals": [
        *("New Year's special - monthly", "New Year’s special - monthly", "monthly, billed yearly"),
        *("Annual report weekly", "Weekly Letter, yearly", "weekly-digest-monthly", "Daily news, monthly"),
        *("Fashion Week - monthly", "monthly/yearly", "month/year", "$5/mo or $50/yr", "First year, monthly"),
        *(
            "1 month free, then yearly",
            "yearly (12 months)",
            "12mo, billed yearly",
            "Year-end sale - monthly",
        ),
    ],
    "a part of another word": [
        *(
            "dailymotion",
            "midyear",
            "Mid-year",
            "Year-end",
            "Yearbook",
            "Quarterback club",
            "Weekend edition",
        ),
        *("mooncake", "Mo's friends", "Mo Salah fans", "New Year's special", "yearlong", "monthly's"),
        *("Headquarters", "Yearling", "ProMonthly", "Mon-thly"),
    ],
    "a noun that may name anything": [
        *("New Year special", "Leap year", "Founders' year", "Year of the Dragon", "A Year in Provence"),
        *("Fashion Week", "Book of the month club", "Year: 2026", "Third quarter"),
    ],
    "a multiple or a part": [
        *("biweekly", "bi-monthly", "bimonthly", "Bi Weekly", "bi_weekly", "tri-weekly", "Biannual"),
        *("semi-annual", "semi\N{NON-BREAKING HYPHEN}annual", "Semi Annual", "semiannually", "Half-yearly"),
        *("biannual, monthly", "Midyear sale - monthly", "half a year", "half of a year", "½ yearly"),
        *("6 months", "12-month", "twelve-month plan", "eighteen months", "2 years", "1.5 years", "1/2 year"),
        *("every 2 weeks", "every 2 months", "every 3rd month", "every other month", "every two months"),
        *("6-monthly", "6monthly", "6\N{EN DASH}monthly", "every 6 monthly", "Pro 2-yearly", "5 monthly"),
        *("twice a month", "twice monthly", "3 times a year", "3x/year", "two per month", "per half year"),
        *("12 mo", "2yr", "2 yrs", "$60/6mo", "1 month and a half", "Tier-2-month-to-month"),
        *("Every other monthly", "every-other-weekly", "Every 2nd yearly", "each third monthly"),
        *(
            "1/2-yearly",
            "1/4 yearly",
            "1\N{FRACTION SLASH}2 yearly",
            "12× monthly",
            "Monthly x 3",
            "monthly (x6)",
        ),
        *("4 payments a year", "two payments per year", "2 installments / year", "3/year", "2/yr"),
    ],
    "an end, or days": ["Lifetime (was $50/year)", "One-off yearly", "Weekly digest, 30 days"],
    "two languages": ["Weekly Digest - monatlich", "Monthly Magazine – jährlich", "Annual report, mensuel"],
    "the opposite": ["No monthly fee", "not yearly", "non-annual", "Never weekly"],
    "nothing": ["pro", "Gold", "lifetime", "daily", "fortnightly", "mensuel", "-", "1"],
}


@pytest.mark.parametrize(
    ("plan", "interval"), [(plan, interval) for interval, plans in PLAIN.items() for plan in plans]
)
def test_a_plain_name_says_its_interval(plan, interval):
    assert interval_of(plan) == interval


@pytest.mark.parametrize("plan", [plan for plans in UNCLEAR.values() for plan in plans])
def test_a_name_that_is_not_clear_says_nothing(plan):
    assert interval_of(plan) == "unknown"


@pytest.mark.parametrize("between", [" ", ", ", "-", "_", "/", " (", " - ", " billed "])
def test_two_intervals_are_none_and_one_twice_is_one(between):
    for (first, one), (second, other) in product(ADVERBS.items(), repeat=2):
        assert interval_of(f"{first}{between}{second}") == (one if one == other else "unknown")


@pytest.mark.parametrize(
    "text", ["1", "bi-", "month to ", "a ", "every ", "(", " -", "teen", "1 ", "year's "]
)
def test_a_name_of_the_greatest_length_is_read_at_once(text):
    """No pattern reads a name again and again: each of these needs well under a second."""
    plan = (text * 100)[:100]
    for _ in range(100):
        interval_of(plan)
