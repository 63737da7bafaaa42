"""The URLs of the creator's dashboard. They have no trailing slash, but the overview also accepts one."""

from django.urls import path

from monetization.dashboard.keys.views import key, keys, revoke_key
from monetization.dashboard.overview.views import dismiss, overview
from monetization.dashboard.sponsors.free_slots import free_slots, revoke_link, share
from monetization.dashboard.sponsors.views import (
    SponsorList,
    add_sponsor,
    cancel_sponsor,
    edit_sponsor,
    restore_sponsor,
)
from monetization.dashboard.subscriptions.views import SubscriptionList, change_subscription
from monetization.dashboard.tips.views import TipList, hide_message, tip

app_name = "dashboard"
urlpatterns = [
    path("dashboard", overview, name="overview"),
    path("dashboard/", overview, name="overview-with-slash"),
    path("dashboard/dismiss", dismiss, name="dismiss"),
    path("dashboard/sponsors", SponsorList.as_view(), name="sponsors"),
    path("dashboard/sponsors.csv", SponsorList.as_view(is_file=True), name="sponsors-csv"),
    path("dashboard/sponsors/add", add_sponsor, name="add-sponsor"),
    path("dashboard/sponsors/<slug:pk>/edit", edit_sponsor, name="edit-sponsor"),
    path("dashboard/sponsors/<slug:pk>/cancel", cancel_sponsor, name="cancel-sponsor"),
    path("dashboard/sponsors/restore/<str:token>", restore_sponsor, name="restore-sponsor"),
    path("dashboard/sponsors/free-slots", share, name="share-free-slots"),
    path("dashboard/sponsors/free-slots/revoke", revoke_link, name="revoke-free-slots"),
    path("free-slots/<str:token>", free_slots, name="free-slots"),
    path("dashboard/subscriptions", SubscriptionList.as_view(), name="subscriptions"),
    path("dashboard/subscriptions.csv", SubscriptionList.as_view(is_file=True), name="subscriptions-csv"),
    path("dashboard/subscriptions/<slug:pk>", change_subscription, name="subscription"),
    path("dashboard/tips", TipList.as_view(), name="tips"),
    path("dashboard/tips.csv", TipList.as_view(is_file=True), name="tips-csv"),
    path("dashboard/tips/<slug:pk>", tip, name="tip"),
    path("dashboard/tips/<slug:pk>/refund", tip, name="refund-tip"),
    path("dashboard/tips/<slug:pk>/message", hide_message, name="tip-message"),
    path("dashboard/keys", keys, name="keys"),
    path("dashboard/keys/<uuid:pk>", key, name="key"),
    path("dashboard/keys/<uuid:pk>/revoke", revoke_key, name="revoke-key"),
]
