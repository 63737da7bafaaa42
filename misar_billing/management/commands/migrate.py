"""Django's own `migrate`, with longer database timeouts than a request has."""

from typing import Any

from django.core.management.commands import migrate

from foundation.database import patience


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with patience.patient(options["database"]):
            super().handle(*args, **options)
