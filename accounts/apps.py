"""Users, their plans and API keys, and the service keys of products."""

from django.apps import AppConfig
from django.contrib.postgres.indexes import OpClass
from django.db.models.expressions import OrderBy
from django.db.models.functions import Collate
from django.db.models.indexes import IndexExpression
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        # An index on an expression may then name an operator class. The app django.contrib.postgres does this
        # too, but it also asks each database for types that are not used here.
        IndexExpression.register_wrappers(OrderBy, OpClass, Collate)

        from accounts import destinations, maintenance
        from accounts.api import schema  # noqa: F401  (adds the credentials to the OpenAPI schema)
        from accounts.models import Act, BuyerDetails
        from accounts.plans import make_default_plans
        from accounts.signing_in import sessions  # noqa: F401  (records sign-ins and second factors)
        from foundation import erased_texts
        from foundation.http import envelope
        from foundation.operators import Pauses, WatchingCommand

        destinations.register("/account", lambda query: "your account")
        for prefix in ("/mail/v1/", "/v1/"):  # The creators' API has two URL prefixes.
            envelope.register(prefix, envelope.Envelope())
        WatchingCommand.pauses = Pauses(maintenance.round_of_work, maintenance.last_known)
        erased_texts.register(Act, "told", "reason", redacted=True)
        erased_texts.register(BuyerDetails, "name", "address", "country", "vat_number")
        # No migration adds the default plans: after a test flushes the database, no migration runs again, but
        # Django sends post_migrate again.
        post_migrate.connect(make_default_plans, sender=self)
