"""The laws about what the database itself refuses: its triggers, constraints and indexes."""

from foundation.database import guards
from wallet.books.guards import GUARDS

LAWS_OF_THE_WHOLE = {
    guards.name_of("the wallet"): guards.law(GUARDS),
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
                       ('wallet_stripeevent_counts_tries'), ('wallet_seal_covers_something'),
                       ('wallet_tableseal_covers_something')) AS wanted (name)
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
                       ('wallet_reconciliationrun_one_at_a_time'), ('wallet_seal_pkey'),
                       ('wallet_tableseal_pkey')) AS wanted (name)
         WHERE NOT EXISTS (SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                            WHERE relname = wanted.name AND indisunique AND indisvalid)
    """,
}
