"""The URLs of the wallet's API: /io/wallet/*, without a slash at the end."""

from rest_framework.routers import SimpleRouter

from wallet.api.holds import HoldViewSet
from wallet.api.views import WalletViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("holds", HoldViewSet, basename="hold")
router.register("", WalletViewSet, basename="wallet")

urlpatterns = router.urls
