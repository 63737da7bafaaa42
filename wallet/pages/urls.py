"""The wallet's pages, at the root of the site."""

from django.urls import path

from wallet.pages import views

app_name = "wallet"
urlpatterns = [
    path("wallet", views.wallet, name="wallet"),
    path("wallet/top-up", views.top_up, name="top-up"),
    path("wallet/top-up/state", views.top_up_state, name="top-up-state"),
    path("wallet/history.csv", views.history_csv, name="history-csv"),
    path("wallet/statements", views.statement_list, name="statements"),
    path("wallet/statements/<str:month>", views.statement, name="statement"),
    # Where Misar's own pages have always pointed.
    path("dashboard/wallet", views.old_address, name="old-address"),
]
