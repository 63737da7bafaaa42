-- An entry tells what its wallet's row has just become. This replaces the function of laws.sql. It also compares
-- what is held, and it refuses entries of the release before this one where they could be wrong: that release knows
-- no holds, grants, budgets or frozen wallets, and leaves `held` empty.
CREATE OR REPLACE FUNCTION wallet_entry_follows_its_wallet() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wallet record;
    charge record;
    captured record;
    given_back bigint;
BEGIN
    SELECT balance, entries_count, held, granted, watch, budgets, frozen INTO wallet
      FROM wallet_wallet WHERE user_id = NEW.wallet_id;
    IF wallet.entries_count IS DISTINCT FROM NEW.sequence OR wallet.balance IS DISTINCT FROM NEW.balance_after
       OR (NEW.held IS NOT NULL AND wallet.held <> NEW.held) THEN
        RAISE EXCEPTION 'wallet_entry % does not follow its wallet % (balance %, held %, entries %)',
            NEW.id, NEW.wallet_id, wallet.balance, wallet.held, wallet.entries_count
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_entry_follows_its_wallet';
    END IF;
    IF NEW.held IS NULL
       AND (wallet.held <> 0 OR wallet.granted <> 0 OR wallet.watch <> 0 OR wallet.budgets <> 0 OR wallet.frozen) THEN
        -- Django raises OperationalError for this code, and the release before answers 503.
        RAISE EXCEPTION 'wallet % has holds, grants, budgets or is frozen: only a newer release may move it',
            NEW.wallet_id
            USING ERRCODE = 'object_not_in_prerequisite_state', CONSTRAINT = 'wallet_entry_follows_its_wallet';
    END IF;

    IF NEW.reverses_id IS NOT NULL THEN
        SELECT id, credits INTO charge
          FROM wallet_entry WHERE id = NEW.reverses_id AND wallet_id = NEW.wallet_id;
        SELECT coalesce(sum(credits), 0) INTO given_back
          FROM wallet_entry WHERE reverses_id = NEW.reverses_id AND wallet_id = NEW.wallet_id;
        -- Opposite signs, and all reversals together no more than the entry.
        IF charge.id IS NULL OR sign(charge.credits) = sign(NEW.credits)
           OR abs(given_back + NEW.credits) > abs(charge.credits) THEN
            RAISE EXCEPTION 'wallet_entry % reverses more than % holds', NEW.id, NEW.reverses_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_entry_reverses_at_most_the_whole';
        END IF;
    END IF;

    IF NEW.kind = 'capture' THEN
        SELECT id, state, product, feature, count, captured_count, credits INTO captured
          FROM wallet_hold WHERE wallet_id = NEW.wallet_id AND id = NEW.hold_id;
        -- As numeric: the products can be larger than a bigint.
        IF captured.id IS NULL OR captured.state <> 'captured' OR captured.product <> NEW.product
           OR captured.feature <> NEW.feature OR captured.captured_count IS DISTINCT FROM NEW.count
           OR -NEW.credits::numeric * captured.count <> captured.credits::numeric * NEW.count THEN
            RAISE EXCEPTION 'wallet_entry % does not fit the hold %', NEW.id, NEW.hold_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_entry_capture_fits_its_hold';
        END IF;
    END IF;
    RETURN NEW;
END $$;

-- What a wallet says is held is what its open holds hold. Checked at the end of the transaction, on the row as it is
-- then. A charge changes neither column, so it does not pay for this.
CREATE OR REPLACE FUNCTION wallet_keeps_what_is_its_own() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wallet record;
    open_holds record;
BEGIN
    SELECT wallet_wallet.held, wallet_wallet.open_holds INTO wallet FROM wallet_wallet WHERE user_id = NEW.user_id;
    SELECT coalesce(sum(credits), 0) AS credits, count(*) AS number INTO open_holds
      FROM wallet_hold WHERE wallet_id = NEW.user_id AND state = 'open';
    IF wallet.held <> open_holds.credits OR wallet.open_holds <> open_holds.number THEN
        RAISE EXCEPTION 'wallet % holds % credits in % holds, and its open holds are % credits in %',
            NEW.user_id, wallet.held, wallet.open_holds, open_holds.credits, open_holds.number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_wallet_keeps_what_is_its_own';
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS wallet_wallet_keeps_what_is_its_own ON wallet_wallet;
CREATE CONSTRAINT TRIGGER wallet_wallet_keeps_what_is_its_own AFTER UPDATE ON wallet_wallet
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((OLD.held, OLD.open_holds) IS DISTINCT FROM (NEW.held, NEW.open_holds))
    EXECUTE FUNCTION wallet_keeps_what_is_its_own();

--- reverse:
DROP TRIGGER IF EXISTS wallet_wallet_keeps_what_is_its_own ON wallet_wallet;
DROP FUNCTION IF EXISTS wallet_keeps_what_is_its_own();
