-- All refunds have their number, and their words change only by a redaction (accounts/migrations/redactions.sql).
ALTER TABLE monetization_refund ALTER COLUMN number SET NOT NULL;
ALTER TABLE monetization_refund DROP CONSTRAINT monetization_refund_is_numbered;
CREATE OR REPLACE TRIGGER monetization_refund_is_history BEFORE UPDATE ON monetization_refund
    FOR EACH ROW EXECUTE FUNCTION accounts_redacts('number', 'reason');

--- reverse:
ALTER TABLE monetization_refund ADD CONSTRAINT monetization_refund_is_numbered CHECK (number IS NOT NULL) NOT VALID;
ALTER TABLE monetization_refund ALTER COLUMN number DROP NOT NULL;
CREATE OR REPLACE TRIGGER monetization_refund_is_history BEFORE UPDATE ON monetization_refund
    FOR EACH ROW WHEN ((NEW.reason NOT LIKE '%(erased)%' OR
                        to_jsonb(NEW) - 'reason' IS DISTINCT FROM to_jsonb(OLD) - 'reason')
                       AND (OLD.number IS NOT NULL OR
                            to_jsonb(NEW) - 'number' IS DISTINCT FROM to_jsonb(OLD) - 'number'))
    EXECUTE FUNCTION wallet_is_history();
