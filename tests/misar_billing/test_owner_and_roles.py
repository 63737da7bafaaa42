"""The first start of compose.yaml, step by step, and the way from an earlier compose.yaml.

A cluster whose superuser is `postgres`, as the image of PostgreSQL makes it; our script makes the owner; then
the commands of the steps, as processes of their own.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from foundation.database.configuration import NoDatabase, configuration, secret_in
from sandbox import postgres_programs
from sandbox.environment import free_port
from sandbox.private_postgres import PrivateServer
from tests.source import ROOT

pytestmark = pytest.mark.slow

PASSWORDS = {role: f"the {role}'s 'pass\\word' %é" for role in ("owner", "runtime", "operator")}


@dataclass
class Cluster:
    """A cluster of its own on a port of loopback, where roles need their password."""

    programs: postgres_programs.Programs
    account: postgres_programs.Account
    folder: Path
    port: int

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def secret(self, role: str) -> str:
        return str(self.folder / f"{role}_password")

    def connect(self, role: str, database: str = "misar_billing", password: str | None = None):
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=role,
            password=password,
            dbname=database,
            autocommit=True,
        )

    def as_superuser(self, database: str = "postgres", role: str = "postgres"):
        return psycopg.connect(
            host=str(self.folder), port=self.port, user=role, dbname=database, autocommit=True
        )

    def psql(self, *command: str, **environment: str):
        """A program that uses psql on the socket, as `docker compose exec database` does."""
        environment = {
            "PATH": f"{self.programs.folder}:{os.environ['PATH']}",
            "PGHOST": str(self.folder),
            "PGPORT": str(self.port),
            "OWNER_PASSWORD_FILE": self.secret("owner"),
        } | environment
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)

    def manage(self, *command: str, role: str = "owner", **environment: str):
        """A command in the environment of its container."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment = {
            "ENVIRONMENT": "sandbox",
            "SECRET_KEY": os.environ["SECRET_KEY"],
            "DATABASE_URL": f"postgres://misar_{role}@127.0.0.1:{self.port}/misar_billing",
            "DATABASE_PASSWORD_FILE": self.secret(role),
        } | environment
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=kept | environment,
            capture_output=True,
            text=True,
            timeout=1800,
        )

    def roles(self):
        return self.manage(
            "database_roles",
            RUNTIME_PASSWORD_FILE=self.secret("runtime"),
            OPERATOR_PASSWORD_FILE=self.secret("operator"),
        )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    home = tmp_path_factory.mktemp("cluster")
    server = PrivateServer(home)
    server.home.mkdir(mode=0o700)
    try:
        place, account, programs = server._settle()
    except NoDatabase as missing:
        pytest.skip(str(missing))
    data = place / "data"
    made = account.run(
        *(programs.path("initdb"), "--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256"),
        *("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
        data=data,
    )
    assert made.returncode == 0, made.stderr
    cluster = Cluster(programs, account, place, free_port())
    # Everything is logged, so that a test sees whether a password is.
    options = (
        f"-c listen_addresses=127.0.0.1 -c port={cluster.port} -c unix_socket_directories={place}"
        " -c fsync=off -c log_statement=all -c log_min_duration_statement=0 -c log_min_error_statement=error"
    )
    start = (programs.path("pg_ctl"), "start", "--wait", f"--log={place / 'server.log'}", "-o", options)
    assert account.run(*start, data=data).returncode == 0, cluster.log
    for role, password in PASSWORDS.items():
        Path(cluster.secret(role)).write_text(f"{password}\n")
    yield cluster
    account.run(programs.path("pg_ctl"), "stop", "--mode=immediate", data=data)


@pytest.fixture(scope="module")
def started(cluster):
    """The cluster after the steps of the first start."""
    made = cluster.psql(str(ROOT / "deploy/database/make_owner.sh"))
    assert made.returncode == 0, made.stderr
    migrated = cluster.manage("migrate", "--noinput")
    assert migrated.returncode == 0, migrated.stderr
    cluster.said = cluster.roles()
    assert cluster.said.returncode == 0, cluster.said.stderr
    return cluster


def powers(cluster, role):
    columns = "rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
    query = f"SELECT {columns} FROM pg_roles WHERE rolname = %s"
    with cluster.as_superuser() as database:
        return database.execute(query, [role]).fetchone()


def test_the_owner_is_no_superuser_and_owns_the_database_and_its_tables(started):
    assert powers(started, "misar_owner") == (False, True, False, False, False)
    with started.connect("misar_owner", password=PASSWORDS["owner"]) as database:
        owners = database.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
        assert owners == [("misar_owner",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute("SELECT pg_read_file('/etc/passwd')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute("ALTER ROLE misar_owner SUPERUSER")


@pytest.mark.parametrize("role", ["runtime", "operator"])
def test_a_role_has_the_password_of_its_file_and_no_other(started, role):
    with started.connect(f"misar_{role}", password=PASSWORDS[role]) as database:
        assert database.execute("SELECT count(*) FROM wallet_wallet").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute("DROP TABLE wallet_entry")
    assert powers(started, f"misar_{role}") == (False,) * 5
    for wrong in (PASSWORDS["owner"], "", None):
        with pytest.raises(psycopg.OperationalError, match="password"):
            started.connect(f"misar_{role}", password=wrong)


def test_neither_the_steps_nor_the_log_of_the_server_show_a_password(started):
    assert "Set the password of misar_runtime.\nSet the password of misar_operator.\n" in started.said.stdout
    assert "Made the role misar_auditor. It has no password" in started.said.stdout
    assert started.said.stderr == ""
    assert 'ALTER ROLE "misar_runtime" PASSWORD \'SCRAM-SHA-256$' in started.log
    for shown in (started.said.stdout, started.log):
        assert "pass\\word" not in shown
        assert "pass\\\\word" not in shown


def test_the_steps_can_run_again_with_a_new_password(started):
    Path(started.secret("runtime")).write_text("another one")
    assert started.roles().returncode == 0
    with started.connect("misar_runtime", password="another one") as database:
        assert database.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password"):
        started.connect("misar_runtime", password=PASSWORDS["runtime"])
    Path(started.secret("runtime")).write_text(PASSWORDS["runtime"])


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_a_missing_or_empty_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NoDatabase, match=f"The password in {path} "):
        secret_in(str(path))


def test_the_password_of_a_file_is_taken_as_it_is_and_wins(tmp_path):
    path = tmp_path / "password"
    path.write_text("a b%20'@/ \n")
    url = "postgres://misar_runtime:old@database/misar_billing"
    assert (
        configuration({"DATABASE_URL": url, "DATABASE_PASSWORD_FILE": str(path)})["PASSWORD"] == "a b%20'@/ "
    )
    assert configuration({"DATABASE_URL": url})["PASSWORD"] == "old"


def test_the_way_from_a_database_whose_owner_is_the_superuser_of_the_cluster(started):
    """Last in this file, because it turns the cluster into one that an earlier compose.yaml made."""
    with started.as_superuser() as database:
        database.execute("CREATE ROLE moving LOGIN SUPERUSER")
    with started.as_superuser("misar_billing", role="moving") as database:
        database.execute("ALTER ROLE misar_owner RENAME TO was_owner")
        database.execute("ALTER ROLE postgres RENAME TO misar_owner")
        database.execute("REASSIGN OWNED BY was_owner TO misar_owner")
        database.execute("REVOKE misar_runtime FROM misar_operator GRANTED BY was_owner")
        database.execute("DROP OWNED BY was_owner CASCADE")
        database.execute("DROP ROLE was_owner")
        database.execute("GRANT misar_runtime TO misar_operator")
    with started.as_superuser("misar_billing", role="misar_owner") as database:
        database.execute("DROP ROLE moving")
        encrypted = database.pgconn.encrypt_password(
            PASSWORDS["owner"].encode(), b"misar_owner", b"scram-sha-256"
        )
        database.execute(f"ALTER ROLE misar_owner PASSWORD '{encrypted.decode()}'")
    # The new steps work on it as it is, and say what is not as it should be.
    unmoved = started.roles()
    assert unmoved.returncode == 0, unmoved.stderr
    assert "Warning: the owner of the tables is a superuser" in unmoved.stderr

    for command in steps_of_the_documentation():
        done = started.psql("sh", "-c", command)
        assert done.returncode == 0, (command, done.stderr)

    assert powers(started, "misar_owner") == (False, True, False, False, False)
    assert powers(started, "moving") is None
    moved = started.roles()
    assert (moved.returncode, moved.stderr) == (0, "")
    with started.connect("misar_owner", password=PASSWORDS["owner"]) as database:
        strangers = database.execute(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND pg_get_userbyid(relowner) <> 'misar_owner' UNION ALL"
            " SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " AND pg_get_userbyid(proowner) <> 'misar_owner' UNION ALL"
            " SELECT typname::text FROM pg_type WHERE typnamespace = 'public'::regnamespace"
            " AND pg_get_userbyid(typowner) <> 'misar_owner'"
        ).fetchall()
        assert strangers == []
        # What a later migration does.
        database.execute("ALTER TABLE wallet_wallet ADD COLUMN tomorrow int")
        database.execute("ALTER TABLE wallet_wallet DROP COLUMN tomorrow")
    with started.connect("misar_runtime", password=PASSWORDS["runtime"]) as database:
        assert database.execute("SELECT count(*) FROM wallet_wallet").fetchone() == (0,)
    assert "pass\\word" not in started.log


def steps_of_the_documentation() -> list[str]:
    """The commands in docs/upgrading.md, without Docker: here psql reaches the server by itself."""
    section = (ROOT / "docs/upgrading.md").read_text().partition("## From an earlier compose.yaml")[2]
    commands = re.findall(r"^docker compose exec -T database (psql .*)$", section, re.MULTILINE)
    assert len(commands) == 3
    return [f"cd {ROOT} && {command}" for command in commands]
