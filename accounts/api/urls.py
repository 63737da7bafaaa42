"""/mail/v1/keys, and the same under /v1: without a trailing slash."""

from django.urls import path

from accounts.api.views import KeyViewSet

urlpatterns = [
    path("keys", KeyViewSet.as_view({"get": "list", "post": "create", "delete": "destroy_named"})),
    path("keys/<uuid:pk>", KeyViewSet.as_view({"delete": "destroy"})),
]
