-- What a wallet says is held and granted is what its open holds hold and what its lots have left, and each lot holds
-- what open holds have set aside of it. Checked at the end of the transaction, on the rows as they are then. A charge
-- of a wallet without grants changes none of the columns, so it does not pay for this. It replaces the function of
-- guard.sql.
CREATE OR REPLACE FUNCTION wallet_keeps_what_is_its_own() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wallet record;
    open_holds record;
    lots record;
BEGIN
    SELECT held, wallet_wallet.open_holds, granted INTO wallet FROM wallet_wallet WHERE user_id = NEW.user_id;
    SELECT coalesce(sum(credits), 0) AS credits, count(*) AS number INTO open_holds
      FROM wallet_hold WHERE wallet_id = NEW.user_id AND state = 'open';
    IF wallet.held <> open_holds.credits OR wallet.open_holds <> open_holds.number THEN
        RAISE EXCEPTION 'wallet % holds % credits in % holds, and its open holds are % credits in %',
            NEW.user_id, wallet.held, wallet.open_holds, open_holds.credits, open_holds.number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_wallet_keeps_what_is_its_own';
    END IF;
    IF wallet.granted <> 0 OR OLD.granted <> 0 OR NEW.granted <> 0 THEN
        SELECT coalesce(sum(remaining), 0) AS remaining, coalesce(sum(held), 0) AS held INTO lots
          FROM wallet_lot WHERE wallet_id = NEW.user_id AND remaining > 0;
        IF wallet.granted <> lots.remaining THEN
            RAISE EXCEPTION 'wallet % has % granted credits, and its lots have % left',
                NEW.user_id, wallet.granted, lots.remaining
                USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_wallet_keeps_what_is_its_own';
        END IF;
        IF (wallet.held > 0 OR lots.held > 0) AND lots.held <> (
            SELECT coalesce(sum(part.credits), 0) FROM wallet_hold hold JOIN wallet_holdpart part
                ON part.wallet_id = NEW.user_id AND part.hold_id = hold.id
             WHERE hold.wallet_id = NEW.user_id AND hold.state = 'open') THEN
            RAISE EXCEPTION 'the lots of wallet % hold % credits, and its open holds have set others aside',
                NEW.user_id, lots.held
                USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_wallet_keeps_what_is_its_own';
        END IF;
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS wallet_wallet_keeps_what_is_its_own ON wallet_wallet;
CREATE CONSTRAINT TRIGGER wallet_wallet_keeps_what_is_its_own AFTER UPDATE ON wallet_wallet
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((OLD.held, OLD.open_holds, OLD.granted) IS DISTINCT FROM (NEW.held, NEW.open_holds, NEW.granted))
    EXECUTE FUNCTION wallet_keeps_what_is_its_own();

-- The release before this one knows no grants and no budgets. It would charge past them, so what it does to such a
-- wallet is refused. It never counts a revision. Django raises OperationalError for this code, and that release
-- answers 503. A later release drops this trigger.
CREATE OR REPLACE FUNCTION wallet_is_moved_by_this_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'wallet % has grants or budgets: only a newer release may move it', NEW.user_id
        USING ERRCODE = 'object_not_in_prerequisite_state', CONSTRAINT = 'wallet_wallet_is_moved_by_this_release';
END $$;

CREATE OR REPLACE TRIGGER wallet_wallet_is_moved_by_this_release BEFORE UPDATE ON wallet_wallet FOR EACH ROW
    WHEN ((OLD.granted <> 0 OR OLD.budgets <> 0) AND NEW.revision = OLD.revision
          AND (NEW.balance <> OLD.balance OR NEW.held <> OLD.held))
    EXECUTE FUNCTION wallet_is_moved_by_this_release();

--- reverse:
DROP TRIGGER IF EXISTS wallet_wallet_is_moved_by_this_release ON wallet_wallet;
DROP FUNCTION IF EXISTS wallet_is_moved_by_this_release();
