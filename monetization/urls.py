"""The creator's dashboard, without trailing slashes; the overview answers with one too."""

from django.urls import path

from monetization.views import keys, overview, sponsors, subscriptions, tips

app_name = "dashboard"
urlpatterns = [
    path("dashboard", overview.overview, name="overview"),
    path("dashboard/", overview.overview, name="overview-with-slash"),
    path("dashboard/sponsors", sponsors.sponsors, name="sponsors"),
    path("dashboard/sponsors.csv", sponsors.sponsors_csv, name="sponsors-csv"),
    path("dashboard/sponsors/add", sponsors.add_sponsor, name="add-sponsor"),
    path("dashboard/sponsors/<slug:pk>/edit", sponsors.edit_sponsor, name="edit-sponsor"),
    path("dashboard/sponsors/<slug:pk>/cancel", sponsors.cancel_sponsor, name="cancel-sponsor"),
    path("dashboard/subscriptions", subscriptions.subscriptions, name="subscriptions"),
    path("dashboard/subscriptions.csv", subscriptions.subscriptions_csv, name="subscriptions-csv"),
    path(
        "dashboard/subscriptions/<slug:pk>",
        subscriptions.change_subscription,
        name="subscription",
    ),
    path("dashboard/tips", tips.tips, name="tips"),
    path("dashboard/tips.csv", tips.tips_csv, name="tips-csv"),
    path("dashboard/tips/<slug:pk>", tips.tip, name="tip"),
    path("dashboard/tips/<slug:pk>/refund", tips.tip, name="refund-tip"),
    path("dashboard/tips/<slug:pk>/message", tips.hide_message, name="tip-message"),
    path("dashboard/keys", keys.keys, name="keys"),
    path("dashboard/keys/<uuid:pk>/revoke", keys.revoke_key, name="revoke-key"),
]
