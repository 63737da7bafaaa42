-- Seals are history: never changed, never removed.
CREATE TRIGGER wallet_seal_is_history BEFORE UPDATE OR DELETE ON wallet_seal
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE TRIGGER wallet_seal_is_not_truncated BEFORE TRUNCATE ON wallet_seal
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();
CREATE TRIGGER wallet_tableseal_is_history BEFORE UPDATE OR DELETE ON wallet_tableseal
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
CREATE TRIGGER wallet_tableseal_is_not_truncated BEFORE TRUNCATE ON wallet_tableseal
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

--- reverse:
DROP TRIGGER wallet_tableseal_is_not_truncated ON wallet_tableseal;
DROP TRIGGER wallet_tableseal_is_history ON wallet_tableseal;
DROP TRIGGER wallet_seal_is_not_truncated ON wallet_seal;
DROP TRIGGER wallet_seal_is_history ON wallet_seal;
