-- Rows of history whose words an erasure may change. The arguments of the trigger are the column with the row's key,
-- and the columns of words. Every change is refused but one: parts of the words replaced by "(erased)". The change is
-- written to accounts_redaction, with the digests of the words before and after, in the canonical text of seals. The
-- function acts as its owner, because no other role may write that table.
CREATE FUNCTION accounts_redacts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    old_row jsonb := to_jsonb(OLD);
    new_row jsonb := to_jsonb(NEW);
    words text[] := TG_ARGV[1:];
    word text;
    old_text text;
    new_text text;
    pattern text;
    before text := '';
    after text := '';
BEGIN
    IF old_row - words IS DISTINCT FROM new_row - words THEN
        RAISE EXCEPTION '% is history: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
    END IF;
    FOREACH word IN ARRAY words LOOP
        old_text := old_row ->> word;
        new_text := new_row ->> word;
        IF new_text IS DISTINCT FROM old_text THEN
            -- What was erased may be anything. A text that became too long may also have lost its end, even in the
            -- middle of "(erased)".
            pattern := replace(replace(replace(new_text, '\', '\\'), '%', '\%'), '_', '\_');
            IF old_text LIKE replace(pattern, '(erased)', '%') THEN
                NULL;
            ELSIF pattern LIKE '%(erased)%'
                AND old_text LIKE replace(regexp_replace(pattern, '\([erasd]*$', ''), '(erased)', '%') || '%' THEN
                NULL;
            ELSE
                RAISE EXCEPTION '% is history: % is refused', TG_TABLE_NAME, TG_OP
                    USING ERRCODE = 'restrict_violation';
            END IF;
        END IF;
        before := before || coalesce(octet_length(old_text)::text || ':' || old_text, '-');
        after := after || coalesce(octet_length(new_text)::text || ':' || new_text, '-');
    END LOOP;
    IF before <> after THEN
        -- A seal has the words before its later redactions (wallet/seals/tables.py). The trigger runs when the row is
        -- locked, so the redactions of a row are numbered in their order.
        INSERT INTO accounts_redaction (table_name, key, before, after, created_at)
        VALUES (TG_TABLE_NAME, (old_row ->> TG_ARGV[0])::bigint, sha256(convert_to(before, 'UTF8')),
                sha256(convert_to(after, 'UTF8')), clock_timestamp());
    END IF;
    RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION accounts_redacts() FROM PUBLIC;

CREATE TRIGGER accounts_redaction_is_history BEFORE UPDATE OR DELETE ON accounts_redaction
    FOR EACH ROW EXECUTE FUNCTION accounts_is_history();
CREATE TRIGGER accounts_redaction_is_not_truncated BEFORE TRUNCATE ON accounts_redaction
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_is_history();

CREATE OR REPLACE TRIGGER accounts_act_is_history BEFORE UPDATE ON accounts_act
    FOR EACH ROW EXECUTE FUNCTION accounts_redacts('id', 'told', 'reason');
CREATE TRIGGER accounts_act_is_not_deleted BEFORE DELETE ON accounts_act
    FOR EACH ROW EXECUTE FUNCTION accounts_is_history();
CREATE OR REPLACE TRIGGER accounts_act_is_not_truncated BEFORE TRUNCATE ON accounts_act
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_is_history();
DROP FUNCTION accounts_act_stays();

--- reverse:
CREATE FUNCTION accounts_act_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (to_jsonb(NEW) - 'told' - 'reason') = (to_jsonb(OLD) - 'told' - 'reason') THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is history: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE OR REPLACE TRIGGER accounts_act_is_history BEFORE UPDATE OR DELETE ON accounts_act
    FOR EACH ROW EXECUTE FUNCTION accounts_act_stays();
DROP TRIGGER accounts_act_is_not_deleted ON accounts_act;
CREATE OR REPLACE TRIGGER accounts_act_is_not_truncated BEFORE TRUNCATE ON accounts_act
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_act_stays();
DROP TRIGGER accounts_redaction_is_not_truncated ON accounts_redaction;
DROP TRIGGER accounts_redaction_is_history ON accounts_redaction;
DROP FUNCTION accounts_redacts();
