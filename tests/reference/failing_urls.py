"""The service's URLs, with a bug in the view of quotes."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from misar_billing import urls


def crash(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a bug")


handler400, handler403, handler404 = urls.handler400, urls.handler403, urls.handler404
handler429, handler500 = urls.handler429, urls.handler500
urlpatterns = [path("io/wallet/quote", crash), *urls.urlpatterns]
