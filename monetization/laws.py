"""The laws of creators' records, as queries. They are checked together with the laws of the wallet."""

from collections.abc import Iterator

from foundation.database import guards
from monetization.days.closing import NUMBERS
from monetization.guards import GUARDS
from wallet.books.laws import Violation, broken
from wallet.books.laws.acts import ACTS_BEGAN

LAWS = {
    "A subscription brings in a year what its events add up to": """
        SELECT subscription.id, format('%%s, events add up to %%s',
                                       subscription.yearly_cents, sum(event.yearly_cents_delta))
          FROM monetization_subscription subscription
          LEFT JOIN monetization_subscriptionevent event ON event.subscription_id = subscription.id
         GROUP BY subscription.id
        HAVING subscription.yearly_cents IS DISTINCT FROM sum(event.yearly_cents_delta)
    """,
    "What a tip has given back is what its refunds add up to": """
        SELECT tip.id, format('%%s and %%s of the fee, refunds add up to %%s and %%s',
                              tip.refunded_cents, tip.fee_returned_cents,
                              coalesce(sum(refund.amount_cents), 0),
                              coalesce(sum(refund.fee_returned_cents), 0))
          FROM monetization_tip tip LEFT JOIN monetization_refund refund ON refund.tip_id = tip.id
         GROUP BY tip.id
        HAVING tip.refunded_cents <> coalesce(sum(refund.amount_cents), 0)
            OR tip.fee_returned_cents <> coalesce(sum(refund.fee_returned_cents), 0)
            OR bool_or(refund.currency <> tip.currency OR refund.creator_id <> tip.creator_id)
    """,
    # A creator refunds their own tips without one.
    "Each refund of a tip by staff has its act": f"""
        SELECT refund.id, format('%%s of %%s by %%s', refund.amount_cents, refund.tip_id, refund.actor)
          FROM monetization_refund refund
          LEFT JOIN accounts_act act ON 'user:' || act.staff_id = refund.actor AND act.form_key = refund.key
           AND act.model = 'monetization.tip' AND act.row_id = refund.tip_id
         WHERE refund.actor <> 'user:' || refund.creator_id AND act.id IS NULL
           AND refund.created_at >= {ACTS_BEGAN}
    """,
    # Totals that are wrong, missing, or of days that are not closed.
    "The totals of a creator's closed day are what the records add up to": f"""
        WITH added AS (
             SELECT * FROM monetization_totals('-infinity', (
                    SELECT (max(day) + 1)::timestamp AT TIME ZONE 'UTC' FROM monetization_closedday))),
        kept AS (SELECT creator_id, currency, day, {", ".join(NUMBERS)} FROM monetization_daytotal)
        SELECT concat_ws(' ', creator_id, nullif(currency, ''), day),
               format('%%s kept, %%s there', row_to_json(kept), row_to_json(added))
          FROM kept FULL JOIN added USING (creator_id, currency, day)
         WHERE ({", ".join(f"kept.{name}" for name in NUMBERS)})
               IS DISTINCT FROM ({", ".join(f"added.{name}" for name in NUMBERS)})
         ORDER BY 1
    """,
    guards.name_of("creators' records"): guards.law(GUARDS),
}


def find_violations() -> Iterator[Violation]:
    """Yield every violation of these laws."""
    for law, query in LAWS.items():
        yield from broken(law, query, {})
