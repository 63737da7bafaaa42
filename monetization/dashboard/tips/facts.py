"""What the page of one tip says, and what a refund would do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from accounts.mail.outbox import one_line
from accounts.models import User
from foundation import money
from monetization import fees
from monetization.dashboard.tags import Fact
from monetization.models import NAME_LENGTH, Refund, Tip
from monetization.privacy.placeholders import is_erased
from monetization.tips import RefundPreview

# --- Tips -------------------------------------------------------------------------------------------


def tip_facts(tip: Tip) -> list[Fact]:
    """What a tip was worth, and what became of it."""
    facts = [
        Fact("Paid", money.amount(tip.gross_cents, tip.currency)),
        Fact(f"Platform fee, {fees.percent(tip.fee_bps)}", money.amount(tip.fee_cents, tip.currency)),
        Fact("Net of platform fee", money.amount(tip.net_cents, tip.currency)),
    ]
    if tip.refunded_cents:
        facts += [
            Fact("Refunded so far", money.amount(tip.refunded_cents, tip.currency)),
            Fact("Fee returned with it", money.amount(tip.fee_returned_cents, tip.currency)),
            Fact("Left for you", money.amount(tip.net_after_refunds_cents, tip.currency)),
        ]
    return facts


@dataclass(frozen=True)
class RefundRow:
    """A refund of a tip."""

    at: datetime
    amount: str
    given_by_creator: str
    fee_returned: str


def refund_rows(refunds: Sequence[Refund]) -> list[RefundRow]:
    """A tip's refunds."""
    return [
        RefundRow(
            at=refund.created_at,
            amount=money.amount(refund.amount_cents, refund.currency),
            given_by_creator=money.amount(refund.amount_cents - refund.fee_returned_cents, refund.currency),
            fee_returned=money.amount(refund.fee_returned_cents, refund.currency),
        )
        for refund in refunds
    ]


def refund_sentences(preview: RefundPreview) -> list[Fact]:
    """Who gets what by a refund."""
    return [
        Fact("The reader gets", money.amount(preview.reader_gets_cents, preview.currency)),
        Fact("You give back", money.amount(preview.creator_gives_cents, preview.currency)),
        Fact("Fee returned", money.amount(preview.fee_returned_cents, preview.currency)),
    ]


def thanks_url(tip: Tip, creator: User) -> str:
    """A mailto address that begins a mail of thanks; empty where there is nobody to write to.

    Every word in it is percent-encoded, so that none can add a recipient or a header (RFC 6068).
    """
    if not tip.email or is_erased(tip.email):
        return ""
    name = one_line(tip.name, NAME_LENGTH)
    greeting = f"Hi {name}," if name else "Hi,"
    signature = one_line(creator.name, NAME_LENGTH)
    amount = money.amount(tip.gross_cents, tip.currency)
    body = f"{greeting}\r\n\r\nthank you for your tip of {amount}.\r\n" + (
        f"\r\n{signature}\r\n" if signature else ""
    )
    query = f"subject={quote('Thank you for your tip', safe='')}&body={quote(body, safe='')}"
    return f"mailto:{quote(tip.email, safe='@')}?{query}"


def refund_key(seen_cents: int) -> str:
    """The key of the refund that goes on from so much refunded already: there is one such refund."""
    return f"dashboard:{seen_cents}"
