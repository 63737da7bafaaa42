-- The totals of the days from one midnight (UTC) to another, by creator, currency and day; see the model DayTotal.
-- They are stored by close_creators_days, and checked by a law. It runs with the rights of its owner: an auditor may
-- check the numbers of readers, but not read an address.
CREATE OR REPLACE FUNCTION monetization_totals(since timestamptz, until timestamptz)
    RETURNS TABLE (creator_id text, currency text, day date, tips bigint, gross_cents bigint, fee_cents bigint,
                   refunds bigint, refunded_cents bigint, fee_returned_cents bigint, subscriptions bigint,
                   events bigint, yearly_cents_delta bigint, payers_delta bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
WITH paid AS (
    SELECT event.creator_id, subscription.currency, (event.created_at AT TIME ZONE 'UTC')::date AS day,
           coalesce(subscription.mailbox, subscription.reader) AS reader, event.yearly_cents_delta
      FROM monetization_subscriptionevent event
      JOIN monetization_subscription subscription ON subscription.id = event.subscription_id
     WHERE event.created_at >= since AND event.created_at < until
), touched AS (
    -- Only a reader with an event on a day can have started or stopped paying on it.
    SELECT DISTINCT paid.creator_id, paid.currency, paid.reader, paid.day FROM paid
     UNION ALL
    SELECT DISTINCT paid.creator_id, '', paid.reader, paid.day FROM paid
), moves AS (
    SELECT tip.creator_id, tip.currency, (tip.created_at AT TIME ZONE 'UTC')::date AS day, 1 AS tips,
           tip.gross_cents, tip.fee_cents, 0 AS refunds, 0 AS refunded_cents, 0 AS fee_returned_cents,
           0 AS subscriptions, 0 AS events, 0 AS yearly_cents_delta, 0 AS payers_delta
      FROM monetization_tip tip WHERE created_at >= since AND created_at < until
     UNION ALL
    SELECT refund.creator_id, refund.currency, (refund.created_at AT TIME ZONE 'UTC')::date, 0, 0, 0,
           1, refund.amount_cents, refund.fee_returned_cents, 0, 0, 0, 0
      FROM monetization_refund refund WHERE created_at >= since AND created_at < until
     UNION ALL
    SELECT subscription.creator_id, subscription.currency, (subscription.created_at AT TIME ZONE 'UTC')::date,
           0, 0, 0, 0, 0, 0, 1, 0, 0, 0
      FROM monetization_subscription subscription WHERE created_at >= since AND created_at < until
     UNION ALL
    SELECT paid.creator_id, paid.currency, paid.day, 0, 0, 0, 0, 0, 0, 0, 1, paid.yearly_cents_delta, 0 FROM paid
     UNION ALL
    -- Plus 1 for a reader who pays at the end of the day, minus 1 for a reader who paid at its beginning.
    SELECT touched.creator_id, touched.currency, touched.day, 0, 0, 0, 0, 0, 0, 0, 0, 0, midnight.effect
      FROM touched CROSS JOIN LATERAL (VALUES (1, touched.day + 1), (-1, touched.day)) AS midnight (effect, of_day)
     WHERE EXISTS (
           SELECT FROM monetization_subscription theirs
            WHERE theirs.creator_id = touched.creator_id
              AND coalesce(theirs.mailbox, theirs.reader) = touched.reader
              AND touched.currency IN ('', theirs.currency)
              AND (SELECT event.status FROM monetization_subscriptionevent event
                    WHERE event.subscription_id = theirs.id
                      AND event.created_at < midnight.of_day::timestamp AT TIME ZONE 'UTC'
                    ORDER BY event.id DESC LIMIT 1) IN ('active', 'past_due'))
)
SELECT moves.creator_id, moves.currency, moves.day, sum(moves.tips)::bigint, sum(moves.gross_cents)::bigint,
       sum(moves.fee_cents)::bigint, sum(moves.refunds)::bigint, sum(moves.refunded_cents)::bigint,
       sum(moves.fee_returned_cents)::bigint, sum(moves.subscriptions)::bigint, sum(moves.events)::bigint,
       sum(moves.yearly_cents_delta)::bigint, sum(moves.payers_delta)::bigint
  FROM moves
 GROUP BY moves.creator_id, moves.currency, moves.day
HAVING moves.currency <> '' OR sum(moves.payers_delta) <> 0
$$;

--- reverse:
DROP FUNCTION IF EXISTS monetization_totals(timestamptz, timestamptz);
