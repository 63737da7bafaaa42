-- The primary key of lots includes the wallet, as that of holds. (A later operation adds the foreign key. It is there if
-- this migration was interrupted.)
ALTER TABLE wallet_holdpart DROP CONSTRAINT IF EXISTS wallet_holdpart_is_of_a_lot_of_its_wallet;
ALTER TABLE wallet_lot DROP CONSTRAINT wallet_lot_pkey, ADD CONSTRAINT wallet_lot_pkey PRIMARY KEY (id, wallet_id);
-- A lot begins whole. Only what is left of it, held and written off may change, and it may be taken back once. It is
-- never removed.
CREATE OR REPLACE FUNCTION wallet_lot_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        RAISE EXCEPTION '% of wallet_lot is refused: grants are history.', TG_OP
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'wallet_lot_is_kept';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.remaining <> NEW.credits OR NEW.held <> 0 OR NEW.expired <> 0 OR NEW.voided_at IS NOT NULL THEN
            RAISE EXCEPTION 'The lot % does not begin whole', NEW.id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_lot_is_kept';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.wallet_id, NEW.entry_id, NEW.product, NEW.reason, NEW.credits, NEW.created_at, NEW.expires_at)
       IS DISTINCT FROM
       (OLD.id, OLD.wallet_id, OLD.entry_id, OLD.product, OLD.reason, OLD.credits, OLD.created_at, OLD.expires_at)
       OR NEW.expired < OLD.expired
       OR (OLD.voided_at IS NOT NULL AND (NEW.voided_at, NEW.removed, NEW.held_when_voided)
           IS DISTINCT FROM (OLD.voided_at, OLD.removed, OLD.held_when_voided)) THEN
        RAISE EXCEPTION 'The lot % may only be spent, held, written off, and taken back once', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'wallet_lot_is_kept';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER wallet_lot_is_kept BEFORE INSERT OR UPDATE OR DELETE ON wallet_lot
    FOR EACH ROW EXECUTE FUNCTION wallet_lot_is_kept();
CREATE OR REPLACE TRIGGER wallet_lot_is_not_truncated BEFORE TRUNCATE ON wallet_lot
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_lot_is_kept();

-- A move tells what its lot has just become.
CREATE OR REPLACE FUNCTION wallet_lotmove_follows_its_lot() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.remaining_after IS DISTINCT FROM
       (SELECT remaining FROM wallet_lot WHERE wallet_id = NEW.wallet_id AND id = NEW.lot_id) THEN
        RAISE EXCEPTION 'The move of % in wallet % at % does not follow its lot', NEW.lot_id, NEW.wallet_id, NEW.sequence
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_lotmove_follows_its_lot';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER wallet_lotmove_follows_its_lot BEFORE INSERT ON wallet_lotmove
    FOR EACH ROW EXECUTE FUNCTION wallet_lotmove_follows_its_lot();
CREATE OR REPLACE TRIGGER wallet_lotmove_is_history BEFORE UPDATE OR DELETE ON wallet_lotmove
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_lotmove_is_not_truncated BEFORE TRUNCATE ON wallet_lotmove
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_holdpart_is_history BEFORE UPDATE OR DELETE ON wallet_holdpart
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE OR REPLACE TRIGGER wallet_holdpart_is_not_truncated BEFORE TRUNCATE ON wallet_holdpart
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

--- reverse:
DROP TRIGGER IF EXISTS wallet_holdpart_is_not_truncated ON wallet_holdpart;
DROP TRIGGER IF EXISTS wallet_holdpart_is_history ON wallet_holdpart;
DROP TRIGGER IF EXISTS wallet_lotmove_is_not_truncated ON wallet_lotmove;
DROP TRIGGER IF EXISTS wallet_lotmove_is_history ON wallet_lotmove;
DROP TRIGGER IF EXISTS wallet_lotmove_follows_its_lot ON wallet_lotmove;
DROP FUNCTION IF EXISTS wallet_lotmove_follows_its_lot();
DROP TRIGGER IF EXISTS wallet_lot_is_not_truncated ON wallet_lot;
DROP TRIGGER IF EXISTS wallet_lot_is_kept ON wallet_lot;
DROP FUNCTION IF EXISTS wallet_lot_is_kept();
ALTER TABLE wallet_lot DROP CONSTRAINT wallet_lot_pkey, ADD CONSTRAINT wallet_lot_pkey PRIMARY KEY (id);
