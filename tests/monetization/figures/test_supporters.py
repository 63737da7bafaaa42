"""The readers who gave the most, by address, and the subscriptions that changed last."""

import pytest

from monetization.figures.changes import mrr_moved, recent_changes
from monetization.figures.periods import period_of
from monetization.figures.supporters import top
from monetization.privacy import erasure
from monetization.privacy.placeholders import is_erased
from monetization.templatetags.records import shown_email
from tests.monetization.records import NOON, change, clock_at, days, refund, subscribe, tip

pytestmark = pytest.mark.django_db


def found(creator, name="30d", currency="USD", limit=5):
    return top(creator, currency, period_of(creator, name, at=NOON), limit)


def gave(creator, amount, at=NOON, **facts):
    with clock_at(at):
        return tip(creator, amount, **facts)


def test_a_supporter_is_an_address_in_any_case_with_the_latest_name(creator, stranger):
    gave(creator, 500, NOON - days(3), email="Alex@example.com", name="Alex")
    gave(creator, 300, NOON - days(2), email="alex@EXAMPLE.com", name="Alexandra")
    gave(creator, 200, NOON - days(1), email="alex@example.com")
    gave(creator, 900, email="sam@example.com", name="Sam")
    gave(stranger, 9000, email="alex@example.com", name="Al")
    first, second = found(creator)
    assert (first.label, first.email) == ("Alexandra", "alex@example.com")
    assert (first.tips, first.total_cents) == (3, 1000)
    assert (second.label, second.tips, second.total_cents) == ("Sam", 1, 900)


def test_what_went_back_is_not_in_the_total_whenever_it_went_back(creator):
    given = gave(creator, 500, NOON - days(3), email="alex@example.com")
    gave(creator, 300, email="sam@example.com")
    with clock_at(NOON):
        refund(given, 400)
    assert [(each.email, each.total_cents) for each in found(creator)] == [
        ("sam@example.com", 300),
        ("alex@example.com", 100),
    ]
    refund(given, 100, key="form-2")
    assert [each.email for each in found(creator)] == ["sam@example.com"]


def test_tips_without_an_address_are_one_line_and_never_merged_by_name(creator):
    gave(creator, 500, name="Alex")
    gave(creator, 600, name="Sam")
    gave(creator, 700, name="Alex", email="alex@example.com")
    anonymous, alex = found(creator)
    assert (anonymous.label, anonymous.email) == ("Anonymous", "")
    assert (anonymous.tips, anonymous.total_cents) == (2, 1100)
    assert alex.total_cents == 700


def test_an_erased_reader_keeps_the_total_and_no_address(creator):
    gave(creator, 500, email="alex@example.com", name="Alex")
    erasure.erase("alex@example.com", actor="operator")
    [erased] = found(creator)
    assert (erased.label, erased.email) == ("Erased reader", "")
    assert erased.total_cents == 500


def test_without_a_name_it_is_the_address(creator):
    gave(creator, 500, email="alex@example.com")
    assert found(creator)[0].label == "alex@example.com"


def test_only_the_window_the_currency_and_the_first_few_count(creator):
    gave(creator, 900, NOON - days(30), email="old@example.com")
    gave(creator, 900, email="yen@example.com", currency="JPY")
    for n in range(7):
        gave(creator, 100 + n, email=f"reader{n}@example.com")
    assert [each.total_cents for each in found(creator)] == [106, 105, 104, 103, 102]
    assert [each.total_cents for each in found(creator, limit=2)] == [106, 105]
    assert found(creator, "all", limit=1)[0].email == "old@example.com"
    assert [each.email for each in found(creator, currency="JPY")] == ["yen@example.com"]


def test_it_is_one_query(creator, django_assert_num_queries):
    gave(creator, 500, email="alex@example.com", name="Alex")
    period = period_of(creator, "30d", at=NOON)
    with django_assert_num_queries(1):
        top(creator, "USD", period)


@pytest.mark.parametrize(
    ("email", "erased"),
    [
        ("alex@example.com", False),
        ("reader-0123456789abcdef@erased.invalid", True),
        ("no-address", False),
        ("", False),
    ],
)
def test_only_a_stand_in_is_an_erased_readers_address(email, erased):
    assert is_erased(email) is erased


# --- Changes of subscriptions -----------------------------------------------------------------------


def test_the_last_changes_come_first_with_what_each_did_to_mrr(creator, stranger):
    with clock_at(NOON - days(9)):
        one = subscribe(creator, "Alex@example.com", plan="annual", amount_cents=100)
        subscribe(stranger)
        subscribe(creator, currency="JPY")
    for n, (what, at) in enumerate(
        [
            ({"status": "past_due"}, 4),
            ({"status": "cancelled"}, 3),
            ({"status": "active"}, 2),
            ({"plan": "weekly"}, 1),
        ]
    ):
        with clock_at(NOON - days(at)):
            change(one, **what)
        assert len(recent_changes(creator, "USD")) == n + 2
    changes = recent_changes(creator, "USD")
    assert [(each.get_kind_display(), mrr_moved(each.yearly_cents_delta)) for each in changes] == [
        ("Plan or price changed", 425),
        ("Reactivated", 8),
        ("Cancelled", -8),
        ("Past due", 0),
        ("New", 8),
    ]
    assert {each.subscription.subscriber_email for each in changes} == {"Alex@example.com"}
    assert changes[0].plan == "weekly"
    assert changes[0].created_at == NOON - days(1)
    assert recent_changes(creator, "USD", limit=2) == changes[:2]


def test_what_comes_and_goes_is_the_same_figure_with_the_other_sign(creator):
    """18 a year is 1.5 a month: 2 when it comes, and 2 when it goes."""
    change(subscribe(creator, plan="annual", amount_cents=18), status="cancelled")
    moved = [mrr_moved(each.yearly_cents_delta) for each in recent_changes(creator, "USD")]
    assert moved == [-2, 2]


def test_a_change_of_an_erased_reader_shows_no_stand_in(creator, django_assert_num_queries):
    subscribe(creator, "alex@example.com")
    erasure.erase("alex@example.com", actor="operator")
    with django_assert_num_queries(1):
        [change_] = recent_changes(creator, "USD")
        assert shown_email(change_.subscription.subscriber_email) == "Erased reader"
