"""`manage.py database_roles`: it makes the roles, names every table, and is run again by each upgrade."""

import io
from dataclasses import asdict
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from foundation.database.configuration import limits_ms
from misar_billing import privileges
from tests.misar_billing.conftest import Roles

TABLES = """
SELECT relname FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
   AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                      AND deptype = 'e')
"""
OWNED = """
SELECT oid::regclass::text, CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')
   AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                      AND deptype IN ('a', 'i'))
"""
COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
PRIVILEGES = """
SELECT given.name, acl.privilege_type, replace(pg_get_userbyid(acl.grantee), %(own)s, '')
  FROM (SELECT relname::text AS name, relacl AS acl FROM pg_class
         WHERE relnamespace = 'public'::regnamespace
         UNION ALL
        SELECT format('%%s.%%s', attrelid::regclass, attname), attacl
          FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
         WHERE relnamespace = 'public'::regnamespace) given
 CROSS JOIN LATERAL aclexplode(given.acl) acl
 WHERE pg_get_userbyid(acl.grantee) = ANY (%(roles)s)
 ORDER BY 1, 2, 3
"""


def rows(query: str, *values: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def run(names: Roles, **options: bool) -> str:
    out = io.StringIO()
    call_command("database_roles", **asdict(names), **options, stdout=out)
    return out.getvalue()


def held(names: Roles) -> list[tuple[str, ...]]:
    """Every privilege on a table, sequence or column that the roles have; a role as "misar_runtime"."""
    own = names.runtime.removeprefix("misar_runtime")
    with connection.cursor() as cursor:
        cursor.execute(PRIVILEGES, {"own": own, "roles": list(asdict(names).values())})
        return cursor.fetchall()


def test_every_table_of_the_database_is_named_and_no_name_is_stale(db):
    tables = [name for (name,) in rows(TABLES)]
    assert privileges.unnamed(tables) == []
    assert privileges.stale(tables) == []


def test_every_named_column_exists(db):
    tables = {name for (name,) in rows(TABLES)}
    for table in tables & privileges.TABLES.keys():
        access = privileges.TABLES[table]
        columns = {name for (name,) in rows(COLUMNS, table)} | set(privileges.ALL)
        assert {*access.update, *access.auditor} <= columns, table


def test_a_table_that_is_not_named_is_an_error_and_changes_nothing(roles):
    before = held(roles)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE wallet_of_tomorrow (id int)")
    with pytest.raises(CommandError, match="does not name wallet_of_tomorrow") as error:
        run(roles)
    assert error.value.returncode == 1
    assert held(roles) == before


def test_it_can_run_again_and_takes_back_what_was_granted_by_hand(roles):
    before = held(roles)
    assert before
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT UPDATE, DELETE ON wallet_entry TO {roles.runtime}")
        cursor.execute(f"GRANT UPDATE (digest) ON accounts_servicekey TO {roles.runtime}")
        cursor.execute("GRANT INSERT ON wallet_audit TO PUBLIC")
        cursor.execute(f"GRANT SELECT ON accounts_user TO {roles.auditor}")
    assert held(roles) != before
    run(roles)
    assert held(roles) == before
    assert not rows("SELECT has_table_privilege(%s, 'wallet_audit', 'INSERT')", roles.runtime)[0][0]


def test_keep_grants_what_is_new_and_revokes_nothing(roles):
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT DELETE ON accounts_keyuse TO {roles.runtime}")
        cursor.execute(f"REVOKE INSERT ON wallet_entry FROM {roles.runtime}")
    run(roles, keep=True)
    assert rows("SELECT has_table_privilege(%s, 'accounts_keyuse', 'DELETE')", roles.runtime) == [(True,)]
    assert rows("SELECT has_table_privilege(%s, 'wallet_entry', 'INSERT')", roles.runtime) == [(True,)]


def test_tables_of_a_later_release_give_nothing_by_themselves(roles):
    """As earlier versions of the documentation had it."""
    default = "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT"
    with connection.cursor() as cursor:
        cursor.execute(f"{default} SELECT, INSERT, UPDATE, DELETE ON TABLES TO {roles.runtime}")
        cursor.execute(f"{default} USAGE, SELECT ON SEQUENCES TO {roles.runtime}")
    run(roles)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE wallet_of_tomorrow (id serial)")
    assert [row for row in held(roles) if row[0].startswith("wallet_of_tomorrow")] == []


def test_print_shows_the_sql_and_makes_nothing(roles):
    names = Roles(*(f"{name}_printed" for name in asdict(roles).values()))
    printed = run(names, print=True)
    assert f'CREATE ROLE "{names.runtime}" LOGIN;' in printed
    assert rows("SELECT FROM pg_roles WHERE rolname LIKE %s", "%_printed") == []
    with connection.cursor() as cursor:
        for statement in printed.split(";\n")[1:-2]:  # Without BEGIN and COMMIT.
            cursor.execute(statement)
    assert held(names) == held(roles)


def test_it_says_which_roles_need_a_password(roles):
    names = Roles(*(f"{name}_new" for name in asdict(roles).values()))
    said = run(names)
    assert f'Made the role {names.auditor}. It has no password: set one in psql with \\password "' in said
    assert "Made the role" not in run(names)
    assert rows(
        "SELECT rolcanlogin, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = %s", names.runtime
    ) == [(True, False, False)]


@pytest.mark.parametrize(
    ("power", "words"),
    [
        ("ALTER ROLE {runtime} SUPERUSER", "is a superuser"),
        ("ALTER ROLE {auditor} CREATEROLE", "may create roles"),
        ("GRANT pg_write_all_data TO {operator}", "is a member of pg_write_all_data"),
        ("GRANT {operator} TO {auditor}", "is a member of"),
        ("ALTER TABLE wallet_entry OWNER TO {runtime}", "owns wallet_entry"),
    ],
)
def test_a_role_that_could_do_more_is_an_error(roles, power, words):
    with connection.cursor() as cursor:
        cursor.execute(power.format(**asdict(roles)))
    with pytest.raises(CommandError, match=words):
        run(roles)


@pytest.mark.parametrize("name", ["", "x" * 64, "misar_operator"])
def test_a_name_that_cannot_be_is_refused(db, name):
    with pytest.raises(CommandError, match="name"):
        call_command("database_roles", runtime=name)


def test_a_role_may_have_any_name(roles):
    names = Roles(*(f'{name} "; DROP TABLE wallet_entry' for name in asdict(roles).values()))
    run(names)
    assert held(names) == held(roles)


def refusal(names: Roles) -> str:
    with pytest.raises(CommandError) as error:
        run(names)
    assert error.value.returncode == 1
    return str(error.value)


def test_an_owner_who_may_not_create_roles_is_told_what_an_administrator_does(roles):
    names = Roles(*(f"{name}_other" for name in asdict(roles).values()))
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {roles.operator}")
    said = refusal(names)
    assert f'ALTER ROLE "{roles.operator}" CREATEROLE;\n' in said
    assert "database_roles --print | psql" in said


@pytest.mark.single_server(
    "SET ROLE does not reach the sessions between nodes, which the owner's changes need"
)
def test_an_owner_of_roles_that_an_administrator_made_may_grant_them_after_one_step(roles):
    """As an earlier version of the documentation made the roles."""
    old = Roles(*(f"{name}_old" for name in asdict(roles).values()))
    owner = f"{roles.runtime}_owner"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {owner} LOGIN")
        cursor.execute(f"CREATE ROLE {old.runtime} LOGIN")
        cursor.execute("SELECT quote_ident(current_database())")
        [database] = cursor.fetchone()
        cursor.execute(f"ALTER DATABASE {database} OWNER TO {owner}")
        cursor.execute(f"ALTER SCHEMA public OWNER TO {owner}")
        for name, kind in rows(OWNED):
            cursor.execute(f"ALTER {kind} {name} OWNER TO {owner}")
        cursor.execute(f"SET ROLE {owner}")
        said = refusal(old)
        if (
            rows("SHOW server_version_num")[0][0] >= "160000"
        ):  # Before, CREATEROLE was enough to grant a role.
            cursor.execute("RESET ROLE")
            cursor.execute(f"ALTER ROLE {owner} CREATEROLE")
            cursor.execute(f"SET ROLE {owner}")
            assert refusal(old).splitlines()[1:] == said.splitlines()[1:]
        cursor.execute("RESET ROLE")
        [once] = [line.partition(": ")[2] for line in said.splitlines() if "CREATEROLE" in line]
        assert once == (
            f'ALTER ROLE "{owner}" CREATEROLE; GRANT "{old.runtime}" TO "{owner}" WITH ADMIN OPTION;'
        )
        cursor.execute(once)
        cursor.execute(f"SET ROLE {owner}")
        assert f"Made the role {old.operator}" in run(old)
        cursor.execute("RESET ROLE")
    assert held(old) == held(roles)


def test_another_error_than_of_permission_does_not_name_print(roles):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL transaction_read_only = on")
    said = refusal(Roles(*(f"{name}_other" for name in asdict(roles).values())))
    assert "read-only" in said
    assert "--print" not in said


@pytest.mark.breaks_the_books  # A table has another name.
def test_a_database_without_our_tables_is_to_be_migrated(roles):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wallet_seal RENAME TO wallet_of_tomorrow")
    assert "There is no wallet_seal in" in (said := refusal(roles))
    assert "run migrate first" in said


@pytest.mark.single_server("the node that numbers a row passes the number on in the name of the role")
def test_no_role_may_give_a_key_that_the_database_numbers(roles):
    numbered = rows(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attidentity <> ''"
    )
    assert ("accounts_act", "id") in numbered
    for table, column in numbered:
        for role in asdict(roles).values():
            assert rows("SELECT has_column_privilege(%s, %s, %s, 'INSERT')", role, table, column) == [
                (False,)
            ]
    assert rows("SELECT has_column_privilege(%s, 'wallet_entry', 'id', 'INSERT')", roles.runtime) == [(True,)]


def test_a_session_of_the_runtime_role_has_its_limits_without_asking_for_them(roles):
    """As through a pooler, and as the part of a session on another node of a cluster."""
    name = rows("SELECT current_database()")[0][0]
    set_for = (
        "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole"
        " JOIN pg_database ON pg_database.oid = setdatabase WHERE rolname = %s AND datname = %s"
    )
    limits = {f"{setting}={milliseconds}" for setting, milliseconds in limits_ms().items()}
    assert {setting for (setting,) in rows(set_for, roles.runtime, name)} == limits
    assert rows(set_for, roles.operator, name) == []
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER ROLE {roles.runtime} IN DATABASE {name} SET lock_timeout = 0")
    run(roles)
    assert {setting for (setting,) in rows(set_for, roles.runtime, name)} == limits
