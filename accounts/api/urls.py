"""The URLs of the key endpoints, under /mail/v1 and /v1. They have no trailing slash."""

from django.urls import path

from accounts.api.views import KeyViewSet

urlpatterns = [
    path("keys", KeyViewSet.as_view({"get": "list", "post": "create", "delete": "destroy_named"})),
    path("keys/<uuid:pk>", KeyViewSet.as_view({"delete": "destroy"})),
]
