"""Tables while they are upgraded, and while the release before still serves."""

from collections.abc import Callable, Iterator

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from accounts import api_keys
from accounts.models import ApiKey, KeyUse, OutgoingMail, Plan, PlanChange, ServiceKey
from accounts.service_keys import find_service_key, issue_service_key
from monetization import tips
from monetization.models import Erasure
from tests.factories import UserFactory
from tests.wallet.entries import sql

BEFORE_USES = "0013_rights_of_service_keys"
BEFORE_CHECKS = {"accounts": "0014_last_use_of_keys", "monetization": "0008_mailboxes_are_filled"}
# Each number that may not be negative, with its check.
CHECKED = (
    ("accounts_plan", "fee_bps", "accounts_plan_fee_is_not_negative"),
    ("accounts_plan", "key_limit", "accounts_plan_key_limit_is_not_negative"),
    ("accounts_planchange", "fee_bps", "accounts_planchange_fee_is_not_negative"),
    ("accounts_planchange", "key_limit", "accounts_planchange_key_limit_is_not_negative"),
    ("accounts_outgoingmail", "tries", "accounts_outgoingmail_counts_tries"),
    ("monetization_tip", "fee_bps", "monetization_tip_rate_is_not_negative"),
    ("monetization_erasure", "tips", "monetization_erasure_counts_from_zero"),
    ("monetization_erasure", "subscriptions", "monetization_erasure_counts_from_zero"),
)


@pytest.fixture
def tables_at(transactional_db: None) -> Iterator[Callable[..., None]]:
    """Bring the tables to these migrations of some apps; without any, and at the end, up to date."""

    def migrate(**names: str) -> None:
        executor = MigrationExecutor(connection)
        executor.migrate(list(names.items()) or executor.loader.graph.leaf_nodes())

    try:
        yield migrate
    finally:
        migrate()


def test_last_uses_come_along_and_go_back(tables_at):
    owner = UserFactory.create()
    used, unused = (issue_service_key(product=product)[0] for product in ("blog", "mail"))
    of_creator, _ = api_keys.issue(owner=owner, name="k")
    tables_at(accounts=BEFORE_USES)
    sql("UPDATE accounts_servicekey SET last_used_at = '2026-06-30T12:00Z' WHERE id = %s", used.pk)
    sql("UPDATE accounts_apikey SET last_used_at = '2026-06-29T12:00Z'")
    tables_at()
    uses = {digest: f"{used_at:%d}" for digest, used_at in KeyUse.objects.values_list("digest", "used_at")}
    assert uses == {used.digest: "30", of_creator.digest: "29"}
    # Going back: the later of both times counts, because the release before wrote its column meanwhile.
    sql("UPDATE accounts_servicekey SET last_used_at = '2026-07-02T12:00Z' WHERE id = %s", used.pk)
    KeyUse.objects.create(digest=unused.digest, used_at="2026-07-01T12:00Z")
    tables_at(accounts=BEFORE_USES)
    day = "to_char(last_used_at AT TIME ZONE 'UTC', 'MM-DD')"
    assert sql(f"SELECT {day} FROM accounts_servicekey ORDER BY id") == [("07-02",), ("07-01",)]
    assert sql(f"SELECT {day} FROM accounts_apikey") == [("06-29",)]


@pytest.mark.django_db
def test_the_release_before_makes_keys_and_notes_their_use():
    """Its statements, with the columns that it knows. They are not of this release's models."""
    owner = UserFactory.create()
    service_key, secret = issue_service_key(product="blog")
    ServiceKey.objects.all().delete()
    sql(
        "INSERT INTO accounts_servicekey (product, prefix, digest, feature_prefixes, created_at, expires_at,"
        " revoked_at, last_used_at) VALUES ('blog', %s, %s, '{}', now(), NULL, NULL, NULL)",
        service_key.prefix,
        service_key.digest,
    )
    sql(
        "INSERT INTO accounts_apikey (id, owner_id, name, prefix, digest, scopes, allowed_account_id,"
        " created_at, expires_at, revoked_at, last_used_at)"
        " VALUES (gen_random_uuid(), %s, 'k', 'msk_12345678', 'd', '{read}', NULL, now(), NULL, NULL, NULL)",
        owner.pk,
    )
    for table in ("accounts_servicekey", "accounts_apikey"):
        sql(
            f"UPDATE {table} SET last_used_at = now()"
            f" WHERE id IN (SELECT id FROM {table} FOR UPDATE SKIP LOCKED)"
        )
    key = find_service_key(secret)
    assert key.rights == ["read", "charge", "refund", "topup"]
    assert ServiceKey.objects.with_last_use().get().last_used_at is not None
    assert ApiKey.objects.with_last_use().get().last_used_at is None


# --- Named checks -----------------------------------------------------------------------------------


@pytest.fixture
def a_row_of_each(transactional_db):
    OutgoingMail.objects.create(kind="receipt", fact="receipt:1", to="a@example.com")
    Erasure.objects.create(actor="user:x", tips=0, subscriptions=0)
    tips.record(creator=UserFactory.create(), amount_cents=999, email="", stripe_payment_id="pi_1")


def refused_by(table: str, column: str, value: int) -> str | None:
    """The name of the check that refuses this value in a copy of a row; None if it is not refused.

    Triggers are off, because they refuse each change of a tip or of a plan's history.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(f"UPDATE {table} SET {column} = %s", [value])
            transaction.set_rollback(True)
    except IntegrityError as error:
        return str(error.__cause__.diag.constraint_name)  # type: ignore[union-attr]
    return None


def test_checks_get_names_and_no_table_is_written(tables_at, a_row_of_each):
    tables = sorted({table for table, _, _ in CHECKED})
    files = [sql("SELECT pg_relation_filenode(%s::regclass)", table) for table in tables]
    for _ in range(2):
        tables_at(**BEFORE_CHECKS)
        for table, column, name in CHECKED:
            refused = refused_by(table, column, -1)
            assert refused is not None, (table, column)
            assert refused != name
        tables_at()
        for table, column, name in CHECKED:
            assert refused_by(table, column, -1) == name
            assert refused_by(table, column, 0) is None
    assert [sql("SELECT pg_relation_filenode(%s::regclass)", table) for table in tables] == files


def test_a_plan_without_a_limit_of_keys_stays_possible(a_row_of_each):
    assert Plan.objects.filter(key_limit=None).exists()
    assert PlanChange.objects.filter(key_limit=None).exists()
