"""The tables of accounts while they are upgraded, and while the release before still serves."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts import api_keys
from accounts.models import ApiKey, KeyUse, ServiceKey
from accounts.service_keys import find_service_key, issue_service_key
from tests.factories import UserFactory
from tests.wallet.entries import sql

BEFORE_USES = "0013_rights_of_service_keys"


@pytest.fixture
def accounts_at(transactional_db: None) -> Iterator[Callable[[str], None]]:
    """Bring the tables of accounts to one of their migrations. At the end they are up to date."""

    def migrate(name: str) -> None:
        MigrationExecutor(connection).migrate([("accounts", name)])

    newest = MigrationExecutor(connection).loader.graph.leaf_nodes("accounts")
    try:
        yield migrate
    finally:
        MigrationExecutor(connection).migrate(newest)


def newest() -> str:
    (leaf,) = MigrationExecutor(connection).loader.graph.leaf_nodes("accounts")
    return str(leaf[1])


def test_last_uses_come_along_and_go_back(accounts_at):
    owner = UserFactory.create()
    used, unused = (issue_service_key(product=product)[0] for product in ("blog", "mail"))
    of_creator, _ = api_keys.issue(owner=owner, name="k")
    accounts_at(BEFORE_USES)
    sql("UPDATE accounts_servicekey SET last_used_at = '2026-06-30T12:00Z' WHERE id = %s", used.pk)
    sql("UPDATE accounts_apikey SET last_used_at = '2026-06-29T12:00Z'")
    accounts_at(newest())
    uses = {digest: f"{used_at:%d}" for digest, used_at in KeyUse.objects.values_list("digest", "used_at")}
    assert uses == {used.digest: "30", of_creator.digest: "29"}
    # Going back: the later of both times counts, because the release before wrote its column meanwhile.
    sql("UPDATE accounts_servicekey SET last_used_at = '2026-07-02T12:00Z' WHERE id = %s", used.pk)
    KeyUse.objects.create(digest=unused.digest, used_at="2026-07-01T12:00Z")
    accounts_at(BEFORE_USES)
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
