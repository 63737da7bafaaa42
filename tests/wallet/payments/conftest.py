"""Lives of payments in the sandbox, and a Stripe that says of payouts what a test tells it to."""

from types import SimpleNamespace

import pytest

from tests.wallet.lives import Life
from tests.wallet.payments.payout_rows import MARCH
from wallet.errors import WrongAnswer
from wallet.payments.payouts import reading


@pytest.fixture
def life(stand_in, deliver):
    def begun(user_id="usr_1", dollars=25):
        return Life(stand_in, deliver, user_id=user_id, dollars=dollars)

    return begun


@pytest.fixture
def told_by_stripe(monkeypatch):
    """Stripe has nothing new, and says of each payout what `of` has. `asked` are the payouts asked for."""
    said = SimpleNamespace(asked=[], of={})

    def one(kind, pk):
        body = {"arrival_date": int(MARCH.timestamp()), "reconciliation_status": "in_progress"}
        said.asked.append(pk)
        answer = said.of.get(pk, {"status": "paid"})
        if isinstance(answer, WrongAnswer):
            raise answer
        return answer if answer is None else body | answer

    monkeypatch.setattr(reading.stripe_lists, "one", one)
    monkeypatch.setattr(reading.stripe_lists, "pages", lambda kind, **where: iter(()))
    return said
