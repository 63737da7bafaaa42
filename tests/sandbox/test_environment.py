"""The sandbox's values for settings that are not set, and how manage.py uses them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import environment
from sandbox.environment import SandboxRefused
from sandbox.private_postgres import PrivateServer
from tests.environment import ROOT


def prepared(tmp_path: Path, **chosen: str) -> dict[str, str]:
    environ = {"DATA_DIR": str(tmp_path), **chosen}
    environment.prepare(environ)
    environment.remember_database(environ)
    return environ


def adopted(tmp_path: Path, **chosen: str) -> dict[str, str]:
    environ = {"DATA_DIR": str(tmp_path), **chosen}
    environment.adopt(environ)
    return environ


def manage(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with only these variables in its environment."""
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    environ = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)


# --- Preparing --------------------------------------------------------------------------------------


def test_addresses_follow_the_port(tmp_path):
    environ = prepared(tmp_path, PORT="9100")
    assert environ["PUBLIC_URL"] == "http://127.0.0.1:9100"
    assert environ["SANDBOX_PORT"] == "9101"
    assert environ["STRIPE_API_BASE"] == "http://127.0.0.1:9101"
    assert environ["SSO_ISSUER"] == "http://127.0.0.1:9101/sso"
    assert environ["SSO_JWKS_URL"] == "http://127.0.0.1:9101/sso/jwks.json"
    assert environ["ENVIRONMENT"] == "sandbox"


def test_secrets_have_the_real_form_and_differ_in_each_folder(tmp_path):
    one, other = prepared(tmp_path / "one"), prepared(tmp_path / "other")
    assert one["STRIPE_SECRET_KEY"].startswith("sk_test_")
    assert one["STRIPE_WEBHOOK_SECRETS"].startswith("whsec_")
    assert len(one["SECRET_KEY"]) >= 50
    assert not {one[name] for name in environment.SECRETS} & {other[name] for name in environment.SECRETS}


def test_secrets_are_kept_when_the_ports_change(tmp_path):
    first, second = prepared(tmp_path, PORT="9100"), prepared(tmp_path, PORT="9200")
    assert second["STRIPE_API_BASE"] == "http://127.0.0.1:9201"
    assert {first[name] for name in environment.SECRETS} == {second[name] for name in environment.SECRETS}


def test_the_callers_values_win_and_empty_counts_as_unset(tmp_path):
    environ = prepared(
        tmp_path, PUBLIC_URL="https://billing.test", SSO_AUDIENCE="", ALLOWED_HOSTS="billing.test"
    )
    assert environ["PUBLIC_URL"] == "https://billing.test"
    assert environ["CSRF_TRUSTED_ORIGINS"] == "https://billing.test"
    assert environ["ALLOWED_HOSTS"] == "billing.test"
    assert environ["SSO_AUDIENCE"] == "misar-billing"


def test_with_a_shared_secret_no_key_address_is_set(tmp_path):
    assert "SSO_JWKS_URL" not in prepared(tmp_path, SSO_JWT_SECRET="s" * 32)


def test_debug_stays_off_whatever_the_shell_says(tmp_path):
    assert prepared(tmp_path, DEBUG="true")["DEBUG"] == "false"


def test_the_file_is_private_and_holds_no_secret_of_the_caller(tmp_path):
    url = "postgres://billing:hunter2@db.misar.io/books"
    prepared(tmp_path, STRIPE_SECRET_KEY="sk_test_the_callers", DATABASE_URL=url)
    file = tmp_path / "sandbox.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "the_callers" not in file.read_text()
    assert "hunter2" not in file.read_text()
    assert [each.name for each in tmp_path.iterdir()] == ["sandbox.env"]


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "8000 ", "٨٠٠٠"])
def test_an_invalid_port_is_refused(tmp_path, port):
    with pytest.raises(SandboxRefused, match="PORT"):
        prepared(tmp_path, PORT=port)


def test_after_the_last_port_there_is_none_for_the_sandbox(tmp_path):
    with pytest.raises(SandboxRefused, match="SANDBOX_PORT is 65536"):
        prepared(tmp_path, PORT="65535")


def test_production_can_not_be_prepared_as_a_sandbox(tmp_path):
    with pytest.raises(SandboxRefused, match="ENVIRONMENT is production"):
        prepared(tmp_path, ENVIRONMENT="production")


def test_every_host_name_is_allowed_only_on_all_addresses(tmp_path):
    assert prepared(tmp_path, HOST="0.0.0.0")["ALLOWED_HOSTS"] == "*"  # noqa: S104
    assert prepared(tmp_path, HOST="::1")["PUBLIC_URL"] == "http://[::1]:8000"
    assert prepared(tmp_path)["ALLOWED_HOSTS"] == "127.0.0.1,localhost"


# --- Adopting ---------------------------------------------------------------------------------------


def test_an_empty_environment_adopts_what_make_run_prepared(tmp_path):
    ran = prepared(tmp_path, PORT="9100")
    values = adopted(tmp_path)
    assert {name: values[name] for name in values if name != "DATA_DIR"} == {
        name: ran[name] for name in ran if name not in {"DATA_DIR", "DEBUG"}
    }


def test_set_values_win_over_saved_ones(tmp_path):
    prepared(tmp_path)
    assert adopted(tmp_path, PUBLIC_URL="https://billing.test")["PUBLIC_URL"] == "https://billing.test"


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"ENVIRONMENT": "production"},
        {"DATABASE_URL": "postgres://u@db.misar.io/books"},
        {"ENVIRONMENT": "production", "DATABASE_URL": "postgres://u@ours/books"},
    ],
)
def test_another_environment_adopts_nothing(tmp_path, elsewhere):
    prepared(tmp_path, DATABASE_URL="postgres://u@ours/books")
    assert adopted(tmp_path, **elsewhere) == {"DATA_DIR": str(tmp_path), **elsewhere}


@pytest.mark.parametrize("chosen", [{}, {"ENVIRONMENT": "sandbox"}])
def test_the_sandboxs_database_is_recognized(tmp_path, chosen):
    url = "postgres://u@ours/books"
    prepared(tmp_path, DATABASE_URL=url)
    values = adopted(tmp_path, DATABASE_URL=url, **chosen)
    assert values["ENVIRONMENT"] == "sandbox"
    assert values["STRIPE_SECRET_KEY"].startswith("sk_test_")


def test_with_environment_sandbox_any_database_is_accepted(tmp_path):
    prepared(tmp_path)
    values = adopted(tmp_path, ENVIRONMENT="sandbox", DATABASE_URL="postgres://u@another/books")
    assert values["DATABASE_URL"] == "postgres://u@another/books"
    assert "SECRET_KEY" in values


def test_a_demonstration_ignores_the_settings_of_the_shell(tmp_path):
    environ = {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": "postgres://u@production/books",
        "PUBLIC_URL": "https://billing.misar.io",
    }
    environment.set_apart(environ)
    environment.prepare(environ)
    assert "DATABASE_URL" not in environ
    assert environ["PUBLIC_URL"] == f"http://127.0.0.1:{environ['PORT']}"
    assert environ["DATA_DIR"] == str(tmp_path / "demo")


def test_one_sandbox_at_a_time_runs_on_a_folder(tmp_path):
    with environment.claimed(tmp_path):
        with pytest.raises(SandboxRefused, match="already running"), environment.claimed(tmp_path):
            pass
        with environment.claimed(tmp_path / "another"):
            pass
    with environment.claimed(tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_another_users_sandbox_is_refused_and_not_read(tmp_path):
    prepared(tmp_path)
    (tmp_path / "sandbox.env").chmod(0)
    with pytest.raises(SandboxRefused, match="another user's sandbox"):
        adopted(tmp_path)


# --- manage.py --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["check_ledger"], ["migrate"], ["shell", "-c", "1"], ["no_such_command"]]
)
def test_a_command_without_a_database_is_refused_with_a_sentence(tmp_path, arguments):
    ran = manage(*arguments, DATA_DIR=str(tmp_path))
    assert ran.returncode == 2
    assert "DATABASE_URL is not set" in ran.stderr
    assert "`make run`" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert ran.stdout == ""
    assert not list(tmp_path.iterdir())


def test_without_its_database_url_a_sandbox_shows_no_other_books(tmp_path):
    prepared(tmp_path, DATABASE_URL="postgres://u@ours/books")
    ran = manage("check_ledger", DATA_DIR=str(tmp_path))
    assert ran.returncode == 2
    assert "Set that DATABASE_URL again" in ran.stderr


def test_a_refusal_of_the_settings_is_a_sentence(tmp_path):
    ran = manage("migrate", DATA_DIR=str(tmp_path), DATABASE_URL="postgres://u@127.0.0.1:1/books")
    assert ran.returncode == 2
    assert ran.stderr.startswith("Production cannot start: SECRET_KEY is not set.")
    assert "Traceback" not in ran.stderr


def test_an_unusable_database_url_is_refused_with_a_sentence(tmp_path):
    prepared(tmp_path)
    ran = manage("migrate", DATA_DIR=str(tmp_path), ENVIRONMENT="sandbox", DATABASE_URL="mysql://u@h/books")
    assert (ran.returncode, ran.stderr) == (2, "DATABASE_URL must begin with postgres:// or postgresql://.\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["--version"], ["help"], ["check"], ["check_ledger", "--help"], ["diffsettings"]]
)
def test_some_commands_need_no_database(tmp_path, arguments):
    prepared(tmp_path)
    ran = manage(*arguments, DATA_DIR=str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["sandbox.env"]


@pytest.mark.slow
def test_a_command_uses_the_server_that_exists_and_stops_it_again(tmp_path):
    prepared(tmp_path)
    server = PrivateServer(tmp_path)
    with server.lease(create=True):
        pass
    shown = manage("shell", "-v0", "-c", READ_DATABASE, DATA_DIR=str(tmp_path))
    assert (shown.returncode, shown.stdout) == (0, "misar_billing\n"), shown.stderr
    assert not server.is_running()


READ_DATABASE = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT current_database()")
    print(cursor.fetchone()[0])
"""
