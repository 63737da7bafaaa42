"""The wallet's limits (contract 15)."""

from rest_framework.request import Request

from accounts.authentication import Bearer
from accounts.misar_ids import is_misar_id
from accounts.models import ServiceKey
from accounts.throttling import WindowThrottle


class PerCredentialAndUser(WindowThrottle):
    """Counted per credential (a product, or the bearer) and user."""

    limit_setting = "WALLET_READS_PER_MINUTE"

    def facts(self, request: Request) -> tuple[str, ...] | None:
        match request.auth:
            case ServiceKey(product=product):
                named = request.query_params.get("user_id", "")
                # Everything that is no id shares one bucket.
                return "product", product, named if is_misar_id(named) else ""
            case Bearer(misar_id=misar_id):
                return "bearer", misar_id
        return None


class BalanceReads(PerCredentialAndUser):
    scope = "wallet.balance"


class TransactionReads(PerCredentialAndUser):
    scope = "wallet.transactions"


class Charges(WindowThrottle):
    """No limit unless a setting asks for one; then per product, since a product is what runs away."""

    scope = "wallet.deduct"
    limit_setting = "WALLET_CHARGES_PER_MINUTE"

    def facts(self, request: Request) -> tuple[str, ...] | None:
        return ("product", request.auth.product) if isinstance(request.auth, ServiceKey) else None
