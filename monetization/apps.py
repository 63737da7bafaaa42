"""The Django app for what creators earn: sponsor slots, paid subscriptions and tips."""

from django.apps import AppConfig


class MonetizationConfig(AppConfig):
    name = "monetization"
    verbose_name = "Monetization"

    def ready(self) -> None:
        from accounts import destinations
        from foundation import erased_texts
        from monetization import mails
        from monetization.digests import writing as digests
        from monetization.models import Refund, Tip
        from monetization.sealed import ERASURES, REFUNDS, SUBSCRIPTION_EVENTS
        from wallet.seals import tables

        mails.register()
        digests.register()
        destinations.register("/dashboard", lambda query: "your dashboard")
        destinations.register("/dashboard/keys", lambda query: "your API keys")
        erased_texts.register(Tip, "name", "message")  # A reader may write an e-mail address there.
        erased_texts.register(Refund, "reason", redacted=True)
        tables.register(SUBSCRIPTION_EVENTS, ERASURES, REFUNDS)
