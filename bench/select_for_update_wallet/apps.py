"""An app without migrations: `migrate --run-syncdb` creates its tables."""

from typing import Any

from django.apps import AppConfig
from django.db import connection
from django.db.models.signals import post_migrate

# What our migrations do to the indexes of our tables, because models cannot say it.
INDEXES_AS_OURS = """
DROP INDEX IF EXISTS select_for_update_wallet_entry_id_ea879d1f_like;
DROP INDEX IF EXISTS select_for_update_wallet_wallet_user_id_3e8e9f27_like;
ALTER TABLE select_for_update_wallet_entry DROP CONSTRAINT select_for_update_wallet_entry_pkey,
    ADD PRIMARY KEY (id, wallet_id);
"""


class SelectForUpdateWalletConfig(AppConfig):
    name = "bench.select_for_update_wallet"
    verbose_name = "The select_for_update wallet"

    def ready(self) -> None:
        post_migrate.connect(_index_as_ours, sender=self)


def _index_as_ours(**_: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INDEXES_AS_OURS)
