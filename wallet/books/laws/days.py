"""The laws of closed days and closed months."""

# The query finds totals that are wrong, totals of days without entries, and totals that are missing.
LAWS_OF_DAYS = {
    "The totals of a closed day are what its entries add up to": """
        WITH added AS (
             SELECT (created_at AT TIME ZONE 'UTC')::date AS day, product, feature, kind,
                    sum(credits) AS credits, coalesce(sum(moved.granted), 0) AS granted, count(*) AS entries
               FROM wallet_entry
               LEFT JOIN (SELECT wallet_id, sequence, sum(credits) AS granted
                            FROM wallet_lotmove GROUP BY 1, 2) AS moved USING (wallet_id, sequence)
              WHERE created_at < (SELECT (max(day) + 1)::timestamp AT TIME ZONE 'UTC' FROM wallet_closedday)
              GROUP BY 1, 2, 3, 4),
        parts AS (
             SELECT added.* FROM added JOIN wallet_closedday USING (day)),
        there AS (
             SELECT day, product, kind, sum(credits) AS credits, sum(entries) AS entries
               FROM parts GROUP BY 1, 2, 3),
        featured AS (
             SELECT day, product, feature, kind, credits, granted, featured.entries
               FROM wallet_featuretotal featured JOIN wallet_closedday ON day = day_id),
        kept AS (
             SELECT day_id AS day, product, kind, credits, entries FROM wallet_daytotal)
        SELECT concat_ws(' ', day, nullif(product, ''), kind),
               format('%%s credits in %%s entries kept, %%s in %%s there', coalesce(kept.credits, 0),
                      coalesce(kept.entries, 0), coalesce(there.credits, 0), coalesce(there.entries, 0))
          FROM kept FULL JOIN there USING (day, product, kind)
         WHERE kept.credits IS DISTINCT FROM there.credits OR kept.entries IS DISTINCT FROM there.entries
         UNION ALL
        SELECT closed.day::text, format('%%s entries counted, %%s there', closed.entries,
                                        coalesce(sum(there.entries), 0))
          FROM wallet_closedday closed LEFT JOIN there USING (day)
         GROUP BY closed.day HAVING closed.entries <> coalesce(sum(there.entries), 0)
         UNION ALL
        SELECT concat_ws(' ', day, nullif(product, ''), nullif(feature, ''), kind),
               format('by feature %%s credits (%%s granted) in %%s entries kept, %%s (%%s) in %%s there',
                      coalesce(featured.credits, 0), coalesce(featured.granted, 0),
                      coalesce(featured.entries, 0), coalesce(parts.credits, 0), coalesce(parts.granted, 0),
                      coalesce(parts.entries, 0))
          FROM featured FULL JOIN parts USING (day, product, feature, kind)
         WHERE (featured.credits, featured.granted, featured.entries)
               IS DISTINCT FROM (parts.credits, parts.granted, parts.entries)
           -- A day that an earlier release closed gets its features from the next close_days.
           AND day IN (SELECT day FROM featured)
         ORDER BY 1
    """,
    # A month is checked while its days are closed; close_days --again opens them for a moment.
    # What came into it later is booked in a later month, and so is what came into one before the first.
    "A closed month is what its days add up to, and begins with what the month before ended with": """
        WITH stored AS (
             SELECT month, product, feature, kind, credits, granted, entries FROM wallet_monthtotal),
        kept AS (
             SELECT month, product, feature, kind, sum(credits) AS credits, sum(granted) AS granted,
                    sum(entries) AS entries
               FROM (SELECT * FROM stored
                      UNION ALL
                     SELECT month, product, feature, kind, credits, granted, entries
                       FROM wallet_latetotal) AS each
              GROUP BY 1, 2, 3, 4),
        booked AS (
             SELECT date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month,
                    sum(credits) AS credits, sum(granted) AS granted
               FROM wallet_latetotal GROUP BY 1),
        there AS (
             SELECT date_trunc('month', day_id)::date AS month, product, feature, kind,
                    sum(credits) AS credits, sum(granted) AS granted, sum(part.entries) AS entries
               FROM wallet_featuretotal part JOIN wallet_closedday ON day = day_id
              GROUP BY 1, 2, 3, 4),
        closed AS (
             SELECT wallet_closedmonth.*,
                    opening + coalesce(moved.credits, 0) + coalesce(booked.credits, 0) AS closing,
                    opening_granted + coalesce(moved.granted, 0) + coalesce(booked.granted, 0)
                    AS closing_granted,
                    coalesce(moved.entries, 0) AS kept_entries,
                    NOT EXISTS (
                        SELECT FROM generate_series(
                                    greatest(month, (SELECT min(day) FROM wallet_closedday))::timestamp,
                                    month + interval '1 month' - interval '1 day', '1 day') AS each
                         WHERE NOT EXISTS (
                               SELECT FROM wallet_closedday closed_day
                                WHERE closed_day.day = each::date
                                  AND (closed_day.entries = 0 OR EXISTS (
                                       SELECT FROM wallet_featuretotal WHERE day_id = each::date))))
                    AS is_added_up
               FROM wallet_closedmonth
               LEFT JOIN (SELECT month, sum(credits) AS credits, sum(granted) AS granted,
                                 sum(entries) AS entries FROM stored GROUP BY 1) AS moved USING (month)
               LEFT JOIN booked USING (month))
        SELECT concat_ws(' ', to_char(month, 'YYYY-MM'), nullif(product, ''), nullif(feature, ''), kind),
               format('%%s credits (%%s granted) in %%s entries kept, %%s (%%s) in %%s there',
                      coalesce(kept.credits, 0), coalesce(kept.granted, 0), coalesce(kept.entries, 0),
                      coalesce(there.credits, 0), coalesce(there.granted, 0), coalesce(there.entries, 0))
          FROM kept FULL JOIN there USING (month, product, feature, kind) LEFT JOIN closed USING (month)
         WHERE (closed.is_added_up OR month < (SELECT min(month) FROM closed))
           AND (coalesce(kept.credits, 0), coalesce(kept.granted, 0), coalesce(kept.entries, 0)) <>
               (coalesce(there.credits, 0), coalesce(there.granted, 0), coalesce(there.entries, 0))
         UNION ALL
        SELECT to_char(month, 'YYYY-MM'), 'totals of a month that is not closed'
          FROM stored WHERE NOT EXISTS (SELECT FROM closed WHERE closed.month = stored.month) GROUP BY month
         UNION ALL
        SELECT to_char(closed.month, 'YYYY-MM'),
               format('opens with %%s credits (%%s granted), %%s (%%s) before; %%s entries counted, %%s there',
                      opening, opening_granted, before.closing, before.closing_granted, entries, kept_entries)
          FROM closed
          LEFT JOIN LATERAL (
               SELECT coalesce(max(closing), 0) AS closing, coalesce(max(closing_granted), 0) AS closing_granted,
                      count(*) AS months
                 FROM closed earlier
                WHERE earlier.month = (closed.month - interval '1 month')::date) AS before ON true
         WHERE (opening, opening_granted, entries)
               IS DISTINCT FROM (before.closing, before.closing_granted, kept_entries)
            OR months = 0 AND closed.month <> (SELECT min(month) FROM closed)
         ORDER BY 1
    """,
    # Whether they are of top-ups may be found later, when a payment that was parked is resolved.
    "A closed month of money is what moved at Stripe in it": """
        WITH kept AS (
             SELECT month, currency, category, sum(movements) AS movements, sum(amount) AS amount,
                    sum(fee) AS fee
               FROM wallet_monthmoney GROUP BY 1, 2, 3),
        there AS (
             SELECT date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month, currency, category,
                    count(*) AS movements, sum(amount) AS amount, sum(fee) AS fee
               FROM wallet_stripemovement GROUP BY 1, 2, 3)
        SELECT concat_ws(' ', to_char(month, 'YYYY-MM'), currency, category),
               format('%%s and %%s fees in %%s movements kept, %%s and %%s in %%s there',
                      coalesce(kept.amount, 0), coalesce(kept.fee, 0), coalesce(kept.movements, 0),
                      coalesce(there.amount, 0), coalesce(there.fee, 0), coalesce(there.movements, 0))
          FROM kept FULL JOIN there USING (month, currency, category)
         WHERE (kept.movements, kept.amount, kept.fee) IS DISTINCT FROM
               (there.movements, there.amount, there.fee)
           AND (kept.month IS NOT NULL OR month IN (SELECT closed.month FROM wallet_closedmoney closed))
         ORDER BY 1
    """,
}
