"""The usual wallet as an app, without migrations: `migrate --run-syncdb` makes its tables."""

from django.apps import AppConfig


class UsualConfig(AppConfig):
    name = "bench.usual"
    verbose_name = "The usual wallet"
