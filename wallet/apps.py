"""The Django app for users' credits."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class WalletConfig(AppConfig):
    name = "wallet"
    verbose_name = "Universal Wallet"

    def ready(self) -> None:
        from accounts import destinations
        from foundation import erased_texts
        from foundation.http import envelope
        from wallet.api.envelope import WalletEnvelope
        from wallet.payments import notices, receipts, return_urls
        from wallet.payments.models import RefundRequest, StripeEvent
        from wallet.prices.rates import make_default_rates

        envelope.register("/io/wallet/", WalletEnvelope())
        destinations.register("/wallet", return_urls.name_of_wallet)
        destinations.register("/wallet/statements", lambda query: "your statements")
        receipts.register()
        notices.register()
        erased_texts.register(StripeEvent, "payload", "remark", "traceback")
        erased_texts.register(RefundRequest, "reason")
        # The default rates are made after the migrations, not in a migration. Some tests empty the tables,
        # and the rates of a migration would then be missing in all later tests.
        post_migrate.connect(make_default_rates, sender=self)
