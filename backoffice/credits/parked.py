"""What staff should do about a Stripe event that could not be handled, for each reason."""

from wallet.models import StripeEvent
from wallet.payments import handlers

State = StripeEvent.State

ELSEWHERE = (
    "The money went to another account of Stripe, so no credits are due here. Check why our webhook gets its "
    "events, then resolve it without credits."
)
OTHER_MODE = (
    "It is about test money in a live system, or the other way round. If our key was wrong, correct the key "
    "and handle it again. Otherwise resolve it without credits."
)
OTHER_MONEY = (
    "Agree on the credits with the user, or refund the payment in Stripe's dashboard. Then resolve it, with "
    "or without credits."
)
REVERSED_IN_OTHER_MONEY = (
    "Look in Stripe's dashboard how much went back. Adjust the user's balance by that, then resolve it."
)
NO_USER = "Find the user by the payment in Stripe's dashboard. Then resolve it, with credits for this user."
TWO_USERS = (
    "Our record and Stripe name different users. Find out in Stripe's dashboard who paid. Then resolve it, "
    "with credits for this user."
)
BY_HAND = (
    "Stripe gave money of this payment back, or took it. Look in Stripe's dashboard how much, adjust the "
    "user's balance by that, then resolve it."
)
DECIDED = (
    "Staff decided about this payment before, and nothing is missing. If the user paid twice, refund "
    "one payment in Stripe's dashboard. Then resolve it without credits."
)
NO_MONEY = (
    "If Stripe's dashboard shows no money for it, adjust the user's balance by the credits of the top-up. "
    "Then resolve it."
)
DAMAGED = (
    "Change nothing in this wallet. Ask the operators to run check_ledger. When the cause is repaired, "
    "handle it again."
)
UNREADABLE = (
    "Stripe sent something that this release cannot read. Tell the developers, and handle it again after an "
    "update. If it can't wait: adjust the user's balance by what Stripe's dashboard says, then resolve it."
)
# A part of the reason, and what to do. The first part that is found counts.
ADVICE = (
    ("connected account", ELSEWHERE),
    ("(context)", ELSEWHERE),
    ("does not match the mode of our Stripe key", OTHER_MODE),
    ("The payment is not in US dollars", OTHER_MONEY),
    ("amount_total is", OTHER_MONEY),
    ("It is not in US dollars", REVERSED_IN_OTHER_MONEY),
    ("another currency than US dollars", REVERSED_IN_OTHER_MONEY),
    ("metadata.user_id", NO_USER),
    ("names another user", TWO_USERS),
    ("were given by hand", BY_HAND),
    ("was resolved by hand before", DECIDED),
    ("the payment failed, but its credits came in", NO_MONEY),
    ("but no payment is recorded", DAMAGED),
    ("does not fit its entry", DAMAGED),
    ("does not fit its payment", DAMAGED),
    ("has no top-up", DAMAGED),
)
FAILED = "The cause is on our side. Read the traceback; once the cause is fixed, handle it again."
KEPT = (
    "An earlier release stored it and did nothing about the refund or dispute. Handle it again: the credits "
    "of the payment then follow."
)


def what_to_do(event: StripeEvent) -> str:
    """Return what staff should do about an event; "" if there is nothing to do."""
    if event.state == State.KEPT:
        return KEPT
    if event.state == State.WAITING:
        return FAILED if event.tries else ""
    if event.state != State.PARKED:
        return ""
    return next((advice for part, advice in ADVICE if part in event.remark), UNREADABLE)


def is_about_reversal(event: StripeEvent) -> bool:
    """Return whether an event is about a refund or a dispute. It then credits no payment."""
    return event.type in handlers.OF_REVERSALS
