"""The wallet's limits (contract 15)."""

from django.conf import settings
from rest_framework.request import Request

from accounts.authentication import Bearer
from accounts.misar_ids import is_misar_id
from accounts.models import ServiceKey
from accounts.throttling import WindowThrottle


class PerCredentialAndUser(WindowThrottle):
    """Counted per credential (a product, or the bearer) and user."""

    def facts(self, request: Request) -> tuple[str, ...] | None:
        match request.auth:
            case ServiceKey(product=product):
                return "product", product, self.named_user(request)
            case Bearer(misar_id=misar_id):
                return "bearer", misar_id
        return None

    def named_user(self, request: Request) -> str:
        """The user a product asks about."""
        named = request.query_params.get("user_id", "")
        return named if is_misar_id(named) else ""  # One bucket for all that is no id.


class BalanceReads(PerCredentialAndUser):
    scope = "wallet.balance"

    def limit(self) -> int:
        return settings.WALLET_READS_PER_MINUTE


class TransactionReads(PerCredentialAndUser):
    scope = "wallet.transactions"

    def limit(self) -> int:
        return settings.WALLET_READS_PER_MINUTE


class Charges(WindowThrottle):
    """No limit unless a setting asks for one: then per product, which is who runs away."""

    scope = "wallet.deduct"

    def limit(self) -> int:
        return settings.WALLET_CHARGES_PER_MINUTE

    def facts(self, request: Request) -> tuple[str, ...] | None:
        return ("product", request.auth.product) if isinstance(request.auth, ServiceKey) else None
