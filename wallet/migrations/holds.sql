-- The primary key includes the wallet, so that the table can be sharded by wallet. It begins with the id, because
-- staff find a hold by its id alone, and because the newest ids sort last.
ALTER TABLE wallet_hold DROP CONSTRAINT wallet_hold_pkey, ADD CONSTRAINT wallet_hold_pkey PRIMARY KEY (id, wallet_id);

-- A hold begins open, ends once, and is never removed. While it is open, only its end may move, and only to a
-- later time.
CREATE FUNCTION wallet_hold_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        RAISE EXCEPTION '% of wallet_hold is refused: holds are history.', TG_OP
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'wallet_hold_is_final';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'open' THEN
            RAISE EXCEPTION 'The hold % begins %', NEW.id, NEW.state
                USING ERRCODE = 'check_violation', CONSTRAINT = 'wallet_hold_is_final';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state <> 'open' OR NEW.expires_at < OLD.expires_at
       OR (NEW.state <> 'open' AND NEW.expires_at <> OLD.expires_at)
       OR (NEW.id, NEW.wallet_id, NEW.product, NEW.feature, NEW.count, NEW.credits, NEW.idempotency_key, NEW.actor,
           NEW.available_before, NEW.ttl_seconds, NEW.created_at)
          IS DISTINCT FROM
          (OLD.id, OLD.wallet_id, OLD.product, OLD.feature, OLD.count, OLD.credits, OLD.idempotency_key, OLD.actor,
           OLD.available_before, OLD.ttl_seconds, OLD.created_at) THEN
        RAISE EXCEPTION 'The hold % is %: it may only end, once, or get a later end while it is open', OLD.id, OLD.state
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'wallet_hold_is_final';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER wallet_hold_is_final BEFORE INSERT OR UPDATE OR DELETE ON wallet_hold
    FOR EACH ROW EXECUTE FUNCTION wallet_hold_is_final();
CREATE TRIGGER wallet_hold_is_not_truncated BEFORE TRUNCATE ON wallet_hold
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_hold_is_final();

CREATE TRIGGER wallet_giveback_is_history BEFORE UPDATE OR DELETE ON wallet_giveback
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE TRIGGER wallet_giveback_is_not_truncated BEFORE TRUNCATE ON wallet_giveback
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

--- reverse:
DROP TRIGGER wallet_giveback_is_not_truncated ON wallet_giveback;
DROP TRIGGER wallet_giveback_is_history ON wallet_giveback;
DROP TRIGGER wallet_hold_is_not_truncated ON wallet_hold;
DROP TRIGGER wallet_hold_is_final ON wallet_hold;
DROP FUNCTION wallet_hold_is_final();
ALTER TABLE wallet_hold DROP CONSTRAINT wallet_hold_pkey, ADD CONSTRAINT wallet_hold_pkey PRIMARY KEY (id);
