"""The service's addresses, and after them those it is compared with."""

from django.urls import path

from bench import plan
from bench.nothing import Nothing
from bench.usual.views import UsualCharge
from misar_billing import urls as service

handler400 = service.handler400
handler403 = service.handler403
handler404 = service.handler404
handler500 = service.handler500

urlpatterns = [
    *service.urlpatterns,
    path(plan.USUAL.path.lstrip("/"), UsualCharge.as_view()),
    path(plan.NOTHING.path.lstrip("/"), Nothing.as_view()),
]
