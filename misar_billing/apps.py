"""The project package as an app (commands, checks), and the admin with our own site."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class BillingConfig(AppConfig):
    name = "misar_billing"
    verbose_name = "Misar Billing"

    def ready(self) -> None:
        from misar_billing import checks  # noqa: F401  (registers them)


class BackOfficeConfig(AdminConfig):
    default_site = "misar_billing.admin.BackOffice"
