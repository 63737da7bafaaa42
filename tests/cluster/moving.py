"""What a database holds, so that it can be compared before and after its tables are placed on a cluster."""

import hashlib
from dataclasses import dataclass, fields
from typing import Any

import psycopg
from psycopg import sql

Session = psycopg.Connection[Any]

TABLES = """
SELECT class.relname,
       (SELECT array_agg(attname ORDER BY attname) FROM pg_attribute
         WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped),
       (SELECT array_agg(attname ORDER BY place) FROM pg_constraint, unnest(conkey) WITH ORDINALITY
          AS key (number, place) JOIN pg_attribute ON attrelid = class.oid AND attnum = number
         WHERE conrelid = class.oid AND contype = 'p')
  FROM pg_class AS class
 WHERE class.relkind = 'r' AND class.relnamespace = 'public'::regnamespace ORDER BY class.relname
"""
LAWS = """
SELECT relname, conname, pg_get_constraintdef(its.oid), convalidated::text
  FROM pg_constraint AS its JOIN pg_class AS class ON class.oid = conrelid
 WHERE class.relnamespace = 'public'::regnamespace
 UNION ALL
SELECT relname, tgname, pg_get_triggerdef(its.oid), tgenabled::text
  FROM pg_trigger AS its JOIN pg_class AS class ON class.oid = tgrelid
 WHERE class.relnamespace = 'public'::regnamespace AND NOT tgisinternal
 UNION ALL
SELECT relname, 'index', pg_get_indexdef(indexrelid), indisvalid::text
  FROM pg_index JOIN pg_class AS class ON class.oid = indrelid
 WHERE class.relnamespace = 'public'::regnamespace
 UNION ALL
SELECT relname, attname, format_type(atttypid, atttypmod) || attnotnull::text || attidentity::text,
       pg_get_expr(adbin, adrelid)
  FROM pg_attribute JOIN pg_class AS class ON class.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid
   AND adnum = attnum
 WHERE class.relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
 UNION ALL
SELECT 'function', proname, pg_get_functiondef(oid), '' FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
"""
PRIVILEGES = """
SELECT relname, relkind::text, grantee::regrole::text, privilege_type, is_grantable::text
  FROM pg_class, aclexplode(relacl) WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S', 'v')
 UNION ALL
SELECT relname, attname, grantee::regrole::text, privilege_type, is_grantable::text
  FROM pg_attribute JOIN pg_class AS class ON class.oid = attrelid, aclexplode(attacl)
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
 UNION ALL
SELECT 'schema', nspname, grantee::regrole::text, privilege_type, is_grantable::text
  FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'public'
 UNION ALL
SELECT 'function', proname, grantee::regrole::text, privilege_type, is_grantable::text
  FROM pg_proc, aclexplode(proacl) WHERE pronamespace = 'public'::regnamespace
 UNION ALL
SELECT 'owner', relname, relowner::regrole::text, '', '' FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
"""
NUMBERS = """
SELECT sequencename, last_value::text FROM pg_sequences WHERE schemaname = 'public'
"""


@dataclass(frozen=True)
class Snapshot:
    """All that a database holds. `rows` has, of each table, how many rows it has and a digest of them."""

    rows: dict[str, tuple[int, str]]
    laws: set[tuple[Any, ...]]
    privileges: set[tuple[Any, ...]]
    numbers: set[tuple[Any, ...]]

    def differences(self, other: "Snapshot") -> list[str]:
        """A line for each thing that only one of the two has."""
        found = []
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if isinstance(mine, dict):
                mine, theirs = set(mine.items()), set(theirs.items())
            found += [f"before: {each}" for each in sorted(map(str, mine - theirs))]
            found += [f"after: {each}" for each in sorted(map(str, theirs - mine))]
        return found


def snapshot(session: Session) -> Snapshot:
    """Read the whole database. On a cluster, `session` is of the coordinator."""
    tables = session.execute(TABLES).fetchall()
    return Snapshot(
        rows={name: _rows(session, name, columns, key) for name, columns, key in tables},
        laws=set(session.execute(LAWS).fetchall()),
        privileges=set(session.execute(PRIVILEGES).fetchall()),
        numbers=set(session.execute(NUMBERS).fetchall()),
    )


def _rows(session: Session, table: str, columns: list[str], key: list[str]) -> tuple[int, str]:
    """Count and digest the rows in the order of the primary key. They come as PostgreSQL writes them."""
    digest, count = hashlib.sha256(), 0
    query = sql.SQL("COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, key)),
    )
    with session.cursor() as cursor, cursor.copy(query) as copied:
        for row in copied:
            digest.update(row)
            count += bytes(row).count(b"\n")
    return count, digest.hexdigest()
