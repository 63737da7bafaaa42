-- The figures of closed months are history: never changed, never removed.
CREATE OR REPLACE TRIGGER wallet_closedmonth_is_history BEFORE UPDATE OR DELETE ON wallet_closedmonth
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
--- next:
CREATE OR REPLACE TRIGGER wallet_closedmonth_is_not_truncated BEFORE TRUNCATE ON wallet_closedmonth
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();
--- next:
CREATE OR REPLACE TRIGGER wallet_monthtotal_is_history BEFORE UPDATE OR DELETE ON wallet_monthtotal
    FOR EACH ROW EXECUTE FUNCTION wallet_is_history();
--- next:
CREATE OR REPLACE TRIGGER wallet_monthtotal_is_not_truncated BEFORE TRUNCATE ON wallet_monthtotal
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history();

--- reverse:
DROP TRIGGER IF EXISTS wallet_monthtotal_is_not_truncated ON wallet_monthtotal;
--- next:
DROP TRIGGER IF EXISTS wallet_monthtotal_is_history ON wallet_monthtotal;
--- next:
DROP TRIGGER IF EXISTS wallet_closedmonth_is_not_truncated ON wallet_closedmonth;
--- next:
DROP TRIGGER IF EXISTS wallet_closedmonth_is_history ON wallet_closedmonth;
