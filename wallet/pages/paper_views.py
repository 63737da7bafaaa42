"""Statements as files, and receipts as pages and files."""

from datetime import date
from functools import wraps
from typing import Any

from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
)
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_safe

from accounts.decorators import View, page_of_the_user
from accounts.throttling import hit
from foundation.http.files import csv_file
from foundation.http.last_resort import answer
from foundation.typesetting.documents import CannotTypeset
from wallet.history import statements
from wallet.models import TopUp
from wallet.pages import papers, tables
from wallet.pages.addresses import user_of
from wallet.payments import receipted
from wallet.payments.receipted import Receipt

# A few files are set at the same time, so one user must not take all the turns.
FILES_PER_MINUTE = 30


def not_too_many_files(view: View) -> View:
    """Limit how many PDF files a user gets. Above FILES_PER_MINUTE, the answer is a 429."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        count = hit("wallet.papers", user_of(request).pk, limit=FILES_PER_MINUTE)
        if count.allowed:
            return view(request, *args, **kwargs)
        return answer(
            request,
            429,
            "Too many files in one minute.",
            "Please wait a minute, then try again.",
            retry_after_seconds=count.wait_seconds,
        )

    return wrapped


# --- Statements -------------------------------------------------------------------------------------


@page_of_the_user
@require_safe
@not_too_many_files
def statement_pdf(request: HttpRequest, month: date) -> HttpResponse:
    """Return the statement of one month as a PDF file.

    The standby does not answer it: a read there is one transaction, which would wait for the file.
    """
    user = user_of(request)
    statement = statements.month(user_id=user.pk, first_day=month)
    try:
        content = papers.statement_pdf(statement, user=user, made_at=timezone.now())
    except CannotTypeset as error:
        return _not_now(request, error)
    return _file(content, f"wallet-statement-{month:%Y-%m}.pdf")


@page_of_the_user
@require_GET
def statement_csv(request: HttpRequest, month: date) -> HttpResponseBase:
    """Return every entry of one month as a CSV file, newest first, like the file of the whole history."""
    user_id = user_of(request).pk
    choice = statements.Choice(first_day=month, last_day=statements.last_day_of_month(month))
    rows = (tables.csv_row(entry) for entry in statements.history(user_id=user_id, choice=choice))
    return csv_file(f"wallet-statement-{month:%Y-%m}.csv", tables.CSV_HEADER, rows)


# --- Receipts ---------------------------------------------------------------------------------------


@page_of_the_user
@require_safe
def receipt_list(request: HttpRequest) -> HttpResponse:
    """Show the user's receipts, newest first."""
    page = receipted.page_of(user_id=user_of(request).pk, after=request.GET.get("after", ""))
    return render(request, "wallet/receipts.html", {"page": page, "is_first": "after" not in request.GET})


@page_of_the_user
@require_safe
def receipt(request: HttpRequest, number: str) -> HttpResponse:
    """Show one receipt of the user."""
    found, user = _receipt_or_404(request, number), user_of(request)
    buyer = papers.buyer_of(user)
    context = {
        "receipt": found,
        "issuer": papers.issuer_lines(),
        "buyer": papers.buyer_lines(buyer),
        "has_address": bool(buyer.address),
        "facts": papers.facts_of(found),
        "items": papers.items_of(found),
        "totals": papers.totals_of(found),
        "reversals": papers.reversals_of(found),
        "no_tax": papers.NO_TAX,
    }
    return render(request, "wallet/receipt.html", context)


@page_of_the_user
@require_safe
@not_too_many_files
def receipt_pdf(request: HttpRequest, number: str) -> HttpResponse:
    """Return one receipt of the user as a PDF file."""
    found = _receipt_or_404(request, number)
    try:
        content = papers.receipt_pdf(found, user=user_of(request))
    except CannotTypeset as error:
        return _not_now(request, error)
    return _file(content, f"receipt-{found.topup.pk}.pdf")


@page_of_the_user
@require_safe
def receipt_of_entry(request: HttpRequest, entry_id: str) -> HttpResponse:
    """Redirect to the receipt of a top-up's entry, or to the list of receipts if the entry has none."""
    paid = TopUp.objects.of_user(user_of(request).pk).filter(entry_id=entry_id, state=TopUp.State.PAID)
    number = paid.values_list("pk", flat=True).first()
    return redirect("wallet:receipt", number) if number else redirect("wallet:receipts")


def _receipt_or_404(request: HttpRequest, number: str) -> Receipt:
    found = receipted.receipt_of(user_id=user_of(request).pk, number=number)
    if found is None:
        raise Http404
    return found


def _file(content: bytes, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _not_now(request: HttpRequest, error: CannotTypeset) -> HttpResponse:
    sentence, _, next_step = str(error).partition(". ")
    wait_seconds = int(error.headers["Retry-After"])
    return answer(request, error.status, f"{sentence}.", next_step, retry_after_seconds=wait_seconds)
