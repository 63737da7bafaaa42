"""Users and their plans, products, and the keys of both."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from accounts.api import schema  # noqa: F401  (adds the credentials to the OpenAPI schema)
        from accounts.models import Act
        from accounts.plans import make_default_plans
        from accounts.signing_in import sessions  # noqa: F401  (records each sign-in and each code)
        from foundation import erased_texts
        from foundation.http import envelope

        for prefix in ("/mail/v1/", "/v1/"):  # The creators' API has two names.
            envelope.register(prefix, envelope.Envelope())
        erased_texts.register(Act, "told", "reason")
        # Not in a migration: when a test flushes the database, a migration would not add the plans again.
        post_migrate.connect(make_default_plans, sender=self)
