-- Each refund gets a number from a sequence. Until the next step has numbered the old ones, their numbers may be set.
CREATE SEQUENCE IF NOT EXISTS monetization_refund_number;
ALTER TABLE monetization_refund ADD COLUMN IF NOT EXISTS number bigint;
ALTER TABLE monetization_refund ALTER COLUMN number SET DEFAULT nextval('monetization_refund_number');
ALTER SEQUENCE monetization_refund_number OWNED BY monetization_refund.number;
CREATE OR REPLACE TRIGGER monetization_refund_is_history BEFORE UPDATE ON monetization_refund
    FOR EACH ROW WHEN ((NEW.reason NOT LIKE '%(erased)%' OR
                        to_jsonb(NEW) - 'reason' IS DISTINCT FROM to_jsonb(OLD) - 'reason')
                       AND (OLD.number IS NOT NULL OR
                            to_jsonb(NEW) - 'number' IS DISTINCT FROM to_jsonb(OLD) - 'number'))
    EXECUTE FUNCTION wallet_is_history();

--- reverse:
CREATE OR REPLACE TRIGGER monetization_refund_is_history BEFORE UPDATE ON monetization_refund
    FOR EACH ROW WHEN (NEW.reason NOT LIKE '%(erased)%' OR
                       to_jsonb(NEW) - 'reason' IS DISTINCT FROM to_jsonb(OLD) - 'reason')
    EXECUTE FUNCTION wallet_is_history();
ALTER TABLE monetization_refund DROP COLUMN number;
