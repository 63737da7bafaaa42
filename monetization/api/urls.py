"""The URLs under /mail/v1/monetization/ and /v1/monetization/. They have no trailing slash."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from monetization.api.views import SponsorViewSet, StatsViewSet, SubscriptionViewSet, TipViewSet


class Identifier(StringConverter):
    """Matches text that has the form of our ids. A URL with other text gets a 404."""

    regex = "[a-z]+_[0-9a-z]{1,36}"


register_converter(Identifier, "identifier")

urlpatterns = [
    path("monetization/sponsors", SponsorViewSet.as_view({"get": "list", "post": "create"})),
    path("monetization/sponsors/<identifier:pk>", SponsorViewSet.as_view({"delete": "destroy"})),
    path("monetization/subscriptions", SubscriptionViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "monetization/subscriptions/<identifier:pk>", SubscriptionViewSet.as_view({"patch": "partial_update"})
    ),
    path("monetization/tips", TipViewSet.as_view({"get": "list"})),
    path("monetization/tip", TipViewSet.as_view({"post": "create"})),
    path("monetization/stats", StatsViewSet.as_view({"get": "retrieve"})),
]
