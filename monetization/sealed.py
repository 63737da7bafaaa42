"""Which tables of this app seals cover. The canonical text of a format that was released never changes."""

from wallet.seals.formats import INTEGER, TIME, Rows, columns
from wallet.seals.tables import Table

SUBSCRIPTION_EVENTS = Table(
    "monetization_subscriptionevent",
    key="id",
    formats={
        1: Rows(
            columns(
                "id subscription_id creator_id kind status plan amount_cents currency yearly_cents_delta"
                " occurred_at created_at",
                {
                    "id": INTEGER,
                    "amount_cents": INTEGER,
                    "yearly_cents_delta": INTEGER,
                    "occurred_at": TIME,
                    "created_at": TIME,
                },
            )
        )
    },
)
ERASURES = Table(
    "monetization_erasure",
    key="id",
    formats={
        1: Rows(
            columns(
                "id actor tips subscriptions created_at",
                {"id": INTEGER, "tips": INTEGER, "subscriptions": INTEGER, "created_at": TIME},
            )
        )
    },
)
REFUNDS = Table(
    "monetization_refund",
    key="number",
    formats={
        1: Rows(
            columns(
                "number id tip_id creator_id amount_cents fee_returned_cents currency key actor created_at",
                {
                    "number": INTEGER,
                    "amount_cents": INTEGER,
                    "fee_returned_cents": INTEGER,
                    "created_at": TIME,
                },
            ),
            words=columns("reason", {}),
        )
    },
)
