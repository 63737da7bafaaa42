"""Django's own `migrate`, with more patience than a request has."""

from typing import Any

from django.core.management.commands import migrate

from misar_billing import database


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with database.patient(options["database"]):
            super().handle(*args, **options)
