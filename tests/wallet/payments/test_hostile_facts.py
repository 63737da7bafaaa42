"""What no honest Stripe reports: an object of another kind, or one that changes its payment."""

import pytest

from tests.wallet.reversed import dispute_of, event_of, refund_of
from wallet.books import laws
from wallet.books.funds import available_of
from wallet.models import StripeEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid(deliver, checkout_event):
    for n, user in enumerate(("usr_1", "usr_2"), 1):
        assert deliver(checkout_event(f"cs_test_{n}", user_id=user)).status_code == 200


@pytest.mark.parametrize("about", [refund_of, lambda intent, cents: dispute_of(intent, -cents, id="re_1")])
def test_a_fact_never_moves_to_another_payment(paid, deliver, about):
    type = "refund.updated" if about is refund_of else "charge.dispute.updated"
    deliver(event_of(type, about("pi_cs_test_1", 1000), id="evt_1"))
    deliver(event_of(type, about("pi_cs_test_2", 1000), id="evt_2"))
    assert (available_of("usr_1"), available_of("usr_2")) == (15, 25)
    event = StripeEvent.objects.get(pk="evt_2")
    assert (event.state, event.remark) == ("parked", "It was reported for another payment before.")
    assert laws.violations() == []
