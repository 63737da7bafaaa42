"""docs/operations.md: the role that serves can charge, and can bend nothing."""

import re
import secrets

import psycopg
import pytest
from django.db import ProgrammingError, connection, transaction

from tests.environment import ROOT
from wallet.models import Entry

OPERATIONS = ROOT / "docs" / "operations.md"

FORBIDDEN = [
    "UPDATE wallet_entry SET credits = 1",
    "DELETE FROM wallet_entry",
    "TRUNCATE wallet_entry",
    "ALTER TABLE wallet_entry DISABLE TRIGGER ALL",
    "DROP TRIGGER wallet_entry_is_history ON wallet_entry",
    "ALTER TABLE wallet_entry DROP CONSTRAINT wallet_entry_leaves_what_is_held",
    "DROP INDEX wallet_entry_key_once",
    "SET session_replication_role = replica",
    "DELETE FROM wallet_wallet",
    "DELETE FROM wallet_payment",
    "DELETE FROM wallet_striperefund",
    "DELETE FROM wallet_stripedispute",
    "DELETE FROM wallet_refundrequest",
    "CREATE TEMP TABLE wallet_entry (wallet_id text)",
    "CREATE OR REPLACE FUNCTION wallet_is_history() RETURNS trigger LANGUAGE sql AS ''",
]


def documented(statement: str) -> list[str]:
    """The statements of docs/operations.md that begin so."""
    blocks = re.findall(r"```sql\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    # Without psql's own commands.
    text = "\n".join(line for line in "\n".join(blocks).splitlines() if not line.startswith("\\"))
    statements = [one.strip() for one in text.split(";")]
    return [one for one in statements if one.startswith(statement)]


@pytest.fixture
def runtime_role(db):
    """The role of the docs under another name, in this database, for one transaction."""
    name = f"misar_runtime_{secrets.token_hex(4)}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if not cursor.fetchone()[0]:
            pytest.skip("making roles needs a superuser, which this DATABASE_URL's is not")
        cursor.execute(f"CREATE ROLE {name}")
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
        for grant in documented("GRANT SELECT") + documented("GRANT USAGE, SELECT"):
            cursor.execute(grant.replace("misar_runtime", name))
        for revoke in documented("REVOKE"):
            database = connection.settings_dict["NAME"]
            cursor.execute(revoke.replace("misar_runtime", name).replace("misar_billing", database))
    yield name
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")


def test_the_runtime_role_serves_and_bends_nothing(
    runtime_role, deliver, checkout_event, as_service, article_rate
):
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {runtime_role}")
    deliver(checkout_event())
    assert as_service.deduct(idempotency_key="a").json()["allowed"] is True
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 24}
    assert Entry.objects.count() == 2
    for statement in FORBIDDEN:
        with pytest.raises(ProgrammingError) as refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
        assert isinstance(refused.value.__cause__, psycopg.errors.InsufficientPrivilege), statement
