"""The URLs of the service, and of the views that it is compared with."""

from django.urls import path

from bench import plan
from bench.noop_view import NoopView
from bench.select_for_update_wallet.views import SelectForUpdateCharge
from misar_billing import urls as service

handler400 = service.handler400
handler403 = service.handler403
handler404 = service.handler404
handler500 = service.handler500

urlpatterns = [
    *service.urlpatterns,
    path(plan.SELECT_FOR_UPDATE.path.lstrip("/"), SelectForUpdateCharge.as_view()),
    path(plan.NOOP.path.lstrip("/"), NoopView.as_view()),
]
