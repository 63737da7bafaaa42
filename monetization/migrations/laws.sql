-- Events of a subscription and refunds of a tip are history: never changed, never removed. (The function is
-- the wallet's, and says so in the same words.)
CREATE TRIGGER monetization_event_is_history BEFORE UPDATE OR DELETE ON monetization_subscriptionevent
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE TRIGGER monetization_event_is_not_truncated BEFORE TRUNCATE ON monetization_subscriptionevent
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();
CREATE TRIGGER monetization_refund_is_not_deleted BEFORE DELETE ON monetization_refund
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
-- But for a reader's address, taken out of the words of a reason (readers.py).
CREATE TRIGGER monetization_refund_is_history BEFORE UPDATE ON monetization_refund
    FOR EACH ROW WHEN (NEW.reason NOT LIKE '%(erased)%' OR
                       to_jsonb(NEW) - 'reason' IS DISTINCT FROM to_jsonb(OLD) - 'reason')
    EXECUTE FUNCTION wallet_is_history();
CREATE TRIGGER monetization_refund_is_not_truncated BEFORE TRUNCATE ON monetization_refund
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

-- That somebody was erased stays on record.
CREATE TRIGGER monetization_erasure_is_history BEFORE UPDATE OR DELETE ON monetization_erasure
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();

-- What a tip was worth when it was recorded never changes, whatever becomes of plans and fees.
CREATE FUNCTION monetization_tip_keeps_its_worth() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.gross_cents, NEW.fee_cents, NEW.net_cents, NEW.fee_bps, NEW.plan, NEW.currency,
        NEW.creator_id, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.gross_cents, OLD.fee_cents, OLD.net_cents, OLD.fee_bps, OLD.plan, OLD.currency,
        OLD.creator_id, OLD.created_at)
    THEN
        RAISE EXCEPTION 'the worth of % is history: record a refund instead', OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER monetization_tip_keeps_its_worth BEFORE UPDATE ON monetization_tip
    FOR EACH ROW EXECUTE FUNCTION monetization_tip_keeps_its_worth();
CREATE TRIGGER monetization_tip_is_not_deleted BEFORE DELETE ON monetization_tip
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE TRIGGER monetization_tip_is_not_truncated BEFORE TRUNCATE ON monetization_tip
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

--- reverse:
DROP TRIGGER monetization_erasure_is_history ON monetization_erasure;
DROP TRIGGER monetization_tip_is_not_truncated ON monetization_tip;
DROP TRIGGER monetization_tip_is_not_deleted ON monetization_tip;
DROP TRIGGER monetization_tip_keeps_its_worth ON monetization_tip;
DROP FUNCTION monetization_tip_keeps_its_worth();
DROP TRIGGER monetization_refund_is_not_truncated ON monetization_refund;
DROP TRIGGER monetization_refund_is_history ON monetization_refund;
DROP TRIGGER monetization_refund_is_not_deleted ON monetization_refund;
DROP TRIGGER monetization_event_is_not_truncated ON monetization_subscriptionevent;
DROP TRIGGER monetization_event_is_history ON monetization_subscriptionevent;
