"""The only place where credits and cents meet, and where either becomes text.

Credits are whole numbers; 1 credit = US$1. Cents are what Stripe counts. No float appears anywhere.
"""

CENTS_PER_CREDIT = 100


def credits_from_cents(cents: int) -> int:
    """Whole credits bought by a payment of US cents; a remainder under one dollar buys nothing."""
    return cents // CENTS_PER_CREDIT


def cents_from_dollars(dollars: int) -> int:
    """US cents of a whole-dollar amount."""
    return dollars * 100


def signed(amount: int) -> str:
    """A figure for people: thousands separated, a true minus sign, a plus where it adds.

    >>> signed(1250), signed(-40)
    ('+1,250', '−40')
    """
    return f"{amount:+,}".replace("-", "\N{MINUS SIGN}")


def plain(amount: int) -> str:
    """The same without a plus sign.

    >>> plain(1250), plain(-40)
    ('1,250', '−40')
    """
    return f"{amount:,}".replace("-", "\N{MINUS SIGN}")


def dollars(cents: int) -> str:
    """US cents as people read them.

    >>> dollars(2500), dollars(1999)
    ('$25.00', '$19.99')
    """
    return f"${cents // 100:,}.{cents % 100:02d}"
