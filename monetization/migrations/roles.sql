-- Laws for each role but the owner of the tables (accounts/migrations/roles.sql), and rows that are never removed.

-- What a tip has given back is what its refunds add up to. A refund by staff has an act with the same form key, in the
-- same transaction; a creator refunds their own tips without one.
CREATE OR REPLACE FUNCTION monetization_tip_is_its_refunds() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    tip record;
    refunds record;
    refunded text;
BEGIN
    IF accounts_is_owner(TG_RELID) THEN
        RETURN NULL;
    END IF;
    IF TG_TABLE_NAME = 'monetization_tip' THEN
        refunded := NEW.id;
    ELSE
        refunded := NEW.tip_id;
        IF NEW.actor <> 'user:' || NEW.creator_id
           AND NOT accounts_has_acted(coalesce(substring(NEW.actor FROM '^user:(.*)$'), ''), NEW.key,
                                      NEW.creator_id) THEN
            RAISE EXCEPTION 'monetization_refund % by % has no act', NEW.id, NEW.actor
                USING ERRCODE = 'check_violation', CONSTRAINT = 'monetization_refund_has_its_act';
        END IF;
    END IF;
    SELECT refunded_cents, fee_returned_cents, creator_id, currency INTO tip FROM monetization_tip WHERE id = refunded;
    SELECT coalesce(sum(amount_cents), 0) AS cents, coalesce(sum(fee_returned_cents), 0) AS fee_cents,
           bool_or((creator_id, currency) IS DISTINCT FROM (tip.creator_id, tip.currency)) AS are_of_another
      INTO refunds FROM monetization_refund WHERE tip_id = refunded;
    IF (tip.refunded_cents, tip.fee_returned_cents) IS DISTINCT FROM (refunds.cents, refunds.fee_cents)
       OR refunds.are_of_another THEN
        RAISE EXCEPTION 'The refunds of the tip % add up to % and % of the fee, and it says % and %',
            refunded, refunds.cents, refunds.fee_cents, tip.refunded_cents, tip.fee_returned_cents
            USING ERRCODE = 'check_violation', CONSTRAINT = 'monetization_tip_is_its_refunds';
    END IF;
    RETURN NULL;
END $$;

-- A subscription brings in a year what its events add up to.
CREATE OR REPLACE FUNCTION monetization_subscription_is_its_events() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    changed text;
    yearly bigint;
    events bigint;
BEGIN
    IF accounts_is_owner(TG_RELID) THEN
        RETURN NULL;
    END IF;
    IF TG_TABLE_NAME = 'monetization_subscription' THEN
        changed := NEW.id;
    ELSE
        changed := NEW.subscription_id;
    END IF;
    SELECT yearly_cents INTO yearly FROM monetization_subscription WHERE id = changed;
    SELECT sum(yearly_cents_delta) INTO events FROM monetization_subscriptionevent WHERE subscription_id = changed;
    IF yearly IS DISTINCT FROM events THEN
        RAISE EXCEPTION 'The events of the subscription % add up to %, and it says %', changed, events, yearly
            USING ERRCODE = 'check_violation', CONSTRAINT = 'monetization_subscription_is_its_events';
    END IF;
    RETURN NULL;
END $$;

-- A refund's number is the sequence's. The service names the column in each INSERT, so no privilege can say this. The
-- sequence comes with a later migration.
CREATE OR REPLACE FUNCTION monetization_refund_has_the_next_number() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT accounts_is_owner(TG_RELID) AND to_regclass('monetization_refund_number') IS NOT NULL THEN
        NEW.number := nextval('monetization_refund_number');
    END IF;
    RETURN NEW;
END $$;

--- reverse:
DROP FUNCTION IF EXISTS monetization_refund_has_the_next_number();
DROP FUNCTION IF EXISTS monetization_subscription_is_its_events();
DROP FUNCTION IF EXISTS monetization_tip_is_its_refunds();

--- next:
DROP TRIGGER IF EXISTS monetization_tip_is_its_refunds ON monetization_tip;
CREATE CONSTRAINT TRIGGER monetization_tip_is_its_refunds
    AFTER INSERT OR UPDATE OF refunded_cents, fee_returned_cents ON monetization_tip
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION monetization_tip_is_its_refunds();

--- reverse:
DROP TRIGGER IF EXISTS monetization_tip_is_its_refunds ON monetization_tip;

--- next:
DROP TRIGGER IF EXISTS monetization_refund_is_in_its_tip ON monetization_refund;
CREATE CONSTRAINT TRIGGER monetization_refund_is_in_its_tip AFTER INSERT ON monetization_refund
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION monetization_tip_is_its_refunds();
CREATE OR REPLACE TRIGGER monetization_refund_has_the_next_number BEFORE INSERT ON monetization_refund
    FOR EACH ROW EXECUTE FUNCTION monetization_refund_has_the_next_number();
CREATE OR REPLACE TRIGGER monetization_refund_is_dated_now BEFORE INSERT ON monetization_refund
    FOR EACH ROW EXECUTE FUNCTION accounts_is_dated_now();

--- reverse:
DROP TRIGGER IF EXISTS monetization_refund_is_dated_now ON monetization_refund;
DROP TRIGGER IF EXISTS monetization_refund_has_the_next_number ON monetization_refund;
DROP TRIGGER IF EXISTS monetization_refund_is_in_its_tip ON monetization_refund;

--- next:
DROP TRIGGER IF EXISTS monetization_subscription_is_its_events ON monetization_subscription;
CREATE CONSTRAINT TRIGGER monetization_subscription_is_its_events
    AFTER INSERT OR UPDATE OF yearly_cents ON monetization_subscription
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION monetization_subscription_is_its_events();
CREATE OR REPLACE TRIGGER monetization_subscription_is_not_deleted BEFORE DELETE ON monetization_subscription
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER monetization_subscription_is_not_truncated BEFORE TRUNCATE ON monetization_subscription
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

--- reverse:
DROP TRIGGER IF EXISTS monetization_subscription_is_not_truncated ON monetization_subscription;
DROP TRIGGER IF EXISTS monetization_subscription_is_not_deleted ON monetization_subscription;
DROP TRIGGER IF EXISTS monetization_subscription_is_its_events ON monetization_subscription;

--- next:
DROP TRIGGER IF EXISTS monetization_event_is_in_its_subscription ON monetization_subscriptionevent;
CREATE CONSTRAINT TRIGGER monetization_event_is_in_its_subscription AFTER INSERT ON monetization_subscriptionevent
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION monetization_subscription_is_its_events();
CREATE OR REPLACE TRIGGER monetization_event_is_dated_now BEFORE INSERT ON monetization_subscriptionevent
    FOR EACH ROW EXECUTE FUNCTION accounts_is_dated_now();

--- reverse:
DROP TRIGGER IF EXISTS monetization_event_is_dated_now ON monetization_subscriptionevent;
DROP TRIGGER IF EXISTS monetization_event_is_in_its_subscription ON monetization_subscriptionevent;

--- next:
CREATE OR REPLACE TRIGGER monetization_erasure_is_not_truncated BEFORE TRUNCATE ON monetization_erasure
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER monetization_erasure_is_dated_now BEFORE INSERT ON monetization_erasure
    FOR EACH ROW EXECUTE FUNCTION accounts_is_dated_now();

--- reverse:
DROP TRIGGER IF EXISTS monetization_erasure_is_dated_now ON monetization_erasure;
DROP TRIGGER IF EXISTS monetization_erasure_is_not_truncated ON monetization_erasure;
