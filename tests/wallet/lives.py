"""The life of a payment at the stand-in for Stripe, with each of its events delivered to the webhook."""

from collections.abc import Callable
from typing import Any

from tests.wallet.conftest import StandIn
from wallet.models import TopUp


class Life:
    """A payment of a user: it is paid at Stripe, and the service hears of it."""

    def __init__(self, stand_in: StandIn, deliver: Callable[..., Any], *, user_id: str, dollars: int = 25):
        self.stand_in, self.deliver = stand_in, deliver
        self.session_id = stand_in.paid_session(cents=dollars * 100, user_id=user_id)
        self.hear()

    @property
    def topup(self) -> TopUp:
        return TopUp.objects.get(stripe_session_id=self.session_id)

    def refunds(self, dollars: int, status: str = "succeeded") -> str:
        """Refund some of it; returns the refund's id."""
        body = {"amount": dollars * 100, "status": status}
        return str(self.happens(f"sessions/{self.session_id}/refund", **body)["id"])

    def is_disputed(self, dollars: int | None = None) -> str:
        """Dispute it; returns the dispute's id."""
        body = {} if dollars is None else {"amount": dollars * 100}
        return str(self.happens(f"sessions/{self.session_id}/dispute", **body)["id"])

    def happens(self, path: str, **body: Any) -> dict[str, Any]:
        """Let something happen at Stripe, such as refunds/<id>/fail, and hear of it."""
        answer: dict[str, Any] = self.stand_in.sandbox.control(path, **body)
        self.hear()
        return answer

    def hear(self) -> None:
        """Deliver every event of the payment, also those that were delivered before."""
        for event in self.stand_in.events(self.session_id):
            assert self.deliver(event).status_code == 200
