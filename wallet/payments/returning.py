"""Ask Stripe about the payment of a user who has just come back, who then need not wait for a webhook."""

import logging

from django.utils import timezone

from accounts import maintenance
from accounts.throttling import hit
from wallet.errors import StripeOutOfReach
from wallet.payments import stripe_gateway
from wallet.payments.models import TopUp
from wallet.payments.sessions import Parked, is_ours
from wallet.payments.settlement import settle

logger = logging.getLogger(__name__)

ASKED_A_MINUTE = 1


def ask_stripe(topup: TopUp) -> None:
    """Settle an open top-up if Stripe says that its checkout is complete, as the webhook would.

    All processes together ask about a session at most once a minute. If Stripe is out of reach, if too many
    calls run, or if changes are paused, nothing happens: the webhook still comes.
    """
    session_id = topup.stripe_session_id
    if not session_id or maintenance.reason() is not None:
        return
    if not hit("wallet.returning", session_id, limit=ASKED_A_MINUTE).allowed:
        return
    try:
        session = stripe_gateway.session_while_waited_for(session_id)
    except StripeOutOfReach:
        return
    if session is None or not is_ours(session) or session.get("status") != "complete":
        return
    try:
        settle(session, happened_at=timezone.now())
    except Parked as parked:
        # The event of this session is parked for the same reason, and staff decide on it.
        logger.warning("The session %s of a user who came back cannot be credited: %s", session_id, parked)
