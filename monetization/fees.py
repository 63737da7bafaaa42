"""Compute the platform's fee, without the database. Amounts are in the smallest unit of a currency."""

from dataclasses import dataclass

BPS_OF_THE_WHOLE = 10_000


@dataclass(frozen=True)
class Split:
    """The gross amount that a reader paid, the fee and the net amount. Fee plus net is the gross amount."""

    gross_cents: int
    fee_cents: int
    net_cents: int

    def __post_init__(self) -> None:
        assert self.fee_cents + self.net_cents == self.gross_cents
        assert 0 <= self.fee_cents <= self.gross_cents


def percent(bps: int) -> str:
    """Return a fee in basis points as a percentage.

    >>> percent(500), percent(275), percent(50)
    ('5%', '2.75%', '0.5%')
    """
    whole, rest = divmod(bps, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") + "%"


def split(gross_cents: int, *, fee_bps: int) -> Split:
    """Split a tip into the fee and the net amount. The fee is rounded half up (contract 19).

    `fee_bps` is in basis points, 0 to 10,000.

    >>> split(500, fee_bps=500)
    Split(gross_cents=500, fee_cents=25, net_cents=475)
    """
    fee_cents = (gross_cents * fee_bps + BPS_OF_THE_WHOLE // 2) // BPS_OF_THE_WHOLE
    return Split(gross_cents, fee_cents, gross_cents - fee_cents)


def returned(fee_cents: int, *, refunded_cents: int, gross_cents: int) -> int:
    """Return how much of the fee is returned in total when `refunded_cents` are refunded in total.

    The fee is returned pro rata, rounded half up. Only the total is rounded, so the parts of several refunds
    add up to exactly the fee. For example, a tip of 999 with a fee of 50, refunded in three equal parts,
    returns 17, 16 and 17. If each part were rounded alone, the sum would be 51.
    """
    return (2 * fee_cents * refunded_cents + gross_cents) // (2 * gross_cents)
