"""What credits were spent on, and what a history can be filtered by."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wallet.past import captured, charged, gave_back, took_back, topped_up, wrote
from wallet.history import spending
from wallet.history.spending import Choices, Spending
from wallet.prices import rates

pytestmark = pytest.mark.django_db

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)
BLOG = {"feature": "blog.article.generate", "product": "blog"}


def spent(user_id="usr_1", first_day=FIRST, last_day=LAST):
    return spending.by_feature(user_id=user_id, first_day=first_day, last_day=last_day)


@pytest.fixture
def credits(db):
    wrote(1000, "2026-02-01 12:00:00")


def test_each_feature_has_its_units_its_credits_and_its_share(credits):
    charged(6, "2026-03-01 00:00:00", count=6000)
    charged(4, "2026-03-31 23:59:59.999999", count=4000)
    charged(30, "2026-03-15 12:00:00", **BLOG)
    assert spent() == [
        Spending("blog", "blog.article.generate", "Generate an article", 30, "30", 30, 75),
        Spending("mail", "mail.send", "Send emails (per 1,000)", 10000, "10,000,000 emails", 10, 25),
    ]


def test_other_days_and_other_wallets_do_not_count(credits):
    charged(5, "2026-02-28 23:59:59.999999")
    charged(3, "2026-03-15 12:00:00")
    charged(7, "2026-04-01 00:00:00")
    wrote(50, "2026-03-15 12:00:00", user_id="usr_2")
    charged(9, "2026-03-15 12:00:00", user_id="usr_2")
    assert [row.credits for row in spent()] == [3]
    assert [row.credits for row in spent("usr_2")] == [9]


def test_what_else_moves_is_no_spending(credits):
    wrote(-5, "2026-03-15 12:00:00")
    took_back(topped_up(5, "2026-03-15 12:00:00"), 5, "2026-03-15 12:00:00")
    assert spent() == []


def test_a_captured_hold_is_a_charge(credits):
    captured(5, "2026-03-15 12:00:00")
    assert [row.credits for row in spent()] == [5]


def test_what_was_given_back_is_not_spent_whenever_it_came_back(credits):
    charge = charged(10, "2026-03-15 12:00:00")
    gave_back(charge, 2, "2026-03-15 13:00:00")
    gave_back(charge, 3, "2026-04-15 13:00:00")
    assert [(row.units, row.credits) for row in spent()] == [(10, 5)]


def test_what_came_back_of_an_earlier_charge_belongs_to_the_earlier_days(credits):
    charge = charged(10, "2026-02-15 12:00:00")
    gave_back(charge, 10, "2026-03-15 12:00:00")
    charged(4, "2026-03-15 12:00:00")
    assert [row.credits for row in spent()] == [4]


def test_a_feature_that_was_given_back_in_whole_is_left_out(credits):
    gave_back(charged(10, "2026-03-15 12:00:00"), 10, "2026-03-15 13:00:00")
    assert spent() == []


def test_the_same_feature_of_two_products_is_two_rows(credits):
    charged(3, "2026-03-15 12:00:00", product="reach")
    charged(3, "2026-03-15 12:00:00", product="mail")
    assert [(row.product, row.share_percent) for row in spent()] == [("mail", 50), ("reach", 50)]


def test_a_feature_without_a_rate_is_called_by_its_own_name(credits):
    charged(3, "2026-03-15 12:00:00", feature="old.feature")
    assert spent()[0].label == "old.feature"


def test_a_withdrawn_rate_still_names_its_feature(credits):
    rates.set_rate(
        feature="old.feature",
        label="The old one",
        credits=1,
        unit="piece",
        active=False,
        actor="user:staff:1",
    )
    charged(3, "2026-03-15 12:00:00", feature="old.feature")
    assert spent()[0].label == "The old one"


def test_an_unknown_user_has_spent_nothing(db):
    assert spent("usr_0") == []


def test_figures_are_three_queries_however_many_rows(credits, django_assert_num_queries):
    for number in range(5):
        charged(3, "2026-03-15 12:00:00", feature=f"feature.{number}")
    with django_assert_num_queries(3):
        assert len(spent()) == 5


@pytest.mark.parametrize(
    ("parts", "percents"),
    [
        ([], []),
        ([5], [100]),
        ([1, 1], [50, 50]),
        ([1, 1, 1], [34, 33, 33]),
        ([2, 1], [67, 33]),
        ([996, 2, 2], [100, 0, 0]),
        ([1] * 200, [1] * 100 + [0] * 100),
        ([10**18, 1], [100, 0]),
    ],
)
def test_shares_are_rounded_where_most_was_cut_off(parts, percents):
    assert spending.shares(parts) == percents


@given(parts=st.lists(st.integers(1, 10**12), min_size=1, max_size=150))
def test_shares_come_to_a_hundred_and_none_is_a_whole_percent_off(parts):
    percents = spending.shares(parts)
    assert sum(percents) == 100
    for part, percent in zip(parts, percents, strict=True):
        assert abs(part * 100 - percent * sum(parts)) < sum(parts)


# --- Choices ----------------------------------------------------------------------------------------


def test_choices_are_what_occurs_in_the_history(credits):
    charged(3, "2026-03-15 12:00:00")
    charged(3, "2026-03-15 12:00:00", **BLOG)
    charged(3, "2026-03-15 12:00:00", **BLOG)
    wrote(50, "2026-03-15 12:00:00", user_id="usr_2")
    charged(9, "2026-03-15 12:00:00", feature="other", product="other", user_id="usr_2")
    assert spending.choices("usr_1") == Choices(["blog", "mail"], ["blog.article.generate", "mail.send"])


def test_an_unknown_user_has_no_choices(db):
    assert spending.choices("usr_0") == Choices([], [])


def test_choices_are_at_most_a_hundred(credits):
    for number in range(105):
        charged(1, "2026-03-15 12:00:00", feature=f"feature.{number:03}", product=f"product.{number:03}")
    choices = spending.choices("usr_1")
    assert (len(choices.products), len(choices.features)) == (100, 100)
    assert choices.features[-1] == "feature.099"


def test_choices_are_those_of_the_newest_entries(monkeypatch, credits):
    charged(3, "2026-03-15 12:00:00", **BLOG)
    charged(3, "2026-03-15 12:00:00")
    charged(3, "2026-03-15 12:00:00")
    monkeypatch.setattr(spending, "ENTRIES_LOOKED_THROUGH", 2)
    assert spending.choices("usr_1") == Choices(["mail"], ["mail.send"])
    monkeypatch.setattr(spending, "ENTRIES_LOOKED_THROUGH", 3)
    assert spending.choices("usr_1").products == ["blog", "mail"]
