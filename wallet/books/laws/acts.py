"""The laws of what staff and commands write: each such row has the act of a staff member, or a stored run."""

# Rows that are older than the acts are not checked. An act is of one form, which has one key.
ACTS_BEGAN = """
               (SELECT coalesce(min(applied), '-infinity') FROM django_migrations
                 WHERE app = 'accounts' AND name = '0007_acts_of_staff')"""

# On a cluster, a join of the wallets' tables with others sends the whole of the others to each node. So the few entries
# of these wallets that a law is about are read first.
LAWS_OF_WALLETS = {
    "Each adjustment, refund and grant by staff has its act": f"""
        WITH e AS MATERIALIZED (
             SELECT id, wallet_id, kind, credits, actor, idempotency_key, created_at FROM wallet_entry
              WHERE wallet_id > %(after)s AND wallet_id <= %(last)s AND actor LIKE 'user:%%'
                AND kind IN ('adjustment', 'refund', 'grant'))
        SELECT e.id, format('%%s of %%s credits by %%s', e.kind, e.credits, e.actor)
          FROM e
          LEFT JOIN accounts_act act ON act.staff_id = substr(e.actor, 6) AND act.form_key = e.idempotency_key
           AND act.about = e.wallet_id AND act.form_key <> ''
         WHERE act.id IS NULL AND e.created_at >= {ACTS_BEGAN}
    """,
    # As "command:reconcile_stripe:7" for the run 7, which began before.
    "Each other adjustment names the run of the command that made it": f"""
        WITH e AS MATERIALIZED (
             SELECT id, credits, actor, created_at FROM wallet_entry
              WHERE wallet_id > %(after)s AND wallet_id <= %(last)s AND actor NOT LIKE 'user:%%'
                AND kind = 'adjustment')
        SELECT e.id, format('%%s credits by %%s', e.credits, e.actor)
          FROM e
          LEFT JOIN wallet_reconciliationrun run
            ON run.id::text = substring(e.actor FROM '^command:reconcile_stripe:([0-9]+)$')
           AND run.started_at <= e.created_at
         WHERE run.id IS NULL AND e.created_at >= {ACTS_BEGAN}
    """,
}

LAWS_OF_THE_WHOLE = {
    # An act is written only if the action succeeded. The verbs are those of backoffice/credits.
    "Each act that moved credits has its entry": """
        SELECT act.id, format('%%s of %%s by %%s', act.verb, act.about, act.staff_id)
          FROM accounts_act act
          LEFT JOIN (SELECT id, wallet_id, actor, idempotency_key, kind FROM wallet_entry
                      WHERE kind IN ('adjustment', 'refund', 'grant') AND actor LIKE 'user:%%') e
            ON e.wallet_id = act.about AND e.actor = 'user:' || act.staff_id AND e.idempotency_key = act.form_key
           AND e.kind = CASE act.verb WHEN 'adjust' THEN 'adjustment' WHEN 'give-back' THEN 'refund' ELSE 'grant' END
         WHERE act.verb IN ('adjust', 'give-back', 'grant') AND act.form_key <> '' AND e.id IS NULL
    """,
    "Each refund that staff asked Stripe for has its act": f"""
        SELECT request.id, format('%%s cents of %%s by %%s', request.amount_cents, request.topup_id, request.actor)
          FROM wallet_refundrequest request
          LEFT JOIN accounts_act act ON 'user:' || act.staff_id = request.actor AND act.form_key = request.form_key
           AND act.model = 'wallet.topup' AND act.row_id = request.topup_id
         WHERE act.id IS NULL AND request.created_at >= {ACTS_BEGAN}
    """,
}
