"""The law of closed days."""

# The query finds totals that are wrong, totals of days without entries, and totals that are missing.
LAWS_OF_DAYS = {
    "The totals of a closed day are what its entries add up to": """
        WITH added AS (
             SELECT (created_at AT TIME ZONE 'UTC')::date AS day, product, kind,
                    sum(credits) AS credits, count(*) AS entries
               FROM wallet_entry
              WHERE created_at < (SELECT (max(day) + 1)::timestamp AT TIME ZONE 'UTC' FROM wallet_closedday)
              GROUP BY 1, 2, 3),
        there AS (
             SELECT added.* FROM added JOIN wallet_closedday USING (day)),
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
         ORDER BY 1
    """,
}
