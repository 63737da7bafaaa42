"""Charging, as a verb: which of key, feature, rate and balance decides (contract 9)."""

import pytest

from accounts.errors import FeatureNotAllowed
from accounts.models import ServiceKey
from foundation.errors import KeyReused
from tests.crowd import wallet_locked_by_another
from tests.wallet import by_hand
from tests.wallet.reversed import leave_owing
from wallet.books.funds import available_of
from wallet.charges import deductions
from wallet.errors import ChargeGivenBack, InsufficientCredits, UnknownFeature
from wallet.models import Entry
from wallet.prices import rates

ARTICLE = "blog.article.generate"
KEY = "article:my-post"


def deduct(count=1, *, key=KEY, feature=ARTICLE, user_id="usr_1", product="blog"):
    service = ServiceKey(product=product, prefix="wsk_test")
    return deductions.deduct(service=service, user_id=user_id, feature=feature, count=count, key=key)


def set_price(credits, *, feature=ARTICLE, active=True):
    rates.set_rate(feature=feature, label="Label", credits=credits, unit="unit", active=active, actor="test")


def give_back(entry, credits=None, key="refund-1"):
    return by_hand.give_back(entry=entry, credits=credits, reason="Failed", key=key, actor="user:staff:1")


def books():
    return list(Entry.objects.order_by("wallet_id", "sequence").values())


@pytest.fixture
def charge(give, article_rate):
    """2 of 10 credits went for two articles, under a key."""
    give("usr_1", 10)
    return deduct(2).entry


@pytest.fixture
def answered_again(charge):
    """The same request still answers the first charge, and moves nothing."""

    def check(count=2):
        before = books()
        again = deduct(count)
        assert (again.entry, again.replayed) == (charge, True)
        # What the answer is made of is as it was.
        assert (again.entry.balance_before, again.entry.balance_after, again.entry.charged) == (10, 8, 2)
        assert books() == before

    return check


# --- The same request again -------------------------------------------------------------------------


def test_a_first_charge_is_no_replay(give, article_rate):
    give("usr_1", 10)
    first = deduct(2)
    assert (first.replayed, first.entry.credits, first.entry.idempotency_key) == (False, -2, KEY)


def test_a_replay_is_the_first_charge(answered_again):
    answered_again()
    answered_again()


def test_a_replay_whatever_the_balance_is_now(answered_again, give):
    deduct(8, key="all-the-rest")
    answered_again()  # Nothing is left.
    give("usr_1", 1000)
    answered_again()


@pytest.mark.parametrize("credits", [1, 5, 1_000_000_000])
def test_a_replay_whatever_the_rate_is_now(answered_again, credits):
    set_price(credits)
    answered_again()


def test_a_replay_when_the_feature_was_withdrawn(answered_again):
    set_price(1, active=False)
    answered_again()


@pytest.mark.breaks_the_books  # No release deletes a price.
def test_a_replay_when_the_feature_is_not_even_in_the_table(answered_again):
    rates.Rate.objects.filter(feature=ARTICLE).delete()
    answered_again()


def test_a_replay_when_a_part_was_given_back(answered_again, charge):
    give_back(charge, 1)
    answered_again()


def test_a_replay_when_the_user_owes(answered_again, give):
    leave_owing(give, "usr_1", 50)
    answered_again()


# --- The same key for something else ----------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        {"count": 1},
        {"count": 3},
        {"count": 1_000_000},  # More than there is: the key is judged first.
        {"count": 2, "feature": "mail.send"},
        {"count": 2, "feature": "no.such.feature"},
        {"count": 2, "feature": ARTICLE.upper()},
    ],
)
def test_a_key_that_was_used_for_another_request_is_refused(charge, other):
    before = books()
    with pytest.raises(KeyReused):
        deduct(**other)
    assert books() == before


def test_a_key_that_was_used_is_refused_for_a_withdrawn_feature(charge):
    set_price(1, feature="mail.send", active=False)
    with pytest.raises(KeyReused):
        deduct(2, feature="mail.send")


@pytest.mark.parametrize("parts", [[None], [2], [1, 1], [1, None]])
def test_the_key_of_a_charge_given_back_in_whole_is_refused(charge, parts):
    for number, credits in enumerate(parts):
        give_back(charge, credits, key=f"refund-{number}")
    before = books()
    with pytest.raises(ChargeGivenBack, match="This charge was given back; use a new key"):
        deduct(2)
    assert books() == before
    assert deduct(2, key="article:my-post:2").replayed is False


# --- A refusal leaves the key free ------------------------------------------------------------------


def test_a_refusal_for_want_of_credits_leaves_the_key_free(give, article_rate):
    with pytest.raises(InsufficientCredits):
        deduct(2)
    give("usr_1", 1)
    with pytest.raises(InsufficientCredits) as refusal:
        deduct(2)
    assert (refusal.value.available, refusal.value.required) == (1, 2)
    give("usr_1", 9)
    assert deduct(2).replayed is False
    assert deduct(2).replayed is True


def test_a_refused_request_may_come_back_as_another(give, article_rate):
    give("usr_1", 1)
    with pytest.raises(InsufficientCredits):
        deduct(2)
    assert deduct(1).entry.count == 1


@pytest.mark.parametrize("active", [True, False])
def test_a_refusal_for_want_of_a_rate_leaves_the_key_free(give, active):
    give("usr_1", 10)
    if not active:
        set_price(1, feature="new.feature", active=False)
    with pytest.raises(UnknownFeature, match=r"new\.feature"):
        deduct(feature="new.feature")
    set_price(3, feature="new.feature")
    assert deduct(feature="new.feature").entry.credits == -3


# --- Whose key it is --------------------------------------------------------------------------------


def test_a_key_is_of_one_user_and_one_product(charge, give):
    give("usr_2", 10)
    assert deduct(2, user_id="usr_2").replayed is False
    assert deduct(2, product="mail").replayed is False
    assert deduct(3, product="mail", key="another").replayed is False
    with pytest.raises(KeyReused):
        deduct(3, product="mail")


def test_a_key_of_staff_is_not_a_key_of_a_product(charge):
    by_hand.adjust(user_id="usr_1", credits=5, reason="Goodwill", key="shared", actor="user:staff:1")
    give_back(charge, 1, key="shared")
    assert deduct(1, key="shared").replayed is False


def test_without_a_key_each_charge_is_its_own(give, article_rate):
    give("usr_1", 10)
    assert deduct(key="").entry != deduct(key="").entry
    assert available_of("usr_1") == 8


# --- The order of the wallet ------------------------------------------------------------------------


def test_a_price_is_the_one_of_the_moment(give, article_rate):
    give("usr_1", 100)
    assert deduct(2, key="a").entry.credits == -2
    set_price(7)
    assert deduct(2, key="b").entry.credits == -14


@pytest.mark.django_db(transaction=True)
def test_a_used_key_waits_for_the_wallet_like_any_charge(charge):
    """A wallet that is locked for long is the caller's 503, also for a replay: nothing is guessed."""
    with wallet_locked_by_another("usr_1"), pytest.raises(Exception, match="lock timeout"):
        deduct(2)
    assert deduct(2).replayed is True


# --- Which features a service key may charge ---------------------------------------------------------


def test_a_feature_outside_the_keys_prefixes_is_refused_before_the_history_decides(charge):
    before = books()
    service = ServiceKey(product="blog", prefix="wsk_test", feature_prefixes=["mail."])
    for key in (KEY, "another"):
        with pytest.raises(FeatureNotAllowed, match=f"may not charge {ARTICLE}"):
            deductions.deduct(service=service, user_id="usr_1", feature=ARTICLE, count=2, key=key)
    assert books() == before
