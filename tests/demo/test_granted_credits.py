"""The demonstration's grants and budgets: made by the real verbs, and shown on the pages."""

import pytest
from django.db.models import Sum
from django.utils import timezone

from accounts.models import User
from demo import granted_credits
from demo.granted_credits import GRANTED
from demo.year_of_data import DEMO_STAFF, RATES
from foundation.calendar import day_of, start_of
from tests.factories import StaffFactory
from tests.html import browser_of, table, words
from tests.wallet.conftest import forget_the_client
from wallet.books.funds import funds_of
from wallet.charges import budgets
from wallet.grants import granting
from wallet.models import Entry, Lot
from wallet.prices import rates

pytestmark = pytest.mark.django_db


@pytest.fixture
def seeded(sandbox, monkeypatch):
    """The user, in our database and at the sandbox's Stripe."""
    forget_the_client()
    sandbox.control("reset")
    monkeypatch.setenv("DATA_DIR", str(sandbox.data_dir))
    for feature, label, credits, unit in RATES:
        rates.set_rate(feature=feature, label=label, credits=credits, unit=unit, actor="sandbox")
    StaffFactory.create(misar_id=DEMO_STAFF)
    granted_credits.seed()
    yield
    sandbox.control("reset")
    forget_the_client()


def states():
    lots = granting.page(user_id=GRANTED, product=None, limit=50)
    return sorted(lot.state_at(lots.now) for lot in lots.lots)


def test_the_pages_show_them(seeded):
    assert states() == ["active", "active", "active", "voided"]
    answer = browser_of(User.objects.get(pk=GRANTED)).get("/wallet")
    assert [(row[0], row[1], row[4]) for row in table(answer, "grants_title")] == [
        ("Welcome to the blog", "MisarBlog", "2 of 10"),
        ("Sorry for the slow campaigns in October", "Misar", "18 of 20"),
        ("A year of the newsletter", "MisarMail", "15 of 15"),
    ]
    # Early in a month, some of the charges of nine days ago are of the month before.
    this_month = start_of(day_of(timezone.now()).replace(day=1))
    charges = Entry.objects.filter(wallet_id=GRANTED, kind="deduct", created_at__gte=this_month)
    charged = charges.aggregate(total=Sum("credits"))["total"]
    assert [row[:3] for row in table(answer, "budgets_title")] == [
        ["All products, each month", "You", f"{2 - charged} of 100"],  # Two are held.
        ["MisarBlog, each day Used up", "You", "8 of 8"],
        ["MisarReach, each day Stops all charges", "You", "0 of 0"],
        ["MisarMail, each month", "MisarMail", "4 of 40"],
    ]
    assert "Your budget for MisarBlog is used up" in words(answer)


def test_a_second_run_adds_nothing_while_grants_are_left(seeded):
    granted_credits.seed()
    assert Lot.objects.count() == 4


def test_a_run_after_their_end_makes_new_ones(seeded):
    for lot in Lot.objects.filter(remaining__gt=0):
        granting.void(user_id=GRANTED, grant_id=lot.pk, product=None)
    granted_credits.seed()
    assert states().count("active") == 3
    assert len(budgets.budgets_of(GRANTED)) == len(granted_credits.BUDGETS)
    assert funds_of(GRANTED).granted == 47  # Two credits of the first grants are still held.
