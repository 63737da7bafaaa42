-- A payment that is decided stays so, and its row is never removed. Only a payment that staff closed without credits
-- can still be credited by hand.
CREATE FUNCTION wallet_payment_is_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION '% of wallet_payment is refused: the payment could then be credited again.', TG_OP
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'wallet_payment_is_decided_once';
    END IF;
    IF NEW.stripe_id <> OLD.stripe_id OR NEW.refunded_cents < OLD.refunded_cents
       OR (OLD.state <> 'known' AND NOT (OLD.state = 'closed' AND NEW.state = 'by_hand')
           AND (NEW.state, NEW.session_id, NEW.user_id, NEW.entry_id)
               <> (OLD.state, OLD.session_id, OLD.user_id, OLD.entry_id)) THEN
        RAISE EXCEPTION 'The payment % is decided already: %', OLD.stripe_id, OLD.state
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'wallet_payment_is_decided_once';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER wallet_payment_is_decided_once BEFORE UPDATE OR DELETE ON wallet_payment
    FOR EACH ROW EXECUTE FUNCTION wallet_payment_is_decided_once();
CREATE TRIGGER wallet_payment_is_not_truncated BEFORE TRUNCATE ON wallet_payment
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_payment_is_decided_once();

-- An entry that credits a payment needs the row of its Checkout Session, and the row names this entry. The current
-- release inserts the row first. The release before knows no such rows: the trigger inserts them for it. (A cluster
-- cannot have this trigger, because an entry is on another node than the row. It needs none: no release before this
-- one can run there.)
CREATE FUNCTION wallet_entry_claims_its_payment() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    claimed text;
BEGIN
    INSERT INTO wallet_payment (stripe_id, state, session_id, user_id, entry_id, refunded_cents)
    VALUES (NEW.stripe_session_id, CASE NEW.kind WHEN 'topup' THEN 'credited' ELSE 'by_hand' END,
            NEW.stripe_session_id, NEW.wallet_id, NEW.id, 0)
        ON CONFLICT (stripe_id) DO NOTHING;
    SELECT entry_id INTO claimed FROM wallet_payment WHERE stripe_id = NEW.stripe_session_id;
    IF claimed IS DISTINCT FROM NEW.id THEN
        RAISE EXCEPTION 'wallet_entry % (%): the payment of % was decided before, as %',
            NEW.id, NEW.kind, NEW.stripe_session_id, coalesce(nullif(claimed, ''), 'closed')
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_entry_claims_its_payment';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER wallet_entry_claims_its_payment BEFORE INSERT ON wallet_entry
    FOR EACH ROW WHEN (NEW.kind IN ('topup', 'adjustment') AND NEW.stripe_session_id <> '')
    EXECUTE FUNCTION wallet_entry_claims_its_payment();

-- The same for the row of the payment intent, which the release before stores in the top-up.
CREATE FUNCTION wallet_topup_claims_its_payment() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO wallet_payment (stripe_id, state, session_id, user_id, entry_id, refunded_cents)
    VALUES (NEW.payment_intent_id, 'credited', NEW.stripe_session_id, NEW.user_id, NEW.entry_id, 0)
        ON CONFLICT (stripe_id) DO UPDATE
       SET state = 'credited', session_id = NEW.stripe_session_id, user_id = NEW.user_id, entry_id = NEW.entry_id
     WHERE wallet_payment.state = 'known';
    RETURN NULL;
END $$;

CREATE TRIGGER wallet_topup_claims_its_payment AFTER INSERT OR UPDATE OF state ON wallet_topup
    FOR EACH ROW WHEN (NEW.state = 'paid' AND NEW.payment_intent_id <> '')
    EXECUTE FUNCTION wallet_topup_claims_its_payment();

--- reverse:
DROP TRIGGER wallet_topup_claims_its_payment ON wallet_topup;
DROP FUNCTION wallet_topup_claims_its_payment();
DROP TRIGGER wallet_entry_claims_its_payment ON wallet_entry;
DROP FUNCTION wallet_entry_claims_its_payment();
DROP TRIGGER wallet_payment_is_not_truncated ON wallet_payment;
DROP TRIGGER wallet_payment_is_decided_once ON wallet_payment;
DROP FUNCTION wallet_payment_is_decided_once();
