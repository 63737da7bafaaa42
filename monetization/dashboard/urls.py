"""The creator's dashboard, without trailing slashes; the overview answers with one too."""

from django.urls import path

from monetization.dashboard.keys.views import keys, revoke_key
from monetization.dashboard.overview.views import overview
from monetization.dashboard.sponsors.views import (
    add_sponsor,
    cancel_sponsor,
    edit_sponsor,
    sponsors,
    sponsors_csv,
)
from monetization.dashboard.subscriptions.views import change_subscription, subscriptions, subscriptions_csv
from monetization.dashboard.tips.views import hide_message, tip, tips, tips_csv

app_name = "dashboard"
urlpatterns = [
    path("dashboard", overview, name="overview"),
    path("dashboard/", overview, name="overview-with-slash"),
    path("dashboard/sponsors", sponsors, name="sponsors"),
    path("dashboard/sponsors.csv", sponsors_csv, name="sponsors-csv"),
    path("dashboard/sponsors/add", add_sponsor, name="add-sponsor"),
    path("dashboard/sponsors/<slug:pk>/edit", edit_sponsor, name="edit-sponsor"),
    path("dashboard/sponsors/<slug:pk>/cancel", cancel_sponsor, name="cancel-sponsor"),
    path("dashboard/subscriptions", subscriptions, name="subscriptions"),
    path("dashboard/subscriptions.csv", subscriptions_csv, name="subscriptions-csv"),
    path("dashboard/subscriptions/<slug:pk>", change_subscription, name="subscription"),
    path("dashboard/tips", tips, name="tips"),
    path("dashboard/tips.csv", tips_csv, name="tips-csv"),
    path("dashboard/tips/<slug:pk>", tip, name="tip"),
    path("dashboard/tips/<slug:pk>/refund", tip, name="refund-tip"),
    path("dashboard/tips/<slug:pk>/message", hide_message, name="tip-message"),
    path("dashboard/keys", keys, name="keys"),
    path("dashboard/keys/<uuid:pk>/revoke", revoke_key, name="revoke-key"),
]
