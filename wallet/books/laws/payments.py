"""The laws of top-ups, and of their payments at Stripe."""

# On a cluster, a join of the wallets' tables with others sends the whole of the others to each node. So the few entries
# of these wallets that a law is about are read first.
LAWS_OF_WALLETS = {
    "Every top-up entry stands for one paid checkout of the same user, at a credit a whole dollar": """
        WITH e AS MATERIALIZED (
             SELECT id, wallet_id, stripe_session_id, credits FROM wallet_entry
              WHERE wallet_id > %(after)s AND wallet_id <= %(last)s AND kind = 'topup')
        SELECT e.id, format('session %%s, %%s credits, paid %%s cents', e.stripe_session_id, e.credits, t.paid_cents)
          FROM e LEFT JOIN wallet_topup t ON t.entry_id = e.id AND t.state = 'paid'
         WHERE t.id IS NULL OR t.user_id <> e.wallet_id
            OR t.stripe_session_id IS DISTINCT FROM e.stripe_session_id
            OR t.paid_cents / 100 IS DISTINCT FROM e.credits OR t.origin <> 'checkout'
    """,
    # An entry that replaces or adds the credits of a payment is a top-up, or an adjustment with its session.
    "Every entry that credits a payment is the one that the payment names": """
        WITH e AS MATERIALIZED (
             SELECT id, wallet_id, stripe_session_id FROM wallet_entry
              WHERE wallet_id > %(after)s AND wallet_id <= %(last)s
                AND kind IN ('topup', 'adjustment') AND stripe_session_id <> '')
        SELECT e.id, format('session %%s, %%s', e.stripe_session_id, coalesce(p.entry_id, 'not recorded'))
          FROM e LEFT JOIN wallet_payment p ON p.stripe_id = e.stripe_session_id
         WHERE p.entry_id IS DISTINCT FROM e.id OR p.user_id <> e.wallet_id
    """,
    # The rule of payments/reported.py. On a cluster, a correlated query cannot join entries, which are distributed, with
    # payments, which are not. So the credits are added up first.
    "What a user has from a payment is what Stripe has left of it": """
        WITH has AS MATERIALIZED (
             SELECT wallet_id, stripe_session_id AS session_id, sum(credits) AS credits
               FROM wallet_entry
              WHERE wallet_id > %(after)s AND wallet_id <= %(last)s
                AND kind IN ('topup', 'clawback', 'reinstatement')
              GROUP BY 1, 2)
        SELECT concat_ws(' ', has.wallet_id, nullif(has.session_id, '')),
               format('%%s credits, paid %%s cents, %%s refunded, %%s disputed',
                      has.credits, t.paid_cents, gone.refunded, gone.withdrawn)
          FROM has
          LEFT JOIN wallet_topup t
            ON t.stripe_session_id = has.session_id AND t.user_id = has.wallet_id AND t.state = 'paid'
          LEFT JOIN LATERAL (
               SELECT greatest(refunds.all_of_them, p.refunded_cents) - refunds.failed AS refunded,
                      greatest(0, disputes.withdrawn) AS withdrawn
                 FROM wallet_payment p,
                      (SELECT coalesce(sum(amount_cents), 0) AS all_of_them,
                              coalesce(sum(amount_cents) FILTER (WHERE status IN ('failed', 'canceled')), 0)
                              AS failed
                         FROM wallet_striperefund WHERE payment_intent_id = t.payment_intent_id) AS refunds,
                      (SELECT coalesce(-sum(moved.cents), 0) AS withdrawn
                         FROM wallet_stripedispute d, LATERAL (
                              SELECT CASE jsonb_typeof(value) WHEN 'number' THEN value::numeric END AS cents
                                FROM jsonb_each(CASE jsonb_typeof(d.movements)
                                                WHEN 'object' THEN d.movements ELSE '{}' END)) AS moved
                        WHERE d.payment_intent_id = t.payment_intent_id) AS disputes
                WHERE p.stripe_id = t.payment_intent_id AND p.session_id = t.stripe_session_id
               ) AS gone ON true
         WHERE t.id IS NULL OR has.credits <> floor(greatest(
               0, t.paid_cents - coalesce(gone.refunded, 0) - coalesce(gone.withdrawn, 0)) / 100)
    """,
}

LAWS_OF_THE_WHOLE = {
    "Every paid top-up has its entry": """
        SELECT t.id, coalesce(t.entry_id, 'no entry')
          FROM wallet_topup t
          LEFT JOIN wallet_entry e ON e.wallet_id = t.user_id AND e.id = t.entry_id AND e.kind = 'topup'
         WHERE t.state = 'paid' AND e.id IS NULL
    """,
    "Every decided payment has its entry, and its payment intent is that of the top-up": """
        SELECT p.stripe_id, format('%%s as %%s for %%s', p.state, p.entry_id, p.user_id)
          FROM wallet_payment p
          LEFT JOIN (SELECT id, wallet_id, kind, stripe_session_id FROM wallet_entry
                      WHERE kind IN ('topup', 'adjustment')) e
            ON e.wallet_id = p.user_id AND e.id = p.entry_id
          LEFT JOIN wallet_topup t ON t.entry_id = p.entry_id
         WHERE p.entry_id <> ''
           AND (e.id IS NULL OR e.stripe_session_id <> p.session_id
                OR e.kind <> CASE p.state WHEN 'credited' THEN 'topup' ELSE 'adjustment' END
                OR (p.state = 'credited' AND p.stripe_id <> p.session_id
                    AND t.payment_intent_id IS DISTINCT FROM p.stripe_id))
    """,
    # Such a payment is never compared with Stripe again, so a decision of staff must be there.
    "Every payment that was settled by hand has the event that staff resolved": """
        SELECT p.stripe_id, format('%%s for %%s', p.state, p.session_id)
          FROM wallet_payment p
         WHERE p.state IN ('by_hand', 'closed') AND NOT EXISTS (
               SELECT FROM wallet_stripeevent event
                WHERE event.stripe_session_id = p.session_id AND event.stripe_session_id <> ''
                  AND event.state = 'resolved')
    """,
    "The payment intent of every paid top-up is decided": """
        SELECT t.id, format('%%s is %%s', t.payment_intent_id, coalesce(p.state, 'not recorded'))
          FROM wallet_topup t LEFT JOIN wallet_payment p ON p.stripe_id = t.payment_intent_id
         WHERE t.state = 'paid' AND t.payment_intent_id <> '' AND (p.stripe_id IS NULL OR p.state = 'known')
    """,
}
