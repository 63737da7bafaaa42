"""An app without migrations: `migrate --run-syncdb` creates its tables."""

from django.apps import AppConfig


class SelectForUpdateWalletConfig(AppConfig):
    name = "bench.select_for_update_wallet"
    verbose_name = "The select_for_update wallet"
