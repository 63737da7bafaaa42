-- The release before this one gives all credits back as paid ones, also those that a grant had paid. So it may not
-- give such a charge back. A later release drops this trigger and makes the column NOT NULL.
CREATE OR REPLACE FUNCTION wallet_giveback_says_what_grants_got() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM wallet_entry refund
                 JOIN wallet_entry charge ON charge.wallet_id = NEW.wallet_id AND charge.id = refund.reverses_id
                 JOIN wallet_lotmove move ON move.wallet_id = NEW.wallet_id AND move.sequence = charge.sequence
                WHERE refund.wallet_id = NEW.wallet_id AND refund.id = NEW.entry_id) THEN
        RAISE EXCEPTION 'grants paid for what % gives back: only a newer release may do that', NEW.entry_id
            USING ERRCODE = 'object_not_in_prerequisite_state', CONSTRAINT = 'wallet_giveback_says_what_grants_got';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER wallet_giveback_says_what_grants_got BEFORE INSERT ON wallet_giveback
    FOR EACH ROW WHEN (NEW.to_grants IS NULL) EXECUTE FUNCTION wallet_giveback_says_what_grants_got();

--- reverse:
DROP TRIGGER IF EXISTS wallet_giveback_says_what_grants_got ON wallet_giveback;
DROP FUNCTION IF EXISTS wallet_giveback_says_what_grants_got();
