"""The laws of the books, as SQL queries. Tests, the nightly check and operators use the same queries.

Constraints and triggers enforce most of these laws. A law can still be broken if only a part of a backup was
restored, if an operator dropped a trigger, or if a migration has a bug. These queries find the broken rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import connection

WALLETS_AT_A_TIME = 1000


@dataclass(frozen=True)
class Violation:
    """A law that is broken, the row that breaks it, and the details."""

    law: str
    subject: str
    detail: str


# Each query returns (subject, detail) for each row that breaks its law. It reads only the wallets from the id
# `after` (not included) to the id `last` (included).
LAWS_OF_WALLETS = {
    "A wallet's balance is the sum of its entries": """
        SELECT w.user_id, format('balance %%s, entries add up to %%s', w.balance, coalesce(sum(e.credits), 0))
          FROM wallet_wallet w LEFT JOIN wallet_entry e ON e.wallet_id = w.user_id
         WHERE w.user_id > %(after)s AND w.user_id <= %(last)s
         GROUP BY w.user_id HAVING w.balance <> coalesce(sum(e.credits), 0)
    """,
    "A wallet counts its entries, numbered from 1 without a gap": """
        SELECT w.user_id, format('%%s counted, %%s there, last number %%s',
                                 w.entries_count, count(e.id), coalesce(max(e.sequence), 0))
          FROM wallet_wallet w LEFT JOIN wallet_entry e ON e.wallet_id = w.user_id
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
    "What is held is what open holds hold": """
        SELECT w.user_id, format('%%s credits in %%s holds, open holds are %%s credits in %%s',
                                 w.held, w.open_holds, coalesce(sum(h.credits), 0), count(h.id))
          FROM wallet_wallet w LEFT JOIN wallet_hold h ON h.wallet_id = w.user_id AND h.state = 'open'
         WHERE w.user_id > %(after)s AND w.user_id <= %(last)s
         GROUP BY w.user_id, w.held, w.open_holds
        HAVING w.held <> coalesce(sum(h.credits), 0) OR w.open_holds <> count(h.id)
    """,
    # As numeric: the products can be larger than a bigint. A capture may have an earlier time than its hold, if the
    # clock was set back in between: the time of a verb is never before the last entry, but a hold writes none.
    "A capture is of one hold, in its time, at its price, and never more": """
        SELECT e.id, format('%%s credits for %%s units, of %%s for %%s, %%s', -e.credits, e.count, h.credits, h.count,
                            coalesce(h.state, 'no hold'))
          FROM wallet_entry e LEFT JOIN wallet_hold h ON h.wallet_id = e.wallet_id AND h.id = e.hold_id
         WHERE e.wallet_id > %(after)s AND e.wallet_id <= %(last)s AND e.kind = 'capture'
           AND (h.id IS NULL OR h.state <> 'captured' OR h.captured_count <> e.count OR h.feature <> e.feature
                OR h.product <> e.product OR -e.credits::numeric * h.count <> h.credits::numeric * e.count
                OR -e.credits > h.credits OR e.created_at >= h.expires_at)
    """,
    "A captured hold has its entry": """
        SELECT h.id, format('%%s units of %%s', h.captured_count, h.feature)
          FROM wallet_hold h LEFT JOIN wallet_entry e ON e.wallet_id = h.wallet_id AND e.hold_id = h.id
         WHERE h.wallet_id > %(after)s AND h.wallet_id <= %(last)s AND h.state = 'captured' AND e.id IS NULL
    """,
    # L2
    "A wallet's granted credits are what its lots have left": """
        SELECT w.user_id, format('%%s granted, lots have %%s', w.granted, coalesce(sum(l.remaining), 0))
          FROM wallet_wallet w LEFT JOIN wallet_lot l ON l.wallet_id = w.user_id
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
          LEFT JOIN wallet_lot l ON l.wallet_id = m.wallet_id AND l.id = m.lot_id
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
          JOIN wallet_lot l ON l.wallet_id = m.wallet_id AND l.id = m.lot_id
          LEFT JOIN wallet_hold h ON h.wallet_id = e.wallet_id AND h.id = e.hold_id
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
          JOIN wallet_lotmove back_move
            ON back_move.wallet_id = back.wallet_id AND back_move.sequence = back.sequence
          LEFT JOIN wallet_lotmove charge_move
            ON charge_move.wallet_id = charge.wallet_id AND charge_move.sequence = charge.sequence
           AND charge_move.lot_id = back_move.lot_id
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
          FROM wallet_wallet w LEFT JOIN wallet_budget b ON b.wallet_id = w.user_id
         WHERE w.user_id > %(after)s AND w.user_id <= %(last)s
         GROUP BY w.user_id, w.budgets HAVING w.budgets <> count(b.wallet_id)
    """,
    "The reversals of an entry never come to more than the entry": """
        SELECT back.reverses_id, format('%%s credits, %%s reversed', coalesce(charge.credits, 0), sum(back.credits))
          FROM wallet_entry back LEFT JOIN wallet_entry charge
            ON charge.id = back.reverses_id AND charge.wallet_id = back.wallet_id
         WHERE back.wallet_id > %(after)s AND back.wallet_id <= %(last)s AND back.reverses_id IS NOT NULL
         GROUP BY back.reverses_id, charge.id, charge.credits
        HAVING charge.id IS NULL OR abs(sum(back.credits)) > abs(charge.credits)
            OR sign(sum(back.credits)) = sign(charge.credits)
    """,
    "Every top-up entry stands for one paid checkout of the same user, at a credit a whole dollar": """
        SELECT e.id, format('session %%s, %%s credits, paid %%s cents', e.stripe_session_id, e.credits, t.paid_cents)
          FROM wallet_entry e LEFT JOIN wallet_topup t ON t.entry_id = e.id AND t.state = 'paid'
         WHERE e.wallet_id > %(after)s AND e.wallet_id <= %(last)s AND e.kind = 'topup'
           AND (t.id IS NULL OR t.user_id <> e.wallet_id
                OR t.stripe_session_id IS DISTINCT FROM e.stripe_session_id
                OR t.paid_cents / 100 IS DISTINCT FROM e.credits OR t.origin <> 'checkout')
    """,
    # An entry that replaces or adds the credits of a payment is a top-up, or an adjustment with its session.
    "Every entry that credits a payment is the one that the payment names": """
        SELECT e.id, format('session %%s, %%s', e.stripe_session_id, coalesce(p.entry_id, 'not recorded'))
          FROM wallet_entry e LEFT JOIN wallet_payment p ON p.stripe_id = e.stripe_session_id
         WHERE e.wallet_id > %(after)s AND e.wallet_id <= %(last)s
           AND e.kind IN ('topup', 'adjustment') AND e.stripe_session_id <> ''
           AND (p.entry_id IS DISTINCT FROM e.id OR p.user_id <> e.wallet_id)
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
                      (SELECT coalesce(-sum(moved.cents::bigint), 0) AS withdrawn
                         FROM wallet_stripedispute d, jsonb_each_text(d.movements) AS moved (id, cents)
                        WHERE d.payment_intent_id = t.payment_intent_id) AS disputes
                WHERE p.stripe_id = t.payment_intent_id AND p.session_id = t.stripe_session_id
               ) AS gone ON true
         WHERE t.id IS NULL OR has.credits <> floor(greatest(
               0, t.paid_cents - coalesce(gone.refunded, 0) - coalesce(gone.withdrawn, 0)) / 100)
    """,
}

LAWS_OF_THE_WHOLE = {
    "No entry is without a wallet": """
        SELECT e.id, e.wallet_id FROM wallet_entry e LEFT JOIN wallet_wallet w ON w.user_id = e.wallet_id
         WHERE w.user_id IS NULL
    """,
    "Every paid top-up has its entry": """
        SELECT t.id, coalesce(t.entry_id, 'no entry')
          FROM wallet_topup t
          LEFT JOIN wallet_entry e ON e.wallet_id = t.user_id AND e.id = t.entry_id AND e.kind = 'topup'
         WHERE t.state = 'paid' AND e.id IS NULL
    """,
    "Every decided payment has its entry, and its payment intent is that of the top-up": """
        SELECT p.stripe_id, format('%%s as %%s for %%s', p.state, p.entry_id, p.user_id)
          FROM wallet_payment p
          LEFT JOIN wallet_entry e ON e.wallet_id = p.user_id AND e.id = p.entry_id
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
    "What came in less what went out is what wallets hold": """
        SELECT 'all wallets', format('entries add up to %%s, balances to %%s', entries.credits, wallets.credits)
          FROM (SELECT coalesce(sum(credits), 0) AS credits FROM wallet_entry) entries,
               (SELECT coalesce(sum(balance), 0) AS credits FROM wallet_wallet) wallets
         WHERE entries.credits <> wallets.credits
    """,
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
    "The triggers that keep the laws are in force": """
        SELECT wanted.name, coalesce(found.state::text, 'missing')
          FROM (VALUES ('wallet_entry_is_history'), ('wallet_entry_is_not_truncated'),
                       ('wallet_entry_follows_its_wallet'), ('wallet_wallet_moves_with_an_entry'),
                       ('wallet_wallet_keeps_what_is_its_own'), ('wallet_entry_time_never_falls'),
                       ('wallet_wallet_is_moved_by_this_release'), ('wallet_giveback_says_what_grants_got'),
                       ('wallet_payment_is_decided_once'), ('wallet_payment_is_not_truncated'),
                       ('wallet_hold_is_final'), ('wallet_hold_is_not_truncated'),
                       ('wallet_giveback_is_history'), ('wallet_giveback_is_not_truncated'),
                       ('wallet_lot_is_kept'), ('wallet_lot_is_not_truncated'),
                       ('wallet_lotmove_follows_its_lot'), ('wallet_lotmove_is_history'),
                       ('wallet_lotmove_is_not_truncated'), ('wallet_holdpart_is_history'),
                       ('wallet_holdpart_is_not_truncated'),
                       ('wallet_ratechange_is_history'), ('wallet_ratechange_is_not_truncated')) AS wanted (name)
          LEFT JOIN (SELECT tgname, tgenabled AS state FROM pg_trigger) AS found ON found.tgname = wanted.name
         WHERE found.state IS DISTINCT FROM 'O' AND found.state IS DISTINCT FROM 'A'
    """,
    "The constraints that keep the laws are in force": """
        SELECT wanted.name, 'missing or not validated'
          FROM (VALUES ('wallet_wallet_counts_from_zero'), ('wallet_wallet_starts_empty'),
                       ('wallet_entry_moves_something'), ('wallet_entry_counts_from_one'),
                       ('wallet_entry_sign_fits_kind'), ('wallet_entry_leaves_what_is_held'),
                       ('wallet_entry_capture_names_its_hold'), ('wallet_entry_counts_units'),
                       ('wallet_entry_reverses_an_entry_of_its_wallet'),
                       ('wallet_giveback_is_of_an_entry_of_its_wallet'),
                       ('wallet_wallet_sets_aside_no_less_than_nothing'), ('wallet_hold_sets_something_aside'),
                       ('wallet_hold_was_covered'), ('wallet_hold_ends_once'),
                       ('wallet_lot_adds_up'), ('wallet_lot_grants_something'),
                       ('wallet_lot_is_voided_before_its_end'), ('wallet_lotmove_moves_something'),
                       ('wallet_lotmove_is_of_an_entry_of_its_wallet'),
                       ('wallet_holdpart_sets_something_aside'),
                       ('wallet_holdpart_is_of_a_hold_of_its_wallet'),
                       ('wallet_holdpart_is_of_a_lot_of_its_wallet'), ('wallet_budget_counts_from_zero'),
                       ('wallet_budget_is_of_who_set_it'), ('wallet_grantedmonth_counts_from_zero'),
                       ('wallet_entry_topup_names_its_checkout'), ('wallet_entry_charge_names_its_feature'),
                       ('wallet_entry_refund_names_its_charge'), ('wallet_topup_is_paid_with_an_entry'),
                       ('wallet_rate_is_never_free'),
                       ('wallet_ratechange_is_never_free'), ('wallet_daytotal_adds_something_up'),
                       ('wallet_payment_is_credited_with_an_entry'), ('wallet_payment_refunds_add_up'),
                       ('wallet_striperefund_is_money'), ('wallet_refundrequest_is_money'),
                       ('wallet_stripeevent_counts_tries')) AS wanted (name)
         WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conname = wanted.name AND convalidated)
    """,
    "The indexes that keep a key, a checkout and a hold to once are in force": """
        SELECT wanted.name, 'missing or not valid'
          FROM (VALUES ('wallet_entry_key_once'), ('wallet_entry_checkout_once'), ('wallet_entry_one_per_place'),
                       ('wallet_entry_pkey'), ('wallet_entry_one_per_hold'), ('wallet_hold_pkey'),
                       ('wallet_hold_key_once'), ('wallet_giveback_pkey'), ('wallet_lot_pkey'),
                       ('wallet_lot_one_per_entry'), ('wallet_lotmove_pkey'), ('wallet_holdpart_pkey'),
                       ('wallet_budget_pkey'), ('wallet_grantedmonth_pkey'),
                       ('wallet_topup_stripe_session_id_key'), ('wallet_topup_entry_id_key'),
                       ('wallet_topup_form_once'), ('wallet_daytotal_once'),
                       ('wallet_payment_pkey'), ('wallet_refundrequest_form_once'),
                       ('wallet_reconciliationrun_one_at_a_time')) AS wanted (name)
         WHERE NOT EXISTS (SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                            WHERE relname = wanted.name AND indisunique AND indisvalid)
    """,
}

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


def violations() -> list[Violation]:
    """Return every violation; [] if no law is broken."""
    return list(find_violations())


def find_violations(*, on_wallets: Callable[[int], None] = lambda count: None) -> Iterator[Violation]:
    """Yield every violation. The wallets are read once, in batches of 1,000.

    After each batch, `on_wallets` is called with the number of its wallets. If products may charge at the
    same time, use this function in a REPEATABLE READ transaction; otherwise the result may be wrong.
    """
    for law, query in (LAWS_OF_THE_WHOLE | LAWS_OF_DAYS).items():
        yield from broken(law, query, {})
    after = ""
    while batch := _next_wallets(after):
        for law, query in LAWS_OF_WALLETS.items():
            yield from broken(law, query, {"after": after, "last": batch[-1]})
        after = batch[-1]
        on_wallets(len(batch))


def _next_wallets(after: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id FROM wallet_wallet WHERE user_id > %s ORDER BY user_id LIMIT %s",
            [after, WALLETS_AT_A_TIME],
        )
        return [user_id for (user_id,) in cursor.fetchall()]


def broken(law: str, query: str, values: dict[str, str]) -> Iterator[Violation]:
    """Yield the violations of one law. The query returns rows of (subject, detail)."""
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        for subject, detail in cursor.fetchall():
            yield Violation(law, str(subject), str(detail))
