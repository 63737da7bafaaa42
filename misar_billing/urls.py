"""Every URL of the service."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

from misar_billing.reference.views import OpenApiDocument, reference

handler400 = "foundation.http.last_resort.bad_request"
handler403 = "foundation.http.last_resort.permission_denied"
handler404 = "foundation.http.last_resort.page_not_found"
handler429 = "foundation.http.last_resort.too_many_requests"  # allauth uses this name.
handler500 = "foundation.http.last_resort.server_error"

# The creators' API. The same views are under mail/v1/ and v1/.
creators = [path("", include("monetization.api.urls")), path("", include("accounts.api.urls"))]

# Django tries them in this order. The API comes first, because charges must not wait for pages.
urlpatterns = [
    path("io/wallet/", include("wallet.api.urls")),
    path("", RedirectView.as_view(url="/wallet"), name="home"),
    path("", include("accounts.signing_in.urls")),
    path("", include("wallet.pages.urls")),
    path("", include("monetization.dashboard.urls")),
    path("mail/v1/", include(creators)),
    path("v1/", include(creators)),
    path("schema", OpenApiDocument.as_view(), name="schema"),
    path("docs", reference, name="docs"),
    path("docs/try", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs-try"),
    path("admin/", admin.site.urls),
]
