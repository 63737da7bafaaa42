"""Users, products, their keys, and the plan a user is on."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from accounts.api import schema  # noqa: F401  (names the credentials in the OpenAPI schema)
        from accounts.models import Act
        from accounts.plans import make_default_plans
        from accounts.signing_in import sessions  # noqa: F401  (notes each sign-in and each code)
        from foundation import erased_texts
        from foundation.http import envelope

        for prefix in ("/mail/v1/", "/v1/"):  # The creators' API has two names.
            envelope.register(prefix, envelope.Envelope())
        erased_texts.register(Act, "told", "reason")
        # Not in a migration: a flush in the tests would remove them for good.
        post_migrate.connect(make_default_plans, sender=self)
