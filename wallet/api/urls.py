"""/io/wallet/*: without a trailing slash."""

from rest_framework.routers import SimpleRouter

from wallet.api.views import WalletViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("", WalletViewSet, basename="wallet")

urlpatterns = router.urls
