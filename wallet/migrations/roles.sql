-- Rows that are final, for all roles; and laws for each role but the owner of the tables (see
-- accounts/migrations/roles.sql).

-- On a shard of a cluster, a trigger can't read the tables of acts and runs, and its clock is not that of the
-- coordinator. So the functions below do nothing there, and the laws of check_ledger find it.

-- For the role that serves, an entry is dated in its own transaction. A minute is for a clock that is set back. Only a
-- payment, and an end that was reached before, may be effective earlier; Stripe's clock may be ahead of ours.
CREATE OR REPLACE FUNCTION wallet_entry_is_of_now() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    is_payment boolean := NEW.kind IN ('topup', 'clawback', 'reinstatement');
BEGIN
    IF TG_TABLE_NAME <> 'wallet_entry' OR accounts_is_owner(TG_RELID) THEN
        RETURN NEW;
    END IF;
    IF NEW.created_at < transaction_timestamp() - interval '1 minute'
       OR NEW.effective_at > NEW.created_at + (CASE WHEN is_payment THEN interval '1 day' ELSE interval '1 minute' END)
       OR NEW.effective_at < timestamptz '2000-01-01 00:00+00' -- Before that, and -infinity, no payment was made.
       OR (NEW.kind = 'expiry' AND NEW.effective_at <
           (SELECT created_at FROM wallet_entry WHERE wallet_id = NEW.wallet_id AND sequence = 1))
       OR (NOT is_payment AND NEW.kind <> 'expiry'
           AND NEW.effective_at < transaction_timestamp() - interval '1 minute') THEN
        RAISE EXCEPTION 'wallet_entry % is dated % and %, and is written at %',
            NEW.id, NEW.created_at, NEW.effective_at, transaction_timestamp()
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_entry_time_of_now';
    END IF;
    RETURN NEW;
END $$;

-- What staff adjust, give back and grant has an act about the user with the same form key, in the same transaction. An
-- adjustment by a command names the command's run, and only a role that may begin a run writes it.
CREATE OR REPLACE FUNCTION wallet_entry_has_its_act() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME <> 'wallet_entry' OR accounts_is_owner(TG_RELID)
       OR (NEW.actor LIKE 'user:%' AND accounts_has_acted(substr(NEW.actor, 6), NEW.idempotency_key, NEW.wallet_id))
       OR (NEW.kind = 'adjustment' AND has_any_column_privilege('wallet_reconciliationrun', 'INSERT') AND EXISTS (
           SELECT FROM wallet_reconciliationrun
            WHERE NEW.actor = 'command:reconcile_stripe:' || id AND started_at <= NEW.created_at)) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'wallet_entry % (%) by % has no act', NEW.id, NEW.kind, NEW.actor
        USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_entry_has_its_act';
END $$;

CREATE OR REPLACE FUNCTION wallet_refundrequest_has_its_act() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF accounts_is_owner(TG_RELID)
       OR accounts_has_acted(coalesce(substring(NEW.actor FROM '^user:(.*)$'), ''), NEW.form_key,
                             (SELECT user_id FROM wallet_topup WHERE id = NEW.topup_id)) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'wallet_refundrequest % by % has no act', NEW.id, NEW.actor
        USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_refundrequest_has_its_act';
END $$;

-- A rate is what its last change says, and the staff member who changes it has an act in the same transaction.
CREATE OR REPLACE FUNCTION wallet_rate_is_its_last_change() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    rate record;
    change record;
BEGIN
    IF TG_TABLE_NAME NOT IN ('wallet_rate', 'wallet_ratechange') OR accounts_is_owner(TG_RELID) THEN
        RETURN NULL;
    END IF;
    SELECT label, credits, unit, active INTO rate FROM wallet_rate WHERE feature = NEW.feature;
    SELECT label, credits, unit, active, actor INTO change
      FROM wallet_ratechange WHERE feature = NEW.feature ORDER BY id DESC LIMIT 1;
    IF (rate.label, rate.credits, rate.unit, rate.active)
       IS DISTINCT FROM (change.label, change.credits, change.unit, change.active)
       OR NOT accounts_has_acted(coalesce(substring(change.actor FROM '^user:(.*)$'), ''), NULL, NULL) THEN
        RAISE EXCEPTION 'The rate of % is not what a staff member has set, with an act', NEW.feature
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_rate_is_its_last_change';
    END IF;
    RETURN NULL;
END $$;

-- A stored event keeps what Stripe sent. Only the erasure of a reader changes it (foundation/erased_texts.py): a part
-- of a text becomes "(erased)", in values and names, and what stands beside an address becomes null.
CREATE OR REPLACE FUNCTION wallet_stripeevent_keeps_its_payload() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    sent jsonb;
    is_redacted boolean := NEW.payload LIKE '%(erased)%';
BEGIN
    BEGIN
        sent := OLD.payload::jsonb;
    EXCEPTION WHEN data_exception OR program_limit_exceeded OR statement_too_complex THEN
        NULL; -- PostgreSQL can't read what Stripe sent, so no more can be compared.
    END;
    IF is_redacted AND sent IS NOT NULL THEN
        WITH RECURSIVE pair (name, was, becomes) AS (
            SELECT '', sent, NEW.payload::jsonb
             UNION ALL
            SELECT child.name, child.was, child.becomes
              FROM pair
             CROSS JOIN LATERAL (
                   SELECT coalesce(a.name, b.name) AS name, a.value AS was, b.value AS becomes
                     FROM (SELECT key AS name, value
                             FROM jsonb_each(CASE jsonb_typeof(pair.was) WHEN 'object' THEN pair.was ELSE '{}' END)
                            UNION ALL
                           SELECT place::text, value
                             FROM jsonb_array_elements(
                                  CASE jsonb_typeof(pair.was) WHEN 'array' THEN pair.was ELSE '[]' END)
                                  WITH ORDINALITY AS item (value, place)) a
                     FULL JOIN
                          (SELECT key AS name, value
                             FROM jsonb_each(
                                  CASE jsonb_typeof(pair.becomes) WHEN 'object' THEN pair.becomes ELSE '{}' END)
                            UNION ALL
                           SELECT place::text, value
                             FROM jsonb_array_elements(
                                  CASE jsonb_typeof(pair.becomes) WHEN 'array' THEN pair.becomes ELSE '[]' END)
                                  WITH ORDINALITY AS item (value, place)) b ON b.name = a.name) child
             WHERE pair.was <> pair.becomes AND jsonb_typeof(pair.was) = jsonb_typeof(pair.becomes))
        SELECT bool_and(coalesce(
                   name ~ '@|%40|[(]erased[)]'
                   OR becomes = 'null' AND name ~
                      ('^((customer_|individual_|business_|billing_|shipping_)?(name|phone|address)'
                       '|(customer_)?shipping(_details)?|collected_information)$')
                   OR jsonb_typeof(was) = jsonb_typeof(becomes) AND (
                      jsonb_typeof(was) IN ('object', 'array')
                      OR jsonb_typeof(was) = 'string' AND was #>> '{}' LIKE replace(
                         regexp_replace(becomes #>> '{}', '([\\%_])', '\\\1', 'g'), '(erased)', '%')), false))
          INTO is_redacted FROM pair WHERE was IS DISTINCT FROM becomes;
    END IF;
    IF is_redacted IS NOT TRUE THEN
        RAISE EXCEPTION 'The payload of % is what Stripe sent: only an erasure changes it', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'wallet_stripeevent_keeps_its_payload';
    END IF;
    RETURN NEW;
END $$;

--- reverse:
DROP FUNCTION IF EXISTS wallet_stripeevent_keeps_its_payload();
DROP FUNCTION IF EXISTS wallet_rate_is_its_last_change();
DROP FUNCTION IF EXISTS wallet_refundrequest_has_its_act();
DROP FUNCTION IF EXISTS wallet_entry_has_its_act();
DROP FUNCTION IF EXISTS wallet_entry_is_of_now();

--- next:
-- A charge changes neither column, so it does not pay for the first trigger. A trigger of the releases before went
-- with them: each release that may still serve knows grants and budgets.
CREATE OR REPLACE TRIGGER wallet_wallet_keeps_its_user BEFORE UPDATE OF user_id, created_at ON wallet_wallet
    FOR EACH ROW WHEN (NEW.user_id <> OLD.user_id OR NEW.created_at <> OLD.created_at)
    EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_wallet_is_not_deleted BEFORE DELETE ON wallet_wallet
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_wallet_is_not_truncated BEFORE TRUNCATE ON wallet_wallet
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();
DROP TRIGGER IF EXISTS wallet_wallet_is_moved_by_this_release ON wallet_wallet;
DROP FUNCTION IF EXISTS wallet_is_moved_by_this_release();

--- reverse:
DROP TRIGGER IF EXISTS wallet_wallet_is_not_truncated ON wallet_wallet;
DROP TRIGGER IF EXISTS wallet_wallet_is_not_deleted ON wallet_wallet;
DROP TRIGGER IF EXISTS wallet_wallet_keeps_its_user ON wallet_wallet;

--- next:
-- It served the releases that knew no grants.
DROP TRIGGER IF EXISTS wallet_giveback_says_what_grants_got ON wallet_giveback;
DROP FUNCTION IF EXISTS wallet_giveback_says_what_grants_got();

--- reverse:

--- next:
-- By its name it runs after wallet_entry_follows_its_wallet, which may change the time (before 0029, a trigger
-- wallet_entry_time_never_falls did that). A charge pays only for the condition.
CREATE OR REPLACE TRIGGER wallet_entry_time_of_now BEFORE INSERT ON wallet_entry
    FOR EACH ROW WHEN (NEW.created_at < transaction_timestamp() OR NEW.effective_at > NEW.created_at
                       OR NEW.effective_at < transaction_timestamp())
    EXECUTE FUNCTION wallet_entry_is_of_now();
-- No IN here: a dump writes it in other words, and check_ledger would name the restored trigger.
DROP TRIGGER IF EXISTS wallet_entry_has_its_act ON wallet_entry;
CREATE CONSTRAINT TRIGGER wallet_entry_has_its_act AFTER INSERT ON wallet_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.kind = 'adjustment' OR ((NEW.kind = 'refund' OR NEW.kind = 'grant') AND NEW.actor LIKE 'user:%'))
    EXECUTE FUNCTION wallet_entry_has_its_act();

--- reverse:
DROP TRIGGER IF EXISTS wallet_entry_has_its_act ON wallet_entry;
DROP TRIGGER IF EXISTS wallet_entry_time_of_now ON wallet_entry;

--- next:
CREATE OR REPLACE TRIGGER wallet_topup_is_final BEFORE UPDATE ON wallet_topup
    FOR EACH ROW WHEN (OLD.state = 'paid' AND (
        (NEW.id, NEW.state, NEW.user_id, NEW.amount_cents, NEW.paid_cents, NEW.paid_at, NEW.stripe_session_id,
         NEW.entry_id, NEW.origin, NEW.created_at)
        IS DISTINCT FROM
        (OLD.id, OLD.state, OLD.user_id, OLD.amount_cents, OLD.paid_cents, OLD.paid_at, OLD.stripe_session_id,
         OLD.entry_id, OLD.origin, OLD.created_at)
        OR (OLD.payment_intent_id <> '' AND NEW.payment_intent_id <> OLD.payment_intent_id)))
    EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_topup_is_not_deleted BEFORE DELETE ON wallet_topup
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_topup_is_not_truncated BEFORE TRUNCATE ON wallet_topup
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

--- reverse:
DROP TRIGGER IF EXISTS wallet_topup_is_not_truncated ON wallet_topup;
DROP TRIGGER IF EXISTS wallet_topup_is_not_deleted ON wallet_topup;
DROP TRIGGER IF EXISTS wallet_topup_is_final ON wallet_topup;

--- next:
CREATE OR REPLACE TRIGGER wallet_stripeevent_is_final BEFORE UPDATE ON wallet_stripeevent
    FOR EACH ROW WHEN (
        (NEW.id, NEW.type, NEW.received_at, NEW.stripe_session_id, NEW.payment_intent_id)
        IS DISTINCT FROM
        (OLD.id, OLD.type, OLD.received_at, OLD.stripe_session_id, OLD.payment_intent_id)
        OR (OLD.state = 'resolved' AND NEW.state <> OLD.state))
    EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_stripeevent_keeps_its_payload BEFORE UPDATE ON wallet_stripeevent
    FOR EACH ROW WHEN (NEW.payload <> OLD.payload) EXECUTE FUNCTION wallet_stripeevent_keeps_its_payload();
CREATE OR REPLACE TRIGGER wallet_stripeevent_is_not_deleted BEFORE DELETE ON wallet_stripeevent
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_stripeevent_is_not_truncated BEFORE TRUNCATE ON wallet_stripeevent
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

--- reverse:
DROP TRIGGER IF EXISTS wallet_stripeevent_is_not_truncated ON wallet_stripeevent;
DROP TRIGGER IF EXISTS wallet_stripeevent_is_not_deleted ON wallet_stripeevent;
DROP TRIGGER IF EXISTS wallet_stripeevent_keeps_its_payload ON wallet_stripeevent;
DROP TRIGGER IF EXISTS wallet_stripeevent_is_final ON wallet_stripeevent;

--- next:
CREATE OR REPLACE TRIGGER wallet_striperefund_keeps_its_payment BEFORE UPDATE ON wallet_striperefund
    FOR EACH ROW WHEN ((NEW.id, NEW.payment_intent_id) IS DISTINCT FROM (OLD.id, OLD.payment_intent_id))
    EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_striperefund_is_not_deleted BEFORE DELETE ON wallet_striperefund
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_striperefund_is_not_truncated BEFORE TRUNCATE ON wallet_striperefund
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

--- reverse:
DROP TRIGGER IF EXISTS wallet_striperefund_is_not_truncated ON wallet_striperefund;
DROP TRIGGER IF EXISTS wallet_striperefund_is_not_deleted ON wallet_striperefund;
DROP TRIGGER IF EXISTS wallet_striperefund_keeps_its_payment ON wallet_striperefund;

--- next:
CREATE OR REPLACE TRIGGER wallet_stripedispute_keeps_its_payment BEFORE UPDATE ON wallet_stripedispute
    FOR EACH ROW WHEN ((NEW.id, NEW.payment_intent_id) IS DISTINCT FROM (OLD.id, OLD.payment_intent_id))
    EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_stripedispute_is_not_deleted BEFORE DELETE ON wallet_stripedispute
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_stripedispute_is_not_truncated BEFORE TRUNCATE ON wallet_stripedispute
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

--- reverse:
DROP TRIGGER IF EXISTS wallet_stripedispute_is_not_truncated ON wallet_stripedispute;
DROP TRIGGER IF EXISTS wallet_stripedispute_is_not_deleted ON wallet_stripedispute;
DROP TRIGGER IF EXISTS wallet_stripedispute_keeps_its_payment ON wallet_stripedispute;

--- next:
CREATE OR REPLACE TRIGGER wallet_refundrequest_is_final BEFORE UPDATE ON wallet_refundrequest
    FOR EACH ROW WHEN (
        (NEW.id, NEW.topup_id, NEW.amount_cents, NEW.actor, NEW.form_key, NEW.created_at)
        IS DISTINCT FROM (OLD.id, OLD.topup_id, OLD.amount_cents, OLD.actor, OLD.form_key, OLD.created_at)
        OR (NEW.reason <> OLD.reason AND NEW.reason NOT LIKE '%(erased)%'))
    EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_refundrequest_is_not_deleted BEFORE DELETE ON wallet_refundrequest
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_refundrequest_is_not_truncated BEFORE TRUNCATE ON wallet_refundrequest
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();
DROP TRIGGER IF EXISTS wallet_refundrequest_has_its_act ON wallet_refundrequest;
CREATE CONSTRAINT TRIGGER wallet_refundrequest_has_its_act AFTER INSERT ON wallet_refundrequest
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wallet_refundrequest_has_its_act();

--- reverse:
DROP TRIGGER IF EXISTS wallet_refundrequest_has_its_act ON wallet_refundrequest;
DROP TRIGGER IF EXISTS wallet_refundrequest_is_not_truncated ON wallet_refundrequest;
DROP TRIGGER IF EXISTS wallet_refundrequest_is_not_deleted ON wallet_refundrequest;
DROP TRIGGER IF EXISTS wallet_refundrequest_is_final ON wallet_refundrequest;

--- next:
-- Requests write neither of these tables, except that of granted months.
CREATE OR REPLACE TRIGGER wallet_audit_is_history BEFORE UPDATE OR DELETE ON wallet_audit
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_audit_is_not_truncated BEFORE TRUNCATE ON wallet_audit
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_reconciliationrun_is_not_deleted BEFORE DELETE ON wallet_reconciliationrun
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_reconciliationrun_is_not_truncated BEFORE TRUNCATE ON wallet_reconciliationrun
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_grantedmonth_is_not_deleted BEFORE DELETE ON wallet_grantedmonth
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_grantedmonth_is_not_truncated BEFORE TRUNCATE ON wallet_grantedmonth
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

--- reverse:
DROP TRIGGER IF EXISTS wallet_grantedmonth_is_not_truncated ON wallet_grantedmonth;
DROP TRIGGER IF EXISTS wallet_grantedmonth_is_not_deleted ON wallet_grantedmonth;
DROP TRIGGER IF EXISTS wallet_reconciliationrun_is_not_truncated ON wallet_reconciliationrun;
DROP TRIGGER IF EXISTS wallet_reconciliationrun_is_not_deleted ON wallet_reconciliationrun;
DROP TRIGGER IF EXISTS wallet_audit_is_not_truncated ON wallet_audit;
DROP TRIGGER IF EXISTS wallet_audit_is_history ON wallet_audit;

--- next:
-- On a cluster these are reference tables, which take no triggers; there the law finds it.
DROP TRIGGER IF EXISTS wallet_rate_is_its_last_change ON wallet_rate;
CREATE CONSTRAINT TRIGGER wallet_rate_is_its_last_change AFTER INSERT OR UPDATE ON wallet_rate
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wallet_rate_is_its_last_change();

--- reverse:
DROP TRIGGER IF EXISTS wallet_rate_is_its_last_change ON wallet_rate;

--- next:
DROP TRIGGER IF EXISTS wallet_ratechange_is_of_its_rate ON wallet_ratechange;
CREATE CONSTRAINT TRIGGER wallet_ratechange_is_of_its_rate AFTER INSERT ON wallet_ratechange
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wallet_rate_is_its_last_change();
CREATE OR REPLACE TRIGGER wallet_ratechange_is_dated_now BEFORE INSERT ON wallet_ratechange
    FOR EACH ROW EXECUTE FUNCTION accounts_is_dated_now();

--- reverse:
DROP TRIGGER IF EXISTS wallet_ratechange_is_dated_now ON wallet_ratechange;
DROP TRIGGER IF EXISTS wallet_ratechange_is_of_its_rate ON wallet_ratechange;
