"""A link that opens a thank-you mail for a tip in the creator's own mail program."""

from urllib.parse import quote

from foundation import money
from foundation.text import one_line
from monetization.models import NAME_LENGTH, Tip
from monetization.privacy.placeholders import is_erased


def thanks_url(tip: Tip) -> str:
    """Return a mailto URL; "" if the tip has no e-mail address or its reader was erased.

    The texts in the URL are percent-encoded, so a text cannot add a recipient or a header (RFC 6068).
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
