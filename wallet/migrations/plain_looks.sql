-- The migration takes what stood before, for the way back, from several_entries.sql.

-- The same laws with fewer and plainer looks. Each look reads one table with the wallet's value and no subquery: PostgreSQL
-- plans it once for a session. On a shard, Citus keeps one plan for each shard; without force_generic_plan, it would make
-- one for each entry.
CREATE OR REPLACE FUNCTION wallet_entry_follows_its_wallet() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    wallet record;
    last record;
    balance_before bigint;
    time_before timestamptz;
    charge record;
    captured record;
    given_back bigint;
    is_placed_here boolean := NEW.sequence IS NULL;
BEGIN
    SELECT balance, entries_count, held, granted, watch, budgets, frozen INTO wallet
      FROM wallet_wallet WHERE user_id = NEW.wallet_id;
    -- The entry before this one; or, if this one is placed here, the last entry.
    SELECT sequence, balance_after, created_at INTO last FROM wallet_entry
     WHERE wallet_id = NEW.wallet_id AND sequence <= coalesce(NEW.sequence - 1, wallet.entries_count)
     ORDER BY sequence DESC LIMIT 1;
    IF is_placed_here THEN
        -- The entry came together with the update that takes its credits, so its writer does not know what the update
        -- leaves. If the update found no row to change, no credits were taken, and there is no entry to write.
        IF wallet.entries_count IS NULL OR wallet.entries_count = 0 OR last.sequence = wallet.entries_count THEN
            RETURN NULL;
        END IF;
        NEW.sequence := wallet.entries_count;
        NEW.balance_after := wallet.balance;
        NEW.held := wallet.held;
    END IF;
    IF last.sequence = NEW.sequence - 1 THEN
        balance_before := last.balance_after;
        time_before := last.created_at;
    END IF;

    IF NEW.sequence < wallet.entries_count THEN
        -- One of several charges, but not the last one: it follows the entry before it, and nothing follows it yet.
        -- What an entry must be in a wallet with grants, budgets or a freeze is more than this, so there is none here.
        PERFORM FROM wallet_entry WHERE wallet_id = NEW.wallet_id AND sequence = NEW.sequence + 1;
        IF FOUND OR NEW.kind <> 'deduct' OR wallet.granted <> 0 OR wallet.budgets <> 0 OR wallet.frozen
           OR NEW.balance_after IS DISTINCT FROM balance_before + NEW.credits
           OR NEW.held IS DISTINCT FROM wallet.held THEN
            RAISE EXCEPTION 'wallet_entry % does not follow the entry before it in wallet % (balance %, entries %)',
                NEW.id, NEW.wallet_id, wallet.balance, wallet.entries_count
                USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_entry_follows_its_wallet';
        END IF;
    ELSIF wallet.entries_count IS DISTINCT FROM NEW.sequence OR wallet.balance IS DISTINCT FROM NEW.balance_after
       OR (NEW.held IS NOT NULL AND wallet.held <> NEW.held) THEN
        RAISE EXCEPTION 'wallet_entry % does not follow its wallet % (balance %, held %, entries %)',
            NEW.id, NEW.wallet_id, wallet.balance, wallet.held, wallet.entries_count
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_entry_follows_its_wallet';
    END IF;
    IF NEW.held IS NULL
       AND (wallet.held <> 0 OR wallet.granted <> 0 OR wallet.watch <> 0 OR wallet.budgets <> 0 OR wallet.frozen) THEN
        -- Django raises OperationalError for this code, and a release that knows no holds answers 503.
        RAISE EXCEPTION 'wallet % has holds, grants, budgets or is frozen: only a newer release may move it',
            NEW.wallet_id
            USING ERRCODE = 'object_not_in_prerequisite_state', CONSTRAINT = 'wallet_entry_follows_its_wallet';
    END IF;

    -- Along a wallet's entries, the time never falls, and it is never in the future. greatest() and least() ignore
    -- NULL: no time means now, and a first entry has no entry before it.
    NEW.created_at := greatest(time_before, least(NEW.created_at, clock_timestamp()));

    -- What overdue holds have set aside can be spent again, but they must be ended first.
    IF is_placed_here AND wallet.held > 0 THEN
        PERFORM FROM wallet_hold
          WHERE wallet_id = NEW.wallet_id AND state = 'open' AND expires_at <= NEW.created_at LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'wallet % has holds that are overdue: they must be ended first', NEW.wallet_id
                USING ERRCODE = 'object_not_in_prerequisite_state', CONSTRAINT = 'wallet_entry_follows_its_wallet';
        END IF;
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

--- next:
CREATE OR REPLACE FUNCTION wallet_moves_with_an_entry() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    balance_before bigint := 0;
    count_before bigint := 0;
    several record;
    is_said boolean;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        balance_before := OLD.balance;
        count_before := OLD.entries_count;
    END IF;
    IF NEW.entries_count = count_before AND NEW.balance = balance_before THEN
        RETURN NULL;
    END IF;
    IF NEW.entries_count = count_before + 1 THEN
        PERFORM FROM wallet_entry
          WHERE wallet_id = NEW.user_id AND sequence = NEW.entries_count
            AND balance_after = NEW.balance AND credits = NEW.balance - balance_before;
        is_said := FOUND;
    ELSE
        SELECT count(*) AS number, sum(credits) AS credits, bool_and(kind = 'deduct') AS are_charges,
               array_agg(balance_after - credits ORDER BY sequence) AS befores,
               array_agg(balance_after ORDER BY sequence) AS afters
          INTO several FROM wallet_entry
         WHERE wallet_id = NEW.user_id AND sequence > count_before AND sequence <= NEW.entries_count;
        -- Before each entry stands what the one before it has left.
        is_said := several.number = NEW.entries_count - count_before
            AND several.credits = NEW.balance - balance_before AND several.are_charges
            AND several.befores = balance_before || several.afters[:several.number - 1];
    END IF;
    IF is_said IS NOT TRUE THEN
        RAISE EXCEPTION 'wallet % went from % to % credits without an entry that says so',
            NEW.user_id, balance_before, NEW.balance
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_wallet_moves_with_an_entry';
    END IF;
    RETURN NULL;
END $$;
