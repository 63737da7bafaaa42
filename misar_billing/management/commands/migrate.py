"""Django's own `migrate`, with longer database timeouts. Production does not migrate a sandbox's database."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate

from foundation.database import cluster, marker, patience
from foundation.operators import database_read, require_coordinator


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with patience.patient(options["database"]):
            require_coordinator()
            if settings.PRODUCTION and marker.exists():
                raise CommandError(
                    f"{database_read()} was marked as a sandbox's by `make run`, so its data may be made up. "
                    f"Use another database; or, if its data is real, drop the table {marker.TABLE}."
                )
            cluster.allow_migrations()
            super().handle(*args, **options)
