"""The laws of granted credits, and of the budgets that limit what is spent."""

LAWS_OF_WALLETS = {
    # L2
    "A wallet's granted credits are what its lots have left": """
        SELECT w.user_id, format('%%s granted, lots have %%s', w.granted, coalesce(sum(l.remaining), 0))
          FROM wallet_wallet w
          LEFT JOIN wallet_lot l ON l.wallet_id = w.user_id AND l.wallet_id > %(after)s AND l.wallet_id <= %(last)s
         WHERE w.user_id > %(after)s AND w.user_id <= %(last)s
         GROUP BY w.user_id, w.granted HAVING w.granted <> coalesce(sum(l.remaining), 0)
    """,
    # L3. It begins with its grant, and what was written off is what expiries took. What moves say was left is read for
    # past times.
    "A lot has left what its moves come to": """
        SELECT l.id, format('%%s left and %%s written off, moves come to %%s and %%s%%s', l.remaining, l.expired,
                            coalesce(sum(m.credits), 0), coalesce(-sum(m.credits) FILTER (WHERE e.kind = 'expiry'), 0),
                            CASE WHEN bool_or(m.is_out_of_step) THEN ', and one says otherwise' END)
          FROM wallet_lot l
          LEFT JOIN (SELECT wallet_id, lot_id, sequence, credits,
                            remaining_after <> sum(credits) OVER (PARTITION BY wallet_id, lot_id ORDER BY sequence)
                            AS is_out_of_step
                       FROM wallet_lotmove WHERE wallet_id > %(after)s AND wallet_id <= %(last)s) m
            ON m.wallet_id = l.wallet_id AND m.lot_id = l.id
          LEFT JOIN wallet_entry e ON e.wallet_id = m.wallet_id AND e.sequence = m.sequence
           AND e.wallet_id > %(after)s AND e.wallet_id <= %(last)s
         WHERE l.wallet_id > %(after)s AND l.wallet_id <= %(last)s
         GROUP BY l.id, l.entry_id, l.credits, l.remaining, l.expired
        HAVING l.remaining <> coalesce(sum(m.credits), 0) OR bool_or(m.is_out_of_step)
            OR l.expired <> coalesce(-sum(m.credits) FILTER (WHERE e.kind = 'expiry'), 0)
            OR l.credits <> coalesce(sum(m.credits) FILTER (WHERE e.kind = 'grant' AND e.id = l.entry_id), 0)
    """,
    # L4
    "A lot holds what open holds have set aside of it": """
        SELECT l.id, format('%%s held, open holds have set %%s aside', l.held, coalesce(sum(open.credits), 0))
          FROM wallet_lot l LEFT JOIN (
               SELECT p.wallet_id, p.lot_id, p.credits
                 FROM wallet_holdpart p JOIN wallet_hold h ON h.wallet_id = p.wallet_id AND h.id = p.hold_id
                  AND h.wallet_id > %(after)s AND h.wallet_id <= %(last)s
                WHERE h.state = 'open' AND p.wallet_id > %(after)s AND p.wallet_id <= %(last)s) AS open
            ON open.wallet_id = l.wallet_id AND open.lot_id = l.id
         WHERE l.wallet_id > %(after)s AND l.wallet_id <= %(last)s
         GROUP BY l.id, l.held HAVING l.held <> coalesce(sum(open.credits), 0)
    """,
    # L5. The left join finds moves whose entry or lot is missing.
    "An entry moves lots in its own direction, and by no more than its credits": """
        SELECT coalesce(e.id, m.wallet_id || ' ' || m.sequence),
               format('%%s of %%s moved lots by %%s', e.kind, e.credits, sum(m.credits))
          FROM wallet_lotmove m
          LEFT JOIN wallet_entry e ON e.wallet_id = m.wallet_id AND e.sequence = m.sequence
           AND e.wallet_id > %(after)s AND e.wallet_id <= %(last)s
          LEFT JOIN wallet_lot l ON l.wallet_id = m.wallet_id AND l.id = m.lot_id
           AND l.wallet_id > %(after)s AND l.wallet_id <= %(last)s
         WHERE m.wallet_id > %(after)s AND m.wallet_id <= %(last)s
         GROUP BY m.wallet_id, m.sequence, e.id, e.kind, e.credits
        HAVING e.id IS NULL OR count(l.id) < count(*) OR abs(sum(m.credits)) > abs(e.credits)
            OR bool_or(sign(m.credits) <> sign(e.credits))
            OR (e.kind IN ('grant', 'expiry') AND sum(m.credits) <> e.credits)
            OR e.kind IN ('topup', 'clawback', 'reinstatement')
         UNION ALL
        SELECT e.id, format('%%s of %%s credits moved no lot', e.kind, e.credits)
          FROM wallet_entry e
         WHERE e.wallet_id > %(after)s AND e.wallet_id <= %(last)s AND e.kind IN ('grant', 'expiry')
           AND NOT EXISTS (SELECT FROM wallet_lotmove m
                            WHERE m.wallet_id = e.wallet_id AND m.sequence = e.sequence)
    """,
    # L6. A hold sets credits aside before the end, and its capture may come later. A charge may have the time at which
    # the grant was taken back after it: if the clock was set back, the verb takes the time of the last entry.
    "A lot pays for nothing that was asked for after its end, and is not written off before": """
        SELECT e.id, format('%%s, asked for at %%s, of %%s that ended at %%s', e.kind,
                            coalesce(h.created_at, e.created_at) AT TIME ZONE 'UTC', l.id,
                            least(l.expires_at, l.voided_at) AT TIME ZONE 'UTC')
          FROM wallet_entry e
          JOIN wallet_lotmove m ON m.wallet_id = e.wallet_id AND m.sequence = e.sequence
           AND m.wallet_id > %(after)s AND m.wallet_id <= %(last)s
          JOIN wallet_lot l ON l.wallet_id = m.wallet_id AND l.id = m.lot_id
           AND l.wallet_id > %(after)s AND l.wallet_id <= %(last)s
          LEFT JOIN wallet_hold h ON h.wallet_id = e.wallet_id AND h.id = e.hold_id
           AND h.wallet_id > %(after)s AND h.wallet_id <= %(last)s
         WHERE e.wallet_id > %(after)s AND e.wallet_id <= %(last)s
           AND ((e.kind IN ('deduct', 'capture') AND (coalesce(h.created_at, e.created_at) >= l.expires_at
                                                      OR coalesce(h.created_at, e.created_at) > l.voided_at))
             OR (e.kind = 'expiry' AND e.created_at < least(l.expires_at, l.voided_at)))
    """,
    # L9
    "A lot gets back no more than it paid of that charge": """
        SELECT charge.id, format('%%s got back %%s of %%s', back_move.lot_id, sum(back_move.credits),
                                 -coalesce(charge_move.credits, 0))
          FROM wallet_entry back
          JOIN wallet_entry charge ON charge.wallet_id = back.wallet_id AND charge.id = back.reverses_id
           AND charge.wallet_id > %(after)s AND charge.wallet_id <= %(last)s
          JOIN wallet_lotmove back_move
            ON back_move.wallet_id = back.wallet_id AND back_move.sequence = back.sequence
           AND back_move.wallet_id > %(after)s AND back_move.wallet_id <= %(last)s
          LEFT JOIN wallet_lotmove charge_move
            ON charge_move.wallet_id = charge.wallet_id AND charge_move.sequence = charge.sequence
           AND charge_move.lot_id = back_move.lot_id
           AND charge_move.wallet_id > %(after)s AND charge_move.wallet_id <= %(last)s
         WHERE back.wallet_id > %(after)s AND back.wallet_id <= %(last)s
         GROUP BY charge.id, back_move.lot_id, charge_move.credits
        HAVING sum(back_move.credits) > -coalesce(charge_move.credits, 0)
    """,
    # L10. A charge counts in the period in which it was asked for.
    "A budget has counted what was spent in its period": """
        SELECT concat_ws(' ', b.wallet_id, b.set_by, nullif(b.product, ''), b.period),
               format('%%s counted since %%s, %%s spent', b.spent, b.starts, spent.credits)
          FROM wallet_budget b, LATERAL (
               SELECT b.starts::timestamp AT TIME ZONE 'UTC' AS since,
                      (b.starts + CASE b.period WHEN 'day' THEN interval '1 day' ELSE interval '1 month' END)
                      AT TIME ZONE 'UTC' AS until) AS running, LATERAL (
               SELECT coalesce(sum(each.credits), 0)::bigint AS credits FROM (
                      SELECT -e.credits AS credits
                        FROM wallet_entry e
                        JOIN wallet_entry charge ON charge.wallet_id = b.wallet_id
                         AND charge.id = CASE e.kind WHEN 'refund' THEN e.reverses_id ELSE e.id END
                        LEFT JOIN wallet_hold h ON h.wallet_id = b.wallet_id AND h.id = charge.hold_id
                       WHERE e.wallet_id = b.wallet_id AND e.kind IN ('deduct', 'capture', 'refund')
                         AND b.product IN ('', charge.product) AND e.created_at >= running.since
                         AND coalesce(h.created_at, charge.created_at) >= running.since
                         AND coalesce(h.created_at, charge.created_at) < running.until
                       UNION ALL
                      SELECT credits FROM wallet_hold
                       WHERE wallet_id = b.wallet_id AND state = 'open' AND b.product IN ('', product)
                         AND created_at >= running.since AND created_at < running.until) AS each) AS spent
         WHERE b.wallet_id > %(after)s AND b.wallet_id <= %(last)s AND b.spent <> spent.credits
    """,
    "A wallet counts its budgets": """
        SELECT w.user_id, format('%%s counted, %%s there', w.budgets, count(b.wallet_id))
          FROM wallet_wallet w
          LEFT JOIN wallet_budget b ON b.wallet_id = w.user_id AND b.wallet_id > %(after)s AND b.wallet_id <= %(last)s
         WHERE w.user_id > %(after)s AND w.user_id <= %(last)s
         GROUP BY w.user_id, w.budgets HAVING w.budgets <> count(b.wallet_id)
    """,
}

LAWS_OF_THE_WHOLE = {
    "What a product has granted in a month is what its grants come to": """
        SELECT concat_ws(' ', product, month),
               format('%%s counted, grants come to %%s', coalesce(kept.credits, 0), coalesce(granted.credits, 0))
          FROM wallet_grantedmonth kept FULL JOIN (
               SELECT product, date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month,
                      sum(credits) AS credits
                 FROM wallet_entry WHERE kind = 'grant' AND product <> '' GROUP BY 1, 2) AS granted
         USING (product, month)
         WHERE kept.credits IS DISTINCT FROM granted.credits
    """,
}
