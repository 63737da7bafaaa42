"""The laws of wallets and their entries."""

LAWS_OF_WALLETS = {
    "A wallet's balance is the sum of its entries": """
        SELECT w.user_id, format('balance %%s, entries add up to %%s', w.balance, coalesce(sum(e.credits), 0))
          FROM wallet_wallet w
          LEFT JOIN wallet_entry e ON e.wallet_id = w.user_id AND e.wallet_id > %(after)s AND e.wallet_id <= %(last)s
         WHERE w.user_id > %(after)s AND w.user_id <= %(last)s
         GROUP BY w.user_id HAVING w.balance <> coalesce(sum(e.credits), 0)
    """,
    "A wallet counts its entries, numbered from 1 without a gap": """
        SELECT w.user_id, format('%%s counted, %%s there, last number %%s',
                                 w.entries_count, count(e.id), coalesce(max(e.sequence), 0))
          FROM wallet_wallet w
          LEFT JOIN wallet_entry e ON e.wallet_id = w.user_id AND e.wallet_id > %(after)s AND e.wallet_id <= %(last)s
         WHERE w.user_id > %(after)s AND w.user_id <= %(last)s
         GROUP BY w.user_id
        HAVING w.entries_count <> count(e.id) OR w.entries_count <> coalesce(max(e.sequence), 0)
    """,
    "Each balance_after is the one before plus the entry's credits": """
        SELECT id, format('%%s %%s gave %%s', before, credits, balance_after)
          FROM (SELECT id, credits, balance_after,
                       lag(balance_after, 1, 0::bigint) OVER (PARTITION BY wallet_id ORDER BY sequence) AS before
                  FROM wallet_entry WHERE wallet_id > %(after)s AND wallet_id <= %(last)s) AS chain
         WHERE balance_after <> before + credits
    """,
    # Older entries whose time fell are no violations: migration 0009 listed them (OutOfOrderEntry).
    "Along a wallet's entries the time never falls": """
        SELECT id, format('%%s, after %%s', created_at AT TIME ZONE 'UTC', before AT TIME ZONE 'UTC')
          FROM (SELECT id, wallet_id, sequence, created_at,
                       lag(created_at) OVER (PARTITION BY wallet_id ORDER BY sequence) AS before
                  FROM wallet_entry WHERE wallet_id > %(after)s AND wallet_id <= %(last)s) AS chain
         WHERE created_at < before AND NOT EXISTS (
               SELECT FROM wallet_outoforderentry listed
                WHERE listed.wallet_id = chain.wallet_id AND listed.sequence = chain.sequence)
    """,
    # L8 of the contract. A capture may, because its credits were available when the hold was made. The credits of
    # grants are not in this sum: an entry moves as many paid credits as its moves of lots leave over.
    "Only clawbacks and captures take paid credits below zero": """
        SELECT id, format('%%s took %%s paid credits and left %%s', kind, -paid, paid_after)
          FROM (SELECT e.id, e.kind, e.credits - coalesce(lots.credits, 0) AS paid,
                       sum(e.credits - coalesce(lots.credits, 0))
                       OVER (PARTITION BY e.wallet_id ORDER BY e.sequence) AS paid_after
                  FROM wallet_entry e LEFT JOIN (
                       SELECT wallet_id, sequence, sum(credits) AS credits FROM wallet_lotmove
                        WHERE wallet_id > %(after)s AND wallet_id <= %(last)s GROUP BY 1, 2) lots
                    ON lots.wallet_id = e.wallet_id AND lots.sequence = e.sequence
                 WHERE e.wallet_id > %(after)s AND e.wallet_id <= %(last)s) AS chain
         WHERE paid < 0 AND paid_after < 0 AND kind NOT IN ('clawback', 'capture')
    """,
    "The reversals of an entry never come to more than the entry": """
        SELECT back.reverses_id, format('%%s credits, %%s reversed', coalesce(charge.credits, 0), sum(back.credits))
          FROM wallet_entry back LEFT JOIN wallet_entry charge
            ON charge.id = back.reverses_id AND charge.wallet_id = back.wallet_id
           AND charge.wallet_id > %(after)s AND charge.wallet_id <= %(last)s
         WHERE back.wallet_id > %(after)s AND back.wallet_id <= %(last)s AND back.reverses_id IS NOT NULL
         GROUP BY back.reverses_id, charge.id, charge.credits
        HAVING charge.id IS NULL OR abs(sum(back.credits)) > abs(charge.credits)
            OR sign(sum(back.credits)) = sign(charge.credits)
    """,
}

LAWS_OF_THE_WHOLE = {
    "No entry is without a wallet": """
        SELECT e.id, e.wallet_id FROM wallet_entry e LEFT JOIN wallet_wallet w ON w.user_id = e.wallet_id
         WHERE w.user_id IS NULL
    """,
    # Added up wallet by wallet: on a cluster, a query reads both sums of one wallet at one moment, but not those of all.
    "What came in less what went out is what wallets hold": """
        SELECT 'all wallets', format('entries add up to %%s, balances to %%s', sum(entries), sum(balance))
          FROM (SELECT coalesce(written.credits, 0) AS entries, coalesce(w.balance, 0) AS balance
                  FROM (SELECT wallet_id, sum(credits) AS credits FROM wallet_entry GROUP BY wallet_id) written
                  FULL JOIN wallet_wallet w ON w.user_id = written.wallet_id) AS wallets
        HAVING sum(entries) <> sum(balance)
    """,
}
