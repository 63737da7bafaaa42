"""Makes the project package a Django app, so that Django finds its commands and its system checks."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "misar_billing"
    verbose_name = "Misar Billing"

    def ready(self) -> None:
        from foundation.database.engine.schema import SchemaEditor
        from misar_billing import checks, placements  # noqa: F401  (registers the checks)

        SchemaEditor.place_of = staticmethod(placements.place_of)
