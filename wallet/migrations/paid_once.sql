-- No payment is credited both by itself (a top-up) and by hand (an adjustment that names its Checkout Session),
-- whichever wallets they are of. The verbs see to it themselves. This is for whoever goes round them: a release
-- before this one that runs beside it, or after going back to it, knows nothing of payments resolved by hand.
--
-- Both kinds take turns on the session under the lock of the verbs (settlement.lock_checkout), or two transactions at once
-- would not see each other's entry. Charges name no session, and cost nothing here.
CREATE FUNCTION wallet_entry_pays_once() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    other wallet_entry%ROWTYPE;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('checkout ' || NEW.stripe_session_id, 0));
    SELECT * INTO other FROM wallet_entry
     WHERE stripe_session_id = NEW.stripe_session_id AND stripe_session_id <> '' -- As its index says.
       AND kind = CASE NEW.kind WHEN 'topup' THEN 'adjustment' ELSE 'topup' END
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'wallet_entry % (%): the payment of % was credited before, as % (%)',
            NEW.id, NEW.kind, NEW.stripe_session_id, other.id, other.kind
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_entry_pays_once';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER wallet_entry_pays_once BEFORE INSERT ON wallet_entry
    FOR EACH ROW WHEN (NEW.kind IN ('topup', 'adjustment') AND NEW.stripe_session_id <> '')
    EXECUTE FUNCTION wallet_entry_pays_once();

--- reverse:
DROP TRIGGER wallet_entry_pays_once ON wallet_entry;
DROP FUNCTION wallet_entry_pays_once();
