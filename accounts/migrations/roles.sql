-- Laws for each role but the owner of the tables. The owner could drop the triggers anyway; it migrates, restores
-- backups and makes up test data.
CREATE OR REPLACE FUNCTION accounts_is_owner(relation oid) RETURNS boolean LANGUAGE sql STABLE
    SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT pg_has_role(current_user, relowner, 'MEMBER') FROM pg_class WHERE oid = relation
$$;

-- Whether this transaction has inserted an act: of this staff member, with this form key, about this user (NULL: any).
-- An act has the time of its insert, and is not changed by a transaction that began before it (both below). So a version
-- that is younger than this transaction, and that this transaction or a savepoint of it wrote, is an act of its own. The
-- writer is known by xmin, which has 32 of the 64 bits: a savepoint's number is higher than its transaction's, and a
-- visible row whose writer is still in progress is ours.
CREATE OR REPLACE FUNCTION accounts_has_acted(staff text, key text, concerned text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    mine bigint := pg_current_xact_id()::text::bigint;
    writer bigint;
    ahead bigint;
BEGIN
    FOR writer IN SELECT xmin::text::bigint FROM accounts_act
                   WHERE created_at >= transaction_timestamp()
                     AND (staff IS NULL OR staff_id = staff) AND (key IS NULL OR form_key = key)
                     AND (concerned IS NULL OR about = concerned) LOOP
        ahead := ((writer - mine) % 4294967296 + 4294967296) % 4294967296;
        IF ahead = 0 THEN
            RETURN true;
        END IF;
        -- What is not ahead is behind. A number of an earlier round of the counter may seem to be in the future.
        IF ahead < 2147483648 THEN
            BEGIN
                IF pg_xact_status((mine + ahead)::text::xid8) = 'in progress' THEN
                    RETURN true;
                END IF;
            EXCEPTION WHEN invalid_parameter_value THEN
                NULL;
            END;
        END IF;
    END LOOP;
    RETURN false;
END $$;

-- Otherwise a transaction could make the act of another one look like its own (above). The action is tried again.
CREATE OR REPLACE FUNCTION accounts_act_is_older() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT accounts_is_owner(TG_RELID) THEN
        RAISE EXCEPTION 'The act % is younger than the transaction that changes it', OLD.id
            USING ERRCODE = 'serialization_failure', CONSTRAINT = 'accounts_act_is_older';
    END IF;
    RETURN NEW;
END $$;

-- A row of history is dated when it is written. An hour is for the clocks of hosts, which may be a little off.
CREATE OR REPLACE FUNCTION accounts_is_dated_now() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (NEW.created_at < clock_timestamp() - interval '1 hour' OR NEW.created_at > clock_timestamp() + interval '1 hour')
       AND NOT accounts_is_owner(TG_RELID) THEN
        RAISE EXCEPTION '% is dated %, and is written at %', TG_TABLE_NAME, NEW.created_at, clock_timestamp()
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_is_dated_now';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION accounts_act_is_of_now() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT accounts_is_owner(TG_RELID) THEN
        NEW.created_at := greatest(clock_timestamp(), transaction_timestamp());
    END IF;
    RETURN NEW;
END $$;

-- A superuser is made by the owner's role.
CREATE OR REPLACE FUNCTION accounts_user_is_no_superuser() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT accounts_is_owner(TG_RELID) THEN
        RAISE EXCEPTION 'Only the owner of % makes superusers', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'accounts_user_is_no_superuser';
    END IF;
    RETURN NEW;
END $$;

-- Access to the back-office, roles of staff and plans of users change with an act about the user, in the same
-- transaction.
CREATE OR REPLACE FUNCTION accounts_access_has_its_act() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    concerned text;
BEGIN
    IF accounts_is_owner(TG_RELID) THEN
        RETURN NULL;
    END IF;
    IF TG_TABLE_NAME = 'accounts_user' THEN
        concerned := NEW.misar_id;
    ELSE
        concerned := coalesce(NEW.user_id, OLD.user_id);
    END IF;
    IF NOT accounts_has_acted(NULL, NULL, concerned) THEN
        RAISE EXCEPTION 'The access or the plan of % changed without an act', concerned
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_access_has_its_act';
    END IF;
    RETURN NULL;
END $$;

-- A plan is what its last change says, and a staff member who changes it has an act in the same transaction.
CREATE OR REPLACE FUNCTION accounts_plan_is_its_last_change() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    plan record;
    change record;
BEGIN
    IF accounts_is_owner(TG_RELID) THEN
        RETURN NULL;
    END IF;
    SELECT name, fee_bps, key_limit INTO plan FROM accounts_plan WHERE slug = NEW.slug;
    SELECT name, fee_bps, key_limit, actor INTO change
      FROM accounts_planchange WHERE slug = NEW.slug ORDER BY id DESC LIMIT 1;
    IF (plan.name, plan.fee_bps, plan.key_limit) IS DISTINCT FROM (change.name, change.fee_bps, change.key_limit)
       OR NOT accounts_has_acted(coalesce(substring(change.actor FROM '^user:(.*)$'), ''), NULL, NULL) THEN
        RAISE EXCEPTION 'The plan % is not what a staff member has set, with an act', NEW.slug
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_plan_is_its_last_change';
    END IF;
    RETURN NULL;
END $$;

--- reverse:
DROP FUNCTION IF EXISTS accounts_plan_is_its_last_change();
DROP FUNCTION IF EXISTS accounts_access_has_its_act();
DROP FUNCTION IF EXISTS accounts_user_is_no_superuser();
DROP FUNCTION IF EXISTS accounts_act_is_of_now();
DROP FUNCTION IF EXISTS accounts_is_dated_now();
DROP FUNCTION IF EXISTS accounts_act_is_older();
DROP FUNCTION IF EXISTS accounts_has_acted(text, text, text);
DROP FUNCTION IF EXISTS accounts_is_owner(oid);

--- next:
CREATE OR REPLACE TRIGGER accounts_act_is_of_now BEFORE INSERT ON accounts_act
    FOR EACH ROW EXECUTE FUNCTION accounts_act_is_of_now();
CREATE OR REPLACE TRIGGER accounts_act_is_older BEFORE UPDATE ON accounts_act
    FOR EACH ROW WHEN (OLD.created_at >= transaction_timestamp()) EXECUTE FUNCTION accounts_act_is_older();

--- reverse:
DROP TRIGGER IF EXISTS accounts_act_is_older ON accounts_act;
DROP TRIGGER IF EXISTS accounts_act_is_of_now ON accounts_act;

--- next:
CREATE OR REPLACE TRIGGER accounts_user_is_no_superuser BEFORE INSERT OR UPDATE OF is_superuser ON accounts_user
    FOR EACH ROW WHEN (NEW.is_superuser) EXECUTE FUNCTION accounts_user_is_no_superuser();
DROP TRIGGER IF EXISTS accounts_user_has_its_act ON accounts_user;
CREATE CONSTRAINT TRIGGER accounts_user_has_its_act AFTER UPDATE ON accounts_user
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((NEW.is_staff, NEW.is_active, NEW.plan_id) IS DISTINCT FROM (OLD.is_staff, OLD.is_active, OLD.plan_id))
    EXECUTE FUNCTION accounts_access_has_its_act();
DROP TRIGGER IF EXISTS accounts_user_begins_plainly ON accounts_user;
CREATE CONSTRAINT TRIGGER accounts_user_begins_plainly AFTER INSERT ON accounts_user
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.is_staff OR NEW.plan_id <> 'free')
    EXECUTE FUNCTION accounts_access_has_its_act();

--- reverse:
DROP TRIGGER IF EXISTS accounts_user_begins_plainly ON accounts_user;
DROP TRIGGER IF EXISTS accounts_user_has_its_act ON accounts_user;
DROP TRIGGER IF EXISTS accounts_user_is_no_superuser ON accounts_user;

--- next:
DROP TRIGGER IF EXISTS accounts_user_groups_have_their_act ON accounts_user_groups;
CREATE CONSTRAINT TRIGGER accounts_user_groups_have_their_act AFTER INSERT OR UPDATE OR DELETE ON accounts_user_groups
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION accounts_access_has_its_act();

--- reverse:
DROP TRIGGER IF EXISTS accounts_user_groups_have_their_act ON accounts_user_groups;

--- next:
DROP TRIGGER IF EXISTS accounts_plan_is_its_last_change ON accounts_plan;
CREATE CONSTRAINT TRIGGER accounts_plan_is_its_last_change AFTER INSERT OR UPDATE ON accounts_plan
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION accounts_plan_is_its_last_change();

--- reverse:
DROP TRIGGER IF EXISTS accounts_plan_is_its_last_change ON accounts_plan;

--- next:
DROP TRIGGER IF EXISTS accounts_planchange_is_of_its_plan ON accounts_planchange;
CREATE CONSTRAINT TRIGGER accounts_planchange_is_of_its_plan AFTER INSERT ON accounts_planchange
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION accounts_plan_is_its_last_change();
CREATE OR REPLACE TRIGGER accounts_planchange_is_dated_now BEFORE INSERT ON accounts_planchange
    FOR EACH ROW EXECUTE FUNCTION accounts_is_dated_now();

--- reverse:
DROP TRIGGER IF EXISTS accounts_planchange_is_dated_now ON accounts_planchange;
DROP TRIGGER IF EXISTS accounts_planchange_is_of_its_plan ON accounts_planchange;

--- next:
-- A key that is revoked stays revoked, for all roles.
CREATE OR REPLACE TRIGGER accounts_apikey_stays_revoked BEFORE UPDATE OF revoked_at ON accounts_apikey
    FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
    EXECUTE FUNCTION accounts_is_history();

--- reverse:
DROP TRIGGER IF EXISTS accounts_apikey_stays_revoked ON accounts_apikey;

--- next:
CREATE OR REPLACE TRIGGER accounts_servicekey_stays_revoked BEFORE UPDATE OF revoked_at ON accounts_servicekey
    FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
    EXECUTE FUNCTION accounts_is_history();

--- reverse:
DROP TRIGGER IF EXISTS accounts_servicekey_stays_revoked ON accounts_servicekey;
