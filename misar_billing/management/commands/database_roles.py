"""The command that makes the database roles: `manage.py database_roles [--print] [--keep]`.

If RUNTIME_PASSWORD_FILE, OPERATOR_PASSWORD_FILE or AUDITOR_PASSWORD_FILE is set, it also sets the password of
this role to what the file has.
"""

import os
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection, transaction
from psycopg.errors import InsufficientPrivilege

from foundation.database import cluster
from foundation.database.configuration import limits_ms, secret_in
from foundation.errors import first_line
from foundation.operators import database_read, require_coordinator
from misar_billing import privileges
from misar_billing.privileges import quoted

# PostgreSQL cuts longer names.
NAME_BYTES_MAX = 63

# Tables, views and sequences of the schema, but those of extensions.
RELATIONS = """
SELECT relation.relname, relation.relkind::text,
       EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = relation.oid
                  AND deptype = 'i')
  FROM pg_class relation
 WHERE relation.relnamespace = 'public'::regnamespace AND relation.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = relation.oid
                      AND deptype = 'e')
 ORDER BY relation.relname
"""
# The columns that an INSERT may name, of each table whose key the database numbers. A numbered column beside
# the key stays: Django names it in each INSERT, so a trigger numbers it (monetization/migrations/roles.sql).
INSERTABLE = """
WITH attribute AS (
     SELECT pg_class.relname, pg_attribute.attname, pg_attribute.attnum,
            attidentity <> '' OR (
                coalesce(pg_get_expr(adbin, adrelid) LIKE 'nextval(%', false) AND EXISTS (
                SELECT FROM pg_index WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey))
            ) AS is_numbered
       FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
       LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p'))
SELECT relname, array_agg(attname::text ORDER BY attnum) FILTER (WHERE NOT is_numbered)
  FROM attribute GROUP BY relname HAVING bool_or(is_numbered)
"""
# What tables that will be made later give to the roles. Only earlier versions of our documentation said so.
DEFAULTS = """
SELECT DISTINCT pg_get_userbyid(defaults.defaclrole), coalesce(schema.nspname, ''),
       CASE defaults.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
            WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END,
       pg_get_userbyid(granted.grantee)
  FROM pg_default_acl defaults
  LEFT JOIN pg_namespace schema ON schema.oid = defaults.defaclnamespace
 CROSS JOIN LATERAL aclexplode(defaults.defaclacl) granted
 WHERE pg_get_userbyid(granted.grantee) = ANY (%(roles)s)
 ORDER BY 1, 2, 3, 4
"""
# What would let a role do more than this module says.
TOO_MUCH = """
SELECT role.rolname, power.words
  FROM pg_roles role
 CROSS JOIN LATERAL (
       SELECT 'is a superuser' AS words WHERE role.rolsuper
       UNION ALL SELECT 'may create roles' WHERE role.rolcreaterole
       UNION ALL SELECT 'may replicate' WHERE role.rolreplication
       UNION ALL
       SELECT format('is a member of %%s', quote_ident(granted.rolname))
         FROM pg_auth_members member JOIN pg_roles granted ON granted.oid = member.roleid
        WHERE member.member = role.oid AND NOT (role.rolname = %(operator)s AND granted.rolname = %(runtime)s)
       UNION ALL
       SELECT format('owns %%s', owned.oid::regclass) FROM pg_class owned
        WHERE owned.relowner = role.oid AND owned.relnamespace = 'public'::regnamespace
       UNION ALL SELECT 'may create tables' WHERE has_schema_privilege(role.oid, 'public', 'CREATE')
       UNION ALL
       SELECT 'may create temporary tables'
        WHERE has_database_privilege(role.oid, current_database(), 'TEMPORARY')) power
 WHERE role.rolname = ANY (%(roles)s)
 ORDER BY 1, 2
"""
# What a role has set for its sessions in this database.
SETTINGS = """
SELECT setting FROM pg_db_role_setting CROSS JOIN LATERAL unnest(setconfig) setting
 WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = %s)
   AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Command(BaseCommand):
    help = (
        "Make the three database roles of the service, and let them do with each table exactly what "
        "misar_billing/privileges.py says. Run it as the owner of the tables, after each `migrate`. It is "
        "safe to run again: one transaction, and no lock that a request waits for."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        for role in ("runtime", "operator", "auditor"):
            parser.add_argument(
                f"--{role}", default=f"misar_{role}", metavar="ROLE", help=f"the {role} role; %(default)s"
            )
        parser.add_argument(
            "--keep",
            action="store_true",
            help="only grant and revoke nothing: while workers of the release before still run. Run the "
            "command again without it when they have ended",
        )
        parser.add_argument(
            "--print",
            action="store_true",
            help="only print the SQL, for an administrator who runs it",
        )

    def handle(
        self, *, runtime: str, operator: str, auditor: str, keep: bool, print: bool, **options: Any
    ) -> None:
        roles = {"runtime": runtime, "operator": operator, "auditor": auditor}
        if len(set(roles.values())) < len(roles):
            raise CommandError("The three roles need three names.")
        if wrong := [name for name in roles.values() if not 0 < len(name.encode()) <= NAME_BYTES_MAX]:
            raise CommandError(f"{wrong[0]!r} is no name of a role: it has 1 to {NAME_BYTES_MAX} bytes.")
        passwords = {} if print else _passwords_of(roles)
        missing: list[str] = []
        statement = ""
        try:
            require_coordinator()
            with transaction.atomic(), connection.cursor() as cursor:
                missing = _missing(cursor, roles)
                statements = list(_statements(cursor, roles, missing=missing, keep=keep))
                if not print:
                    for statement in (*statements, *_with_passwords(passwords)):
                        cursor.execute(statement)
                    if not keep:
                        _require_no_more(cursor, roles)
        except Error as error:
            way_out = _way_out(error, statement, runtime=runtime, missing=missing)
            raise CommandError(f"Nothing was changed: {first_line(error)}{way_out}") from error
        if print:
            self.stdout.write("BEGIN;")
            for statement in statements:
                self.stdout.write(f"{statement};")
            self.stdout.write("COMMIT;")
            return
        self._report(roles, missing=missing, passwords=passwords)

    def _report(self, roles: dict[str, str], *, missing: list[str], passwords: dict[str, str]) -> None:
        for name in passwords:
            self.stdout.write(f"Set the password of {name}.")
        for name in missing:
            if name not in passwords:
                self.stdout.write(
                    f"Made the role {name}. It has no password: set one in psql with "
                    f"\\password {quoted(name)}"
                )
        names = "{runtime}, {operator} and {auditor}".format_map(roles)
        self.stdout.write(f"{names} have their privileges in {database_read()}.")
        if passwords and _is_superuser():
            self.stderr.write(
                "Warning: the owner of the tables is a superuser, so its password opens the whole cluster. "
                'docs/upgrading.md, "From an earlier compose.yaml", says how to end that.'
            )


def _way_out(error: Error, statement: str, *, runtime: str, missing: list[str]) -> str:
    """Return what an administrator does if the database refused this statement to the owner, else ""."""
    if not isinstance(error.__cause__, InsufficientPrivilege):
        return ""
    printed = "An administrator can run the SQL: manage.py database_roles --print | psql"
    if not statement.startswith(("CREATE ROLE", "ALTER ROLE", 'GRANT "')):
        return f"\n{printed}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        owner = quoted(cursor.fetchone()[0])
    once = f"ALTER ROLE {owner} CREATEROLE;"
    if runtime not in missing:
        # Since PostgreSQL 16, a role may grant only the roles that it made or has with this option.
        once += f" GRANT {quoted(runtime)} TO {owner} WITH ADMIN OPTION;"
    return f"\nAn administrator runs this once, and then you run this command again: {once}\nOr: {printed}"


def _missing(cursor: Any, roles: dict[str, str]) -> list[str]:
    """Return the names of the roles that do not exist."""
    cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [list(roles.values())])
    existing = {name for (name,) in cursor.fetchall()}
    return [name for name in roles.values() if name not in existing]


def _statements(cursor: Any, roles: dict[str, str], *, missing: list[str], keep: bool) -> Iterator[str]:
    """Yield the SQL that makes the roles and their privileges. Raises CommandError for an unknown table."""
    cursor.execute(RELATIONS)
    relations = cursor.fetchall()
    tables = [name for name, kind, _ in relations if kind != "S"]
    if absent := privileges.stale(tables):
        raise CommandError(
            f"There is no {absent[0]} in {database_read()}: run migrate first. Nothing was changed."
        )
    if unnamed := privileges.unnamed(tables):
        raise CommandError(
            f"misar_billing/privileges.py does not name {', '.join(unnamed)}. Nothing was changed."
        )
    insertable = dict.fromkeys(tables, privileges.ALL)
    is_cluster = cluster.is_distributed()
    # On a cluster the node that numbers a row names the key when it passes the row on, in the caller's name.
    if not is_cluster:
        cursor.execute(INSERTABLE)
        insertable |= {name: tuple(rest) for name, rest in cursor.fetchall()}
    names = {role: quoted(name) for role, name in roles.items()}
    everyone = ", ".join(names.values())
    cursor.execute("SELECT current_database()")
    database = quoted(cursor.fetchone()[0])
    for name in missing:
        yield f"CREATE ROLE {quoted(name)} LOGIN"
    # On a cluster always: a node that was added later has the roles, but not this membership.
    if not _is_member(cursor, roles) or is_cluster:
        yield f"GRANT {names['runtime']} TO {names['operator']}"
    if not keep:
        yield from _revoked(cursor, roles, everyone=everyone, database=database)
    yield f"GRANT CONNECT ON DATABASE {database} TO {everyone}"
    yield f"GRANT USAGE ON SCHEMA public TO {everyone}"
    for granted, table, role in privileges.grants(insertable, **names):
        yield f"GRANT {granted} ON public.{table} TO {role}"
    for name, kind, is_of_identity in relations:
        # A column that is an identity needs no privilege on its sequence, except on a cluster for rows that a
        # SELECT finds. Only commands write such rows.
        if kind == "S" and not is_of_identity:
            yield f"GRANT USAGE ON SEQUENCE public.{quoted(name)} TO {names['runtime']}"
        elif kind == "S" and is_cluster:
            yield f"GRANT USAGE ON SEQUENCE public.{quoted(name)} TO {names['operator']}"
    yield from _limits(cursor, roles["runtime"], database=database)


def _limits(cursor: Any, runtime: str, *, database: str) -> Iterator[str]:
    """Yield the SQL that gives the sessions of the service their time limits.

    The service asks for them when it connects. A pooler does not pass that on, and neither does a node of a
    cluster, which runs a part of a statement on another one.
    """
    cursor.execute(SETTINGS, [runtime])
    present = {setting for (setting,) in cursor.fetchall()}
    for name, milliseconds in limits_ms().items():
        if f"{name}={milliseconds}" not in present:
            yield f"ALTER ROLE {quoted(runtime)} IN DATABASE {database} SET {name} = {milliseconds}"


def _passwords_of(roles: dict[str, str]) -> dict[str, str]:
    """Return the password of each role that has a file for it, by the role's name. Raises NoDatabase."""
    files = {name: os.environ.get(f"{role.upper()}_PASSWORD_FILE") for role, name in roles.items()}
    return {name: secret_in(path) for name, path in files.items() if path}


def _with_passwords(passwords: dict[str, str]) -> Iterator[str]:
    """Yield the SQL that sets the password of each role.

    It has the SCRAM verifier instead of the password, because PostgreSQL may log the statement.
    """
    connection.ensure_connection()
    for name, password in passwords.items():
        encrypted = connection.connection.pgconn.encrypt_password(
            password.encode(), name.encode(), b"scram-sha-256"
        )
        yield f"ALTER ROLE {quoted(name)} PASSWORD '{encrypted.decode()}'"


def _is_superuser() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        return bool(cursor.fetchone()[0])


def _is_member(cursor: Any, roles: dict[str, str]) -> bool:
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_auth_members JOIN pg_roles granted ON granted.oid = roleid"
        " JOIN pg_roles holder ON holder.oid = member"
        " WHERE granted.rolname = %(runtime)s AND holder.rolname = %(operator)s)",
        roles,
    )
    return bool(cursor.fetchone()[0])


def _revoked(cursor: Any, roles: dict[str, str], *, everyone: str, database: str) -> Iterator[str]:
    yield f"REVOKE CREATE, TEMPORARY ON DATABASE {database} FROM PUBLIC, {everyone}"
    yield f"REVOKE CREATE ON SCHEMA public FROM PUBLIC, {everyone}"
    for kind in ("TABLES", "SEQUENCES"):
        yield f"REVOKE ALL ON ALL {kind} IN SCHEMA public FROM PUBLIC, {everyone}"
    cursor.execute(DEFAULTS, {"roles": list(roles.values())})
    for owner, schema, kind, role in cursor.fetchall():
        place = f" IN SCHEMA {quoted(schema)}" if schema else ""
        of_owner = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(owner)}{place}"
        yield f"{of_owner} REVOKE ALL ON {kind} FROM {quoted(role)}"


def _require_no_more(cursor: Any, roles: dict[str, str]) -> None:
    """Raise CommandError, which undoes everything, if a role could still do more than it is given here."""
    cursor.execute(TOO_MUCH, {"roles": list(roles.values()), **roles})
    if found := [f"{name} {words}" for name, words in cursor.fetchall()]:
        raise CommandError(f"Nothing was changed, because {'; '.join(found)}. Take that away first.")
