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
# PostgreSQL writes an expression in another way once it has read its own text: with other brackets and casts.
LAWS = r"""
WITH of_ours AS (
     SELECT oid, relname, relowner FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relkind = 'r'),
law (its, name, text, valid) AS (
     SELECT conrelid, conname, pg_get_constraintdef(oid), convalidated::text FROM pg_constraint
      UNION ALL
     SELECT tgrelid, tgname, pg_get_triggerdef(oid), tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
      UNION ALL
     SELECT indrelid, 'index', pg_get_indexdef(indexrelid), indisvalid::text FROM pg_index
      UNION ALL
     SELECT attrelid, attname, CASE attidentity WHEN '' THEN format_type(atttypid, atttypmod)
            ELSE 'numbered' END || attnotnull::text, pg_get_expr(adbin, adrelid)
       FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
      WHERE attnum > 0 AND NOT attisdropped)
SELECT relname, name, regexp_replace(text, '[()\[\] ]|::text|::character varying', '', 'g'), valid
  FROM law JOIN of_ours ON of_ours.oid = its
 UNION ALL
SELECT 'function', proname, pg_get_functiondef(oid), '' FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
"""
# The owner has all privileges, whether they are written down or not.
PRIVILEGES = """
WITH object AS (
     SELECT oid, relname AS name, relkind::text AS kind, relowner AS owner, relacl AS acl FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
      UNION ALL
     SELECT attrelid, relname || '.' || attname, 'column', relowner, attacl
       FROM pg_attribute JOIN pg_class AS class ON class.oid = attrelid
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attacl IS NOT NULL
      UNION ALL
     SELECT oid, nspname, 'schema', nspowner, nspacl FROM pg_namespace WHERE nspname = 'public'
      UNION ALL
     SELECT oid, proname, 'function', proowner, proacl FROM pg_proc
      WHERE pronamespace = 'public'::regnamespace)
SELECT name, kind, grantee::regrole::text, privilege_type, is_grantable::text
  FROM object, aclexplode(acl) WHERE grantee <> owner
 UNION ALL
SELECT name, kind, owner::regrole::text, 'OWNER', '' FROM object
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
