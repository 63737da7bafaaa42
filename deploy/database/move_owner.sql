-- Makes a misar_owner that is no superuser, in a database whose misar_owner is the superuser of the cluster, as
-- compose.yaml of earlier releases made it. docs/upgrading.md, "From an earlier compose.yaml", says how to run it.
--
-- That superuser cannot become an ordinary role. So it gets the name postgres, and a new misar_owner gets all that
-- is in the schema public. Nothing is changed if any of it fails.
\set ON_ERROR_STOP on
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
\set password `cat "$OWNER_PASSWORD_FILE"`

BEGIN;
ALTER ROLE misar_owner RENAME TO postgres;
CREATE ROLE misar_owner LOGIN CREATEROLE PASSWORD :'password';
GRANT misar_runtime, misar_operator, misar_auditor TO misar_owner WITH ADMIN OPTION;
ALTER DATABASE misar_billing OWNER TO misar_owner;
ALTER SCHEMA public OWNER TO misar_owner;

DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        -- A sequence of a column, and the type of a table, follow their table.
        SELECT format('ALTER %s %s OWNER TO misar_owner',
                      CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW'
                                   WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
                      relation.oid::regclass)
          FROM pg_class relation
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
           AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = relation.oid
                              AND deptype IN ('a', 'i', 'e'))
         UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO misar_owner', routine.oid::regprocedure)
          FROM pg_proc routine
         WHERE pronamespace = 'public'::regnamespace
           AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = routine.oid
                              AND deptype = 'e')
         UNION ALL
        SELECT format('ALTER TYPE %s OWNER TO misar_owner', type.oid::regtype)
          FROM pg_type type
         WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e')
           AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = type.oid
                              AND deptype = 'e')
         UNION ALL
        SELECT format('ALTER STATISTICS %s.%I OWNER TO misar_owner', stxnamespace::regnamespace, stxname)
          FROM pg_statistic_ext
         WHERE stxnamespace = 'public'::regnamespace
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
COMMIT;
