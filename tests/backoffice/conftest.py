"""The sandbox in the place of Stripe, for tests of what staff ask Stripe for."""

import pytest

from tests.backoffice.members import StaffBrowser, signed_in
from tests.factories import StaffFactory
from tests.wallet.conftest import new_gateway, stand_in, start_topup, stripe_at

__all__ = ["new_gateway", "stand_in", "start_topup", "stripe_at"]


@pytest.fixture
def staff(db: None) -> StaffBrowser:
    """A browser of a signed-in staff member who sends each form twice that shows a preview first."""
    return signed_in(StaffFactory.create())


@pytest.fixture
def report(stand_in, deliver):
    """Deliver all events that Stripe has about a top-up. Those that arrived before change nothing."""

    def reported(topup):
        for event in stand_in.events(topup.stripe_session_id):
            assert deliver(event).status_code == 200
        topup.refresh_from_db()

    return reported


@pytest.fixture
def pay(stand_in, start_topup, report):
    """A user pays for credits, and Stripe reports it. Returns the top-up."""

    def paid(user_id="usr_1", dollars=25):
        topup = start_topup(user_id, dollars)
        stand_in.happens("pay", topup.stripe_session_id)
        report(topup)
        return topup

    return paid
