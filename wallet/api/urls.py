"""The URLs of the wallet's API: /io/wallet/*, without a slash at the end."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from wallet.api.batches import BatchViewSet
from wallet.api.budgets import BudgetViewSet
from wallet.api.grants import GrantViewSet
from wallet.api.holds import HoldViewSet
from wallet.api.views import WalletViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("", WalletViewSet, basename="wallet")
router.register("holds", HoldViewSet, basename="hold")
router.register("grants", GrantViewSet, basename="grant")

# A budget is found by its user and period, so it has no path of its own.
budgets = BudgetViewSet.as_view({"get": "list", "put": "update", "delete": "destroy"})

batch = BatchViewSet.as_view({"post": "create"})

urlpatterns = [
    *router.urls,
    path("deduct/batch", batch, name="batch"),
    path("budgets", budgets, name="budgets"),
]
