"""The URLs of the wallet's pages. They start at the root of the site."""

from datetime import date

from django.urls import path, register_converter
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from wallet.pages import budget_views, paper_views, views
from wallet.pages.chart import today


class MonthConverter:
    """Converts a month in a URL, such as 2026-10, to the first day of the month and back.

    The month must be 2000-01 or later, and must not be in the future.
    """

    regex = "2[0-9]{3}-(?:0[1-9]|1[0-2])"

    def to_python(self, value: str) -> date:
        first_day = date.fromisoformat(f"{value}-01")
        if first_day > today():
            raise ValueError  # Django then answers with a 404.
        return first_day

    def to_url(self, value: date) -> str:
        return f"{value:%Y-%m}"


register_converter(MonthConverter, "month")

app_name = "wallet"
urlpatterns = [
    path("wallet", views.wallet, name="wallet"),
    path("wallet/top-up", views.top_up, name="top-up"),
    path("wallet/top-up/state", views.top_up_state, name="top-up-state"),
    path("wallet/budget", budget_views.budget, name="budget"),
    path("wallet/budget/remove", budget_views.remove_budget, name="remove-budget"),
    path("wallet/history.csv", views.history_csv, name="history-csv"),
    path("wallet/statements", views.statement_list, name="statements"),
    path("wallet/statements/<month:month>", views.statement, name="statement"),
    path("wallet/statements/<month:month>.pdf", paper_views.statement_pdf, name="statement-pdf"),
    path("wallet/statements/<month:month>.csv", paper_views.statement_csv, name="statement-csv"),
    path("wallet/receipts", paper_views.receipt_list, name="receipts"),
    path("wallet/receipts/entry/<str:entry_id>", paper_views.receipt_of_entry, name="receipt-of-entry"),
    path("wallet/receipts/<slug:number>", paper_views.receipt, name="receipt"),
    path("wallet/receipts/<slug:number>.pdf", paper_views.receipt_pdf, name="receipt-pdf"),
    # Misar's own pages link to this older URL.
    path(
        "dashboard/wallet",
        require_safe(RedirectView.as_view(pattern_name="wallet:wallet", query_string=True)),
    ),
]
