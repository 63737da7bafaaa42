"""Migration 0029: the release before goes on charging, and the way back keeps what batches have written."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from tests import all_laws
from tests.wallet.books.test_several_entries import change, charges
from tests.wallet.entries import move
from tests.wallet.test_upgrades import BEFORE, begin_to_migrate, wallet_at  # noqa: F401 (a fixture)
from wallet.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "0029_wallets_move_by_several_entries"
CHARGE = {"kind": "deduct", "feature": "blog.article.generate", "count": 1, "held": 0}


def charge(**facts):
    """Charge one credit as the release before does: one update, one entry, the time of its host."""
    with transaction.atomic():
        return move("usr_1", -1, **CHARGE | facts)


@transaction.atomic
def two_charges(*which):
    change(-3, 2)
    charges(*which)


@pytest.mark.parametrize("operations", [0, 1, 2, 3])
def test_the_release_before_charges_between_the_operations(wallet_at, give, article_rate, operations):  # noqa: F811
    give("usr_1", 10)
    wallet_at(BEFORE[NAME])
    begin_to_migrate(NAME, operations)
    charge()
    charge(created_at=timezone.now() - timedelta(days=3))
    for wrong in ({"balance_after": 5}, {"sequence": 9}, {"sequence": 2}, {"credits": -2}):
        with pytest.raises(IntegrityError):
            charge(**wrong)
    times = list(Entry.objects.order_by("sequence").values_list("created_at", flat=True))
    assert len(times) == 3
    assert times == sorted(times)
    wallet_at()
    assert all_laws.broken() == []


def test_the_way_back_keeps_several_charges_of_one_update(wallet_at, give, article_rate):  # noqa: F811
    give("usr_1", 10)
    two_charges((2, 1, 9), (3, 2, 7))
    wallet_at(BEFORE[NAME])
    charge()
    with pytest.raises(IntegrityError):
        two_charges((5, 1, 5), (6, 2, 3))
    wallet_at()
    assert all_laws.broken() == []
