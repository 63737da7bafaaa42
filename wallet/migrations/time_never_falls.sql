-- Since 0029, wallet_entry_follows_its_wallet does this (several_entries.sql).
--
-- Along a wallet's entries, created_at never falls, and it is never in the future. So a day or a month of a wallet
-- is one range of its sequence, and every page and file cuts the history at the same place.
--
-- The current release leaves the time to the database (NULL, or the column's default). The release before sends
-- the time of its host, and a generator of test data may send a past time. The caller holds the wallet's lock, so
-- the entry before this one is committed or is in the same transaction.
CREATE FUNCTION wallet_entry_time_never_falls() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    -- greatest() and least() ignore NULL: no time means now, and a first entry has no entry before it.
    NEW.created_at := greatest(
        (SELECT created_at FROM wallet_entry WHERE wallet_id = NEW.wallet_id AND sequence = NEW.sequence - 1),
        least(NEW.created_at, clock_timestamp()));
    RETURN NEW;
END $$;

CREATE TRIGGER wallet_entry_time_never_falls BEFORE INSERT ON wallet_entry
    FOR EACH ROW EXECUTE FUNCTION wallet_entry_time_never_falls();

--- reverse:
DROP TRIGGER wallet_entry_time_never_falls ON wallet_entry;
DROP FUNCTION wallet_entry_time_never_falls();
