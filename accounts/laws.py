"""The laws of plans, and of what guards the tables of accounts. They are checked with those of the wallet."""

from accounts.guards import GUARDS
from foundation.database import guards

LAWS = {
    "A plan is what its last change says": """
        SELECT coalesce(plan.slug, change.slug),
               CASE WHEN plan.slug IS NULL THEN 'no such plan'
                    WHEN change.slug IS NULL THEN 'no change says so'
                    ELSE format('%%s, %%s bps, %%s keys; its last change says %%s, %%s bps, %%s keys',
                                plan.name, plan.fee_bps, coalesce(plan.key_limit::text, 'any'),
                                change.name, change.fee_bps, coalesce(change.key_limit::text, 'any')) END
          FROM accounts_plan plan
          FULL JOIN (SELECT DISTINCT ON (slug) * FROM accounts_planchange ORDER BY slug, id DESC) AS change
         USING (slug)
         WHERE (plan.slug, plan.name, plan.fee_bps, plan.key_limit)
               IS DISTINCT FROM (change.slug, change.name, change.fee_bps, change.key_limit)
    """,
    guards.name_of("accounts"): guards.law(GUARDS),
}
