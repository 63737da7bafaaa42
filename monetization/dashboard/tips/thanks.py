"""A mail of thanks for a tip, which the creator's own mail program opens."""

from urllib.parse import quote

from accounts.mail.outbox import one_line
from foundation import money
from monetization.models import NAME_LENGTH, Tip
from monetization.privacy.placeholders import is_erased


def thanks_url(tip: Tip) -> str:
    """A mailto address; empty where the tip has no address, or its reader was erased.

    Every word in it is percent-encoded, so that none can add a recipient or a header (RFC 6068).
    """
    if not tip.email or is_erased(tip.email):
        return ""
    name, signature = one_line(tip.name, NAME_LENGTH), one_line(tip.creator.name, NAME_LENGTH)
    amount = money.amount(tip.gross_cents, tip.currency)
    body = f"Hi {name},\r\n\r\n" if name else "Hi,\r\n\r\n"
    body += f"thank you for your tip of {amount}.\r\n"
    if signature:
        body += f"\r\n{signature}\r\n"
    query = f"subject={quote('Thank you for your tip', safe='')}&body={quote(body, safe='')}"
    return f"mailto:{quote(tip.email, safe='@')}?{query}"
