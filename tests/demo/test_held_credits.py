"""The demonstration's holds and its frozen wallet: made by the real verbs, and shown on the pages."""

import pytest

from accounts.models import Act, User
from demo import held_credits
from demo.held_credits import FROZEN, HOLDER
from demo.year_of_data import DEMO_STAFF, RATES
from tests.factories import StaffFactory
from tests.html import browser_of, table, words
from tests.wallet.conftest import forget_the_client
from wallet.books.funds import available_of, funds_of
from wallet.charges import holds
from wallet.models import Hold
from wallet.prices import rates

pytestmark = pytest.mark.django_db


@pytest.fixture
def seeded(sandbox, monkeypatch):
    """Both users, in our database and at the sandbox's Stripe."""
    forget_the_client()
    sandbox.control("reset")
    monkeypatch.setenv("DATA_DIR", str(sandbox.data_dir))
    for feature, label, credits, unit in RATES:
        rates.set_rate(feature=feature, label=label, credits=credits, unit=unit, actor="sandbox")
    StaffFactory.create(misar_id=DEMO_STAFF)
    held_credits.seed()
    yield
    sandbox.control("reset")
    forget_the_client()


def test_a_user_has_open_holds_and_some_that_ended(seeded):
    assert funds_of(HOLDER).balance == 35
    states = list(Hold.objects.filter(wallet_id=HOLDER).values_list("state", flat=True))
    assert sorted(states) == ["captured", "open", "open", "open", "open", "voided"]  # The last one runs out.


def test_the_pages_show_them(seeded, staff):
    user = User.objects.get(pk=HOLDER)
    held = table(browser_of(user).get("/wallet"), "held_title")
    assert {(row[0], row[1]) for row in held} >= {
        ("Send a campaign × 4", "MisarReach"),
        ("Generate an article × 3", "MisarBlog"),
        ("Send emails × 6,000", "MisarMail"),
    }
    assert "Your wallet is frozen." in words(browser_of(User.objects.get(pk=FROZEN)).get("/wallet"))
    [act] = Act.objects.all()
    assert (act.about, act.label) == (FROZEN, "Freeze this wallet")


def test_a_second_run_adds_nothing_while_holds_are_open(seeded):
    before = set(Hold.objects.values_list("pk", flat=True))
    held_credits.seed()
    assert set(Hold.objects.values_list("pk", flat=True)) == before


def test_a_run_after_their_end_makes_new_ones(seeded):
    for hold in Hold.objects.filter(wallet_id=HOLDER, state="open"):
        holds.void(user_id=HOLDER, hold_id=hold.pk, product=None)
    held_credits.seed()
    made = holds.page(user_id=HOLDER, product=None, state="open", limit=10).holds
    assert [(hold.feature, hold.count) for hold in made] == [
        (feature, count) for feature, count, _ in reversed(held_credits.OPEN)
    ]
    assert available_of(HOLDER) == 18
