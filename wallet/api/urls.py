"""The URLs of the wallet's API: /io/wallet/*, without a slash at the end."""

from rest_framework.routers import SimpleRouter

from wallet.api.views import WalletViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("", WalletViewSet, basename="wallet")

urlpatterns = router.urls
