"""The project package as an app (commands, checks), and the admin with our own site."""

from django.apps import AppConfig, apps
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate


class BillingConfig(AppConfig):
    name = "misar_billing"
    verbose_name = "Misar Billing"

    def ready(self) -> None:
        from misar_billing import checks  # noqa: F401  (registers them)
        from misar_billing.backoffice.roles import make_roles

        # After the last of our apps, when the permissions of all are there.
        post_migrate.connect(make_roles, sender=apps.get_app_config("monetization"))


class BackOfficeConfig(AdminConfig):
    default_site = "misar_billing.backoffice.site.BackOffice"
