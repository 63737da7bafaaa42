"""Compares the triggers and functions of a database with those of this release.

On a cluster each node has catalogues of its own, and a part of the tables as shards: the shard 102010 of a
table is the table `<table>_102010`, and its triggers, constraints and indexes have the same ending. So these
laws look at a table and at all of its shards that are on the node (TABLES). foundation/database/nodes.py runs
them on each node.

Each app has an inventory: the digest of each trigger of its tables, and of each function with its prefix.
`python -m tests.guards` writes the inventories again after a migration has changed a trigger or a function.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from foundation.database.nodes import OfEachNode
from foundation.database.sql_texts import NUMBERING


@dataclass(frozen=True)
class Guards:
    """The triggers and functions of the tables whose names match a regular expression.

    `triggers` is trigger -> (table, digest), and `functions` is name(types of arguments) -> digest.
    """

    names: str
    triggers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)


# Each table, and each shard of one: `name` is that of the whole table, and `shard` the ending of its shard.
TABLES = r"""
        SELECT class.oid, class.relname::text AS relname, class.relkind,
               coalesce(whole.relname, class.relname)::text AS name,
               CASE WHEN whole.oid IS NULL THEN '' ELSE substring(class.relname FROM '_[0-9]+$') END AS shard
          FROM pg_catalog.pg_class AS class
          JOIN pg_catalog.pg_namespace AS home ON home.oid = class.relnamespace AND home.nspname = 'public'
          LEFT JOIN pg_catalog.pg_class AS whole
            ON whole.relnamespace = home.oid AND whole.relkind IN ('r', 'p')
           AND whole.relname = substring(class.relname FROM '^(.*)_[0-9]+$')
         WHERE class.relkind NOT IN ('i', 'I', 'S', 't')"""
# A shard is never emptied by itself, so such a trigger matters on the whole table alone. Citus makes it for a shard
# only when it moves the shard to another node.
NOT_ON_SHARDS = "_is_not_truncated"

# The columns of the catalogue mean the same in each version of PostgreSQL. Only the condition has to be read from
# pg_get_triggerdef, whose brackets and prefixes may differ between versions and with the search path.
TRIGGERS = r"""
        SELECT regexp_replace(its.tgname, class.shard || '$', '') AS name, class.name AS on_table, class.shard,
               its.tgenabled::text AS state,
               left(encode(sha256(convert_to(concat_ws(E'\n',
                   its.tgtype, its.tgdeferrable, its.tginitdeferred, encode(its.tgargs, 'hex'),
                   home_of_code.nspname, code.proname, coalesce(its.tgoldtable, ''), coalesce(its.tgnewtable, ''),
                   coalesce((SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_catalog.pg_attribute
                              WHERE attrelid = its.tgrelid AND attnum = ANY (its.tgattr::int2[])), ''),
                   coalesce(CASE WHEN its.tgqual IS NOT NULL THEN regexp_replace(
                       substring(pg_catalog.pg_get_triggerdef(its.oid) FROM ' WHEN (.*) EXECUTE '),
                       '[()\s]|public\.', '', 'g') END, '')), 'UTF8')), 'hex'), 32) AS digest
          FROM pg_catalog.pg_trigger AS its
          JOIN ({tables}) AS class ON class.oid = its.tgrelid
          JOIN pg_catalog.pg_proc AS code ON code.oid = its.tgfoid
          JOIN pg_catalog.pg_namespace AS home_of_code ON home_of_code.oid = code.pronamespace
         WHERE NOT its.tgisinternal AND class.name ~ '{names}'"""

FUNCTIONS = r"""
         UNION ALL
        SELECT format('%s(%s)', code.proname, pg_catalog.oidvectortypes(code.proargtypes)), '', '', 'O',
               left(encode(sha256(convert_to(concat_ws(E'\n',
                   language.lanname, code.prosecdef, coalesce(array_to_string(code.proconfig, ' '), ''), code.prosrc),
                   'UTF8')), 'hex'), 32)
          FROM pg_catalog.pg_proc AS code
          JOIN pg_catalog.pg_namespace AS home ON home.oid = code.pronamespace AND home.nspname = 'public'
          JOIN pg_catalog.pg_language AS language ON language.oid = code.prolang
         WHERE code.proname ~ '{names}'"""

# Besides: rules, which replace a statement by another one, and the triggers of foreign keys, which have no names.
COMPARED = """
        WITH found AS MATERIALIZED (
        SELECT name, on_table, shard, state, digest FROM ({found}) AS each_one
         WHERE shard = '' OR name NOT LIKE '%{not_on_shards}'),
        inventory (name, on_table, digest) AS ({wanted}),
        wanted AS (
        SELECT inventory.name, on_table, digest, coalesce(shard, '') AS shard
          FROM inventory LEFT JOIN ({tables}) AS class ON class.name = on_table
         WHERE coalesce(shard, '') = '' OR inventory.name NOT LIKE '%{not_on_shards}')
        SELECT name || shard, CASE WHEN found.digest IS NULL THEN 'missing'
                          WHEN wanted.digest IS NULL THEN 'unknown to this release'
                          WHEN found.state NOT IN ('O', 'A') THEN 'switched off'
                          ELSE 'another definition' END
          FROM wanted FULL JOIN found USING (name, on_table, shard)
         WHERE wanted.digest IS DISTINCT FROM found.digest OR found.state NOT IN ('O', 'A')
         UNION ALL
        SELECT its.rulename::text, 'a rule of ' || class.relname
          FROM pg_catalog.pg_rewrite AS its
          JOIN pg_catalog.pg_class AS class ON class.oid = its.ev_class AND class.relkind IN ('r', 'p')
          JOIN pg_catalog.pg_namespace AS home ON home.oid = class.relnamespace AND home.nspname = 'public'
         WHERE class.relname ~ '{names}'
         UNION ALL
        SELECT DISTINCT its_constraint.conname::text, 'its triggers are switched off'
          FROM pg_catalog.pg_trigger AS its
          JOIN pg_catalog.pg_constraint AS its_constraint ON its_constraint.oid = its.tgconstraint
          JOIN pg_catalog.pg_class AS class ON class.oid = its.tgrelid
          JOIN pg_catalog.pg_namespace AS home ON home.oid = class.relnamespace AND home.nspname = 'public'
         WHERE its.tgisinternal AND its.tgenabled NOT IN ('O', 'A') AND class.relname ~ '{names}'
"""


def found_query(names: str, *, functions: bool = True) -> str:
    """Return a query for the rows (name, table, shard, state, digest). A function has the table ''."""
    query = TRIGGERS + (FUNCTIONS if functions else "")
    return query.replace("{tables}", TABLES).replace("{names}", names)


def law(guards: Guards) -> OfEachNode:
    """Return the query (subject, detail) that names each guard that is not as this release has it.

    Without an inventory, no trigger may be there but the one that numbers rows on a cluster, and functions do not matter.
    Each % is doubled, as in every query that is run with parameters.
    """
    rows = [(name, table, digest) for name, (table, digest) in guards.triggers.items()]
    rows += [(name, "", digest) for name, digest in guards.functions.items()]
    wanted = f"VALUES {', '.join(map(str, rows))}" if rows else "SELECT '', '', '' WHERE false"
    found = found_query(guards.names, functions=bool(guards.functions))
    if not rows:
        found += f" AND (home_of_code.nspname, code.proname) <> ('public', '{NUMBERING}')"
    query = COMPARED.replace("{found}", found).replace("{wanted}", wanted)
    query = query.replace("{tables}", TABLES).replace("{not_on_shards}", NOT_ON_SHARDS)
    return OfEachNode(query.replace("{names}", guards.names).replace("%", "%%"))


def name_of(app: str) -> str:
    """Return the name of the law about an app's inventory."""
    return f"Triggers or functions that are not those of this release: {app}"


# In the schema public, beside those of extensions. An operator whose types fit exactly wins over that of PostgreSQL,
# and so does a function or a type if the search path begins with public. A cast may belong to no schema at all. Row
# types of tables, and types of arrays, have names that follow from others.
FOREIGN_OBJECTS = """
        WITH found (class, object, subject, detail) AS (
        SELECT 'pg_catalog.pg_operator'::regclass::oid, its.oid,
               format('%s(%s, %s)', its.oprname, CASE its.oprleft WHEN 0 THEN 'none' ELSE format_type(its.oprleft, NULL)
                      END, format_type(its.oprright, NULL)), 'an operator'
          FROM pg_catalog.pg_operator AS its
          JOIN pg_catalog.pg_namespace AS home ON home.oid = its.oprnamespace AND home.nspname = 'public'
         UNION ALL
        SELECT 'pg_catalog.pg_cast'::regclass::oid, its.oid,
               format('%s to %s', format_type(its.castsource, NULL), format_type(its.casttarget, NULL)), 'a cast'
          FROM pg_catalog.pg_cast AS its WHERE its.oid >= 16384
         UNION ALL
        SELECT 'pg_catalog.pg_proc'::regclass::oid, its.oid,
               format('%s(%s)', its.proname, oidvectortypes(its.proargtypes)), 'a function'
          FROM pg_catalog.pg_proc AS its
          JOIN pg_catalog.pg_namespace AS home ON home.oid = its.pronamespace AND home.nspname = 'public'
         WHERE its.proname !~ '{names}'
         UNION ALL
        SELECT 'pg_catalog.pg_type'::regclass::oid, its.oid, its.typname::text, 'a type'
          FROM pg_catalog.pg_type AS its
          JOIN pg_catalog.pg_namespace AS home ON home.oid = its.typnamespace AND home.nspname = 'public'
          LEFT JOIN pg_catalog.pg_class AS its_table ON its_table.oid = its.typrelid
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_type AS element WHERE element.typarray = its.oid)
           AND (its_table.relkind IS NULL OR its_table.relkind = 'c'
                OR EXISTS (SELECT FROM pg_catalog.pg_type AS other
                             JOIN pg_catalog.pg_namespace AS system ON system.oid = other.typnamespace
                            WHERE other.typname = its.typname AND system.nspname = 'pg_catalog')))
        SELECT found.subject, found.detail || ' that no release has' FROM found
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS needed
                            WHERE needed.classid = found.class AND needed.objid = found.object
                              AND needed.deptype = 'e')
"""

# A view can show other rows than there are, an inheriting table adds rows, and a policy hides some.
STRANGE_TABLES = """
        SELECT class.relname, strange.detail
          FROM ({of_tables}) AS class
         CROSS JOIN LATERAL (
               SELECT 'no ordinary table' WHERE class.relkind NOT IN ('r', 'p')
                UNION ALL
               SELECT 'row security is on' FROM pg_catalog.pg_class AS its
                WHERE its.oid = class.oid AND (its.relrowsecurity OR its.relforcerowsecurity)
                UNION ALL
               SELECT format('the table %s inherits from it', child.relname)
                 FROM pg_catalog.pg_inherits AS its
                 JOIN pg_catalog.pg_class AS child ON child.oid = its.inhrelid
                WHERE its.inhparent = class.oid AND NOT child.relispartition) AS strange (detail)
         WHERE class.name IN ({tables})
"""

# What a session of this database begins with. Of such a setting, the checks need the value that PostgreSQL has.
STRANGE_SETTINGS = OfEachNode("""
        SELECT coalesce(role.rolname::text, 'all roles'), setting.text
          FROM pg_catalog.pg_db_role_setting AS its
         CROSS JOIN LATERAL unnest(its.setconfig) AS setting (text)
          LEFT JOIN pg_catalog.pg_roles AS role ON role.oid = its.setrole
         WHERE setting.text ~ '^(search_path|session_replication_role)='
           AND (its.setdatabase = 0
                OR its.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
""")


def foreign_objects(names: str) -> OfEachNode:
    """Return the query for what no release puts into the schema public: operators, casts, functions and types.

    Functions whose names match the regular expression are left to the inventories.
    """
    return OfEachNode(FOREIGN_OBJECTS.replace("{names}", names).replace("%", "%%"))


# The whole table shows which shards should have such a thing, and what it means. Citus leaves a check its name. When
# PostgreSQL reads a condition again, it may move brackets and casts.
IN_FORCE = r"""
        WITH class AS MATERIALIZED ({tables}),
        its AS MATERIALIZED (
        SELECT name, table_id, holds,
               regexp_replace(meaning, '[()\s]|::(text|character varying)(\[\])?', '', 'g') AS meaning
          FROM ({found}) AS found)
        SELECT wanted.name || coalesce(class.shard, ''), '{detail}'
          FROM (VALUES {wanted}) AS wanted (name)
          LEFT JOIN (its AS of_whole
                     JOIN class AS whole ON whole.oid = of_whole.table_id AND whole.shard = '')
            ON of_whole.name = wanted.name
          LEFT JOIN class ON class.name = whole.name
         WHERE NOT EXISTS (SELECT FROM its
                            WHERE its.table_id = class.oid AND its.name IN (wanted.name, wanted.name || class.shard)
                              AND its.holds AND its.meaning = of_whole.meaning)
"""
CONSTRAINTS = """
        SELECT conname::text AS name, conrelid AS table_id, convalidated AS holds,
               CASE contype WHEN 'c' THEN pg_get_expr(conbin, conrelid) ELSE contype::text END AS meaning
          FROM pg_catalog.pg_constraint
"""
UNIQUE_INDEXES = """
        SELECT its.relname::text AS name, indrelid AS table_id, indisunique AND indisvalid AS holds,
               concat_ws(' ', indkey, pg_get_expr(indpred, indrelid)) AS meaning
          FROM pg_catalog.pg_index JOIN pg_catalog.pg_class AS its ON its.oid = indexrelid
"""


def constraints_in_force(names: Iterable[str]) -> OfEachNode:
    """Return the query for those of these constraints that are missing or not validated."""
    return _in_force(CONSTRAINTS, "missing or not validated", names)


def unique_indexes_in_force(names: Iterable[str]) -> OfEachNode:
    """Return the query for those of these unique indexes that are missing or not valid."""
    return _in_force(UNIQUE_INDEXES, "missing or not valid", names)


def _in_force(found: str, detail: str, names: Iterable[str]) -> OfEachNode:
    wanted = ", ".join(f"('{name}')" for name in names)
    query = IN_FORCE.replace("{tables}", TABLES).replace("{found}", found)
    return OfEachNode(query.replace("{detail}", detail).replace("{wanted}", wanted).replace("%", "%%"))


def strange_tables(tables: Iterable[str]) -> OfEachNode:
    """Return the query for those of these tables that may show other rows than they have."""
    query = STRANGE_TABLES.replace("{of_tables}", TABLES).replace("%", "%%")
    return OfEachNode(query.replace("{tables}", ", ".join(f"'{table}'" for table in tables)))
