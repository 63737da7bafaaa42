"""The URLs of the service, and of the views that it is compared with."""

from django.urls import path

from bench import plan
from bench.noop_view import LeanNoopView, NoopView
from bench.select_for_update_wallet.views import SelectForUpdateCharge
from misar_billing import urls as service

handler400 = service.handler400
handler403 = service.handler403
handler404 = service.handler404
handler500 = service.handler500

# They come first, so that Django need not try the service's URLs before it finds them.
urlpatterns = [
    path(plan.SELECT_FOR_UPDATE.path.lstrip("/"), SelectForUpdateCharge.as_view()),
    path(plan.NOOP.path.lstrip("/"), NoopView.as_view()),
    path(plan.NOOP_LEAN.path.lstrip("/"), LeanNoopView.as_view({"post": "create"})),
    path(plan.NOOP_UNDER_ALL.path.lstrip("/"), NoopView.as_view()),
    *service.urlpatterns,
]
