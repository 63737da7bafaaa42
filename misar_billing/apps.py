"""The project package as an app: operators' commands, and system checks."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "misar_billing"
    verbose_name = "Misar Billing"

    def ready(self) -> None:
        from misar_billing import checks  # noqa: F401  (registers them)
