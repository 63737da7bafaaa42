"""How much a product may grant: at most so much at a time, and so much in a UTC month.

The month is counted in one row of the product. A grant locks it last, after the wallet, so that grants of a
product wait for each other only for a moment.
"""

from dataclasses import dataclass
from datetime import date

from django.db import connection

from wallet.errors import OverCap
from wallet.grants.models import GrantedMonth

# The condition is checked on the row as it is once this transaction has it, so the cap is exact.
COUNT = """
INSERT INTO wallet_grantedmonth AS counted (product, month, credits)
VALUES (%(product)s, %(month)s, %(credits)s)
    ON CONFLICT (product, month) DO UPDATE SET credits = counted.credits + %(credits)s
 WHERE counted.credits + %(credits)s <= %(cap)s
"""


@dataclass(frozen=True)
class Caps:
    """The most credits that one grant may have, and that the product may grant in a UTC month."""

    grant: int
    month: int


def count(product: str, caps: Caps, credits: int, *, month: date) -> None:
    """Count a grant in the product's month. Raises OverCap if it is too large, or too much for the month."""
    if credits <= min(caps.grant, caps.month):
        with connection.cursor() as cursor:
            cursor.execute(COUNT, {"product": product, "month": month, "credits": credits, "cap": caps.month})
            if cursor.rowcount:
                return
    counted = GrantedMonth.objects.filter(product=product, month=month).values_list("credits", flat=True)
    raise OverCap(max(0, min(caps.grant, caps.month - (counted.first() or 0))))
