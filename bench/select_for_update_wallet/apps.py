"""An app without migrations: `migrate --run-syncdb` creates its tables."""

from typing import Any

from django.apps import AppConfig
from django.db import connection
from django.db.models.signals import post_migrate

# The tables of wallets and entries get the columns and indexes that ours have at the time: the contest is
# between two ways to write a charge, not between two sets of indexes.
TABLES_AS_OURS = """
CREATE TABLE IF NOT EXISTS select_for_update_wallet_wallet
       (LIKE wallet_wallet INCLUDING DEFAULTS INCLUDING INDEXES, CHECK (balance >= 0));
CREATE TABLE IF NOT EXISTS select_for_update_wallet_entry
       (LIKE wallet_entry INCLUDING DEFAULTS INCLUDING INDEXES,
        FOREIGN KEY (wallet_id) REFERENCES select_for_update_wallet_wallet DEFERRABLE INITIALLY DEFERRED);
"""


class SelectForUpdateWalletConfig(AppConfig):
    name = "bench.select_for_update_wallet"
    verbose_name = "The select_for_update wallet"

    def ready(self) -> None:
        post_migrate.connect(_create_tables_as_ours, sender=self)


def _create_tables_as_ours(**_: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(TABLES_AS_OURS)
