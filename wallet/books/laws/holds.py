"""The laws of holds and their captures."""

LAWS_OF_WALLETS = {
    "What is held is what open holds hold": """
        SELECT w.user_id, format('%%s credits in %%s holds, open holds are %%s credits in %%s',
                                 w.held, w.open_holds, coalesce(sum(h.credits), 0), count(h.id))
          FROM wallet_wallet w
          LEFT JOIN wallet_hold h ON h.wallet_id = w.user_id AND h.state = 'open'
           AND h.wallet_id > %(after)s AND h.wallet_id <= %(last)s
         WHERE w.user_id > %(after)s AND w.user_id <= %(last)s
         GROUP BY w.user_id, w.held, w.open_holds
        HAVING w.held <> coalesce(sum(h.credits), 0) OR w.open_holds <> count(h.id)
    """,
    # As numeric: the products can be larger than a bigint. A capture may have an earlier time than its hold, if the
    # clock was set back in between: the time of a verb is never before the last entry, but a hold writes none.
    "A capture is of one hold, in its time, at its price, and never more": """
        SELECT e.id, format('%%s credits for %%s units, of %%s for %%s, %%s', -e.credits, e.count, h.credits, h.count,
                            coalesce(h.state, 'no hold'))
          FROM wallet_entry e
          LEFT JOIN wallet_hold h ON h.wallet_id = e.wallet_id AND h.id = e.hold_id
           AND h.wallet_id > %(after)s AND h.wallet_id <= %(last)s
         WHERE e.wallet_id > %(after)s AND e.wallet_id <= %(last)s AND e.kind = 'capture'
           AND (h.id IS NULL OR h.state <> 'captured' OR h.captured_count <> e.count OR h.feature <> e.feature
                OR h.product <> e.product OR -e.credits::numeric * h.count <> h.credits::numeric * e.count
                OR -e.credits > h.credits OR e.created_at >= h.expires_at)
    """,
    "A captured hold has its entry": """
        SELECT h.id, format('%%s units of %%s', h.captured_count, h.feature)
          FROM wallet_hold h
          LEFT JOIN wallet_entry e ON e.wallet_id = h.wallet_id AND e.hold_id = h.id
           AND e.wallet_id > %(after)s AND e.wallet_id <= %(last)s
         WHERE h.wallet_id > %(after)s AND h.wallet_id <= %(last)s AND h.state = 'captured' AND e.id IS NULL
    """,
}
