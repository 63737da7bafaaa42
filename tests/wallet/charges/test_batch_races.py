"""Batches that race with each other, with single charges and with other verbs: in real threads."""

from collections import Counter
from functools import partial
from typing import Any

import pytest

from accounts.service_keys import issue_service_key
from tests.crowd import at_once, outcomes_at_once
from tests.wallet.granted import grant
from tests.wallet.racing import charge, errors, hold, refund
from wallet.books.funds import available_of
from wallet.charges.batches import Item, deduct_all
from wallet.charges.deductions import Charge
from wallet.errors import InsufficientCredits
from wallet.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)

FEATURE = "blog.article.generate"


@pytest.fixture
def blog(db):
    return issue_service_key(product="blog")[0]


@pytest.fixture
def charged(blog):
    """Charge one credit for each key and user, again and again while an outcome is not known."""

    def batch(keys, users=("usr_1",)):
        items = [Item(user_id, FEATURE, 1, key) for key in keys for user_id in users]
        known: dict[Item, Any] = {}
        while left := [each for each in items if each not in known]:
            outcomes = zip(left, deduct_all(service=blog, items=left), strict=True)
            known |= {each: outcome for each, outcome in outcomes if outcome is not None}
        return [known[each] for each in items]

    return batch


def keys_of(user_id):
    charges = Entry.objects.filter(wallet_id=user_id, kind="deduct")
    return Counter(charges.values_list("idempotency_key", flat=True))


@pytest.mark.parametrize("round", range(3))
def test_equal_batches_charge_once(give, article_rate, charged, round):
    give("usr_1", 100)
    keys = [f"k{n}" for n in range(60)]
    calls = [partial(charged, keys[turn:] + keys[:turn]) for turn in range(0, 60, 10)]
    calls += [partial(charge, 1, key) for key in keys[::20]]
    at_once(calls)
    assert keys_of("usr_1") == Counter(keys)
    assert available_of("usr_1") == 40


@pytest.mark.parametrize("round", range(3))
def test_batches_and_single_charges_spend_no_more_than_there_is(give, article_rate, charged, round):
    give("usr_1", 50)
    calls = [partial(charged, [f"{thread}:{n}" for n in range(15)]) for thread in range(6)]
    calls += [partial(charge, 1, f"alone:{n}") for n in range(6)]
    outcomes = outcomes_at_once(calls)
    assert all(isinstance(error, InsufficientCredits) for error in errors(outcomes))
    found = [each for outcome in outcomes[:6] for each in outcome.result()]
    assert {type(each) for each in found} == {Charge, InsufficientCredits}
    made = sum(isinstance(each, Charge) for each in found) + sum(
        outcome.exception() is None for outcome in outcomes[6:]
    )
    assert (made, available_of("usr_1")) == (50, 0)


def test_batches_over_the_same_users_in_another_order_wait_for_no_circle(give, article_rate, charged):
    users = [f"usr_{n}" for n in range(4)]
    for user_id in users:
        give(user_id, 100)
    calls = [
        partial(charged, [f"{thread}:{n}" for n in range(8)], users[thread % 4 :] + users[: thread % 4])
        for thread in range(8)
    ]
    assert all(isinstance(each, Charge) for found in at_once(calls) for each in found)
    assert [available_of(user_id) for user_id in users] == [36] * 4


def test_what_else_moves_the_wallet_goes_on_meanwhile(give, article_rate, charged):
    """A grant, a hold and a refund make a wallet that is charged one by one, or change what is left."""
    give("usr_1", 100)
    first = charge(3, "first")
    calls = [partial(charged, [f"{thread}:{n}" for n in range(12)]) for thread in range(4)]
    at_once(
        [
            *calls,
            partial(grant, credits=10),
            partial(hold, "chat:1", 5),
            partial(refund, "undo", {"pk": first.pk}),
            partial(give, "usr_1", 7),
        ]
    )
    assert available_of("usr_1") == 100 - 48 + 10 - 5 + 7
    assert len(keys_of("usr_1")) == 49
