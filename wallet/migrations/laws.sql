-- The laws of the books that need more than one row. What one row can tell is a constraint in models.py.

-- 1. Entries and rate changes are history: never changed, never removed.
CREATE FUNCTION wallet_is_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is history: % is refused. Post a new entry instead.', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER wallet_entry_is_history BEFORE UPDATE OR DELETE ON wallet_entry
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE TRIGGER wallet_entry_is_not_truncated BEFORE TRUNCATE ON wallet_entry
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();
CREATE TRIGGER wallet_ratechange_is_history BEFORE UPDATE OR DELETE ON wallet_ratechange
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE TRIGGER wallet_ratechange_is_not_truncated BEFORE TRUNCATE ON wallet_ratechange
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

-- The functions below look tables up under a search path of their own: a temporary table of the same name
-- would otherwise come first and answer for the books.

-- 2. An entry tells what its wallet's row has just become: the balance it left and its place in the row of
--    entries. The wallet is updated first, in the same transaction, so its row is locked here.
CREATE FUNCTION wallet_entry_follows_its_wallet() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wallet wallet_wallet%ROWTYPE;
    charge wallet_entry%ROWTYPE;
    given_back bigint;
BEGIN
    SELECT * INTO wallet FROM wallet_wallet WHERE user_id = NEW.wallet_id;
    IF wallet.entries_count IS DISTINCT FROM NEW.sequence OR wallet.balance IS DISTINCT FROM NEW.balance_after THEN
        RAISE EXCEPTION 'wallet_entry % does not follow its wallet % (balance %, entries %)',
            NEW.id, NEW.wallet_id, wallet.balance, wallet.entries_count
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_entry_follows_its_wallet';
    END IF;

    IF NEW.reverses_id IS NOT NULL THEN
        SELECT * INTO charge FROM wallet_entry WHERE id = NEW.reverses_id AND wallet_id = NEW.wallet_id;
        SELECT coalesce(sum(credits), 0) INTO given_back
          FROM wallet_entry WHERE reverses_id = NEW.reverses_id AND wallet_id = NEW.wallet_id;
        -- Opposite signs, and all reversals together no more than the entry.
        IF charge.id IS NULL OR sign(charge.credits) = sign(NEW.credits)
           OR abs(given_back + NEW.credits) > abs(charge.credits) THEN
            RAISE EXCEPTION 'wallet_entry % reverses more than % holds', NEW.id, NEW.reverses_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_entry_reverses_at_most_the_whole';
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER wallet_entry_follows_its_wallet BEFORE INSERT ON wallet_entry
    FOR EACH ROW EXECUTE FUNCTION wallet_entry_follows_its_wallet();

-- 3. A wallet moves only together with an entry that says by how much. Judged at the end of the
--    transaction, because the entry is written after the update.
CREATE FUNCTION wallet_moves_with_an_entry() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    balance_before bigint := 0;
    count_before bigint := 0;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        balance_before := OLD.balance;
        count_before := OLD.entries_count;
    END IF;
    IF NEW.entries_count = count_before AND NEW.balance = balance_before THEN
        RETURN NULL;
    END IF;
    IF NEW.entries_count <> count_before + 1 OR NOT EXISTS (
        SELECT FROM wallet_entry
         WHERE wallet_id = NEW.user_id AND sequence = NEW.entries_count
           AND balance_after = NEW.balance AND credits = NEW.balance - balance_before
    ) THEN
        RAISE EXCEPTION 'wallet % went from % to % credits without an entry that says so',
            NEW.user_id, balance_before, NEW.balance
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_wallet_moves_with_an_entry';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER wallet_wallet_moves_with_an_entry AFTER INSERT OR UPDATE ON wallet_wallet
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wallet_moves_with_an_entry();

--- reverse:
DROP TRIGGER wallet_wallet_moves_with_an_entry ON wallet_wallet;
DROP FUNCTION wallet_moves_with_an_entry();
DROP TRIGGER wallet_entry_follows_its_wallet ON wallet_entry;
DROP FUNCTION wallet_entry_follows_its_wallet();
DROP TRIGGER wallet_ratechange_is_not_truncated ON wallet_ratechange;
DROP TRIGGER wallet_ratechange_is_history ON wallet_ratechange;
DROP TRIGGER wallet_entry_is_not_truncated ON wallet_entry;
DROP TRIGGER wallet_entry_is_history ON wallet_entry;
DROP FUNCTION wallet_is_history();
