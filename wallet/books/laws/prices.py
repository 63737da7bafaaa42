"""The law of prices."""

LAWS_OF_THE_WHOLE = {
    "A price is what its last change says": """
        SELECT coalesce(rate.feature, change.feature),
               CASE WHEN rate.feature IS NULL THEN 'no such price'
                    WHEN change.feature IS NULL THEN 'no change says so'
                    ELSE format('%%s credits for %%s, %%s, %%s; its last change says %%s credits for %%s, %%s, %%s',
                                rate.credits, rate.unit, rate.label, rate.active,
                                change.credits, change.unit, change.label, change.active) END
          FROM wallet_rate rate
          FULL JOIN (SELECT DISTINCT ON (feature) * FROM wallet_ratechange ORDER BY feature, id DESC) AS change
         USING (feature)
         WHERE (rate.feature, rate.credits, rate.unit, rate.label, rate.active)
               IS DISTINCT FROM (change.feature, change.credits, change.unit, change.label, change.active)
    """,
}
