"""The app configurations of the back-office, which has no models, and of Django's admin with our site."""

from django.apps import AppConfig, apps
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate


class BackOfficeConfig(AppConfig):
    name = "backoffice"
    verbose_name = "Back-office"

    def ready(self) -> None:
        from django.contrib.admin.models import LogEntry

        from backoffice.roles import make_roles
        from foundation import erased_texts

        erased_texts.register(LogEntry, "change_message")
        # Monetization is the last app with models. After its migrations, all permissions exist.
        post_migrate.connect(make_roles, sender=apps.get_app_config("monetization"))


class BackOfficeSiteConfig(AdminConfig):
    default_site = "backoffice.site.BackOffice"
