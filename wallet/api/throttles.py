"""The rate limits of the wallet's endpoints (contract 15)."""

from rest_framework.request import Request

from accounts.authentication import Bearer
from accounts.misar_ids import is_misar_id
from accounts.models import ServiceKey
from accounts.throttling import WindowThrottle


class PerCredentialAndUser(WindowThrottle):
    """Limits reads. Each pair of a caller (a product or a signed-in user) and a wallet has its own count."""

    limit_setting = "WALLET_READS_PER_MINUTE"

    def facts(self, request: Request) -> tuple[str, ...] | None:
        match request.auth:
            case ServiceKey(product=product):
                named = request.query_params.get("user_id", "")
                # All texts that are not a Misar ID share one count.
                return "product", product, named if is_misar_id(named) else ""
            case Bearer(misar_id=misar_id):
                return "bearer", misar_id
        return None


class BalanceReads(PerCredentialAndUser):
    scope = "wallet.balance"


class TransactionReads(PerCredentialAndUser):
    scope = "wallet.transactions"


class FundsReads(PerCredentialAndUser):
    scope = "wallet.funds"


class HoldReads(PerCredentialAndUser):
    scope = "wallet.holds"


class GrantReads(PerCredentialAndUser):
    scope = "wallet.grants"


class BudgetReads(PerCredentialAndUser):
    scope = "wallet.budgets"


class PerProduct(WindowThrottle):
    """Limits the requests of each product, for all users together."""

    def facts(self, request: Request) -> tuple[str, ...] | None:
        return ("product", request.auth.product) if isinstance(request.auth, ServiceKey) else None


class Writes(PerProduct):
    """Limits the writes that decide no charge."""

    scope = "wallet.writes"
    limit_setting = "WALLET_WRITES_PER_MINUTE"


class Charges(PerProduct):
    """Limits charges, holds and quotes, if the setting is not 0.

    The count is per product, not per user, because a product with a bug may charge many users in a loop.
    """

    scope = "wallet.deduct"
    limit_setting = "WALLET_CHARGES_PER_MINUTE"
