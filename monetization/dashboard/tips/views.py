"""A creator's tips: the list with its totals, its file, and one tip with its refunds and its message."""

from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.decorators import page_of_the_user
from foundation import money, words
from monetization import keyset
from monetization import tips as verbs
from monetization.dashboard import csv_files, curl, paging
from monetization.dashboard.paging import user_of
from monetization.dashboard.tips import csv_rows, facts, filters
from monetization.dashboard.tips.filters import TipFilterForm
from monetization.dashboard.tips.forms import MessageForm, RefundForm
from monetization.dashboard.tips.rows import tip_rows, total_rows, who_gave
from monetization.errors import ChangedMeanwhile, RefundTooLarge
from monetization.figures import stats
from monetization.models import Refund, Tip
from monetization.privacy.placeholders import is_erased

FILTERS = ("from", "to", "least", "currency", "message", "refunded", "stripe", "search")

# What hiding a message does, and what it does not.
HIDDEN_FROM = "hidden from these pages and files, and from mail not yet sent; the API still returns it"


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def tips(request: HttpRequest) -> HttpResponse:
    """Every tip under the filters, newest first, and what all of them add up to; a search comes by POST."""
    creator = user_of(request)
    asked = paging.asked_of(request, FILTERS)
    if request.method == "POST" and not asked.is_search:
        return paging.without_search("tips", asked)
    form = TipFilterForm(asked.filters, currencies=stats.currencies_of(creator))
    chosen = form.chosen()
    page = paging.context_of("tips", asked, chosen.apply(creator))
    context = {
        **page,
        "tab": "tips",
        "filters": form,
        "tips": tip_rows(page["records"]),
        "totals": total_rows(filters.tip_totals(creator, chosen)),
        "curl": curl.line_for(request, "tips"),
    }
    return render(request, "monetization/tips.html", context)


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def tips_csv(request: HttpRequest) -> HttpResponseBase:
    """The same tips as a file; a wrong filter is told on the page."""
    creator = user_of(request)
    asked = paging.asked_of(request, FILTERS)
    form = TipFilterForm(asked.filters, currencies=stats.currencies_of(creator))
    if not form.is_valid():
        return paging.without_search("tips", asked)
    rows = (csv_rows.tip_csv_row(each) for each in keyset.every_row(form.chosen().apply(creator)))
    return csv_files.csv_answer(request, "tips", csv_rows.TIP_CSV_HEADER, rows)


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def tip(request: HttpRequest, pk: str) -> HttpResponse:
    """One tip. A refund is shown with what everybody gets, and recorded once it is confirmed.

    The key of a refund is what had been refunded before it. So a form sent twice, from two windows or by the
    back button, comes to one refund; and a page that is out of date is shown anew.
    """
    found = _own(request, pk)
    if request.method != "POST":
        return _page(request, found)
    form = RefundForm(request.POST, tip=found)
    if not form.is_valid():
        return _page(request, found, form, status=400)
    amount_cents, is_confirmed = form.cleaned_data["amount"], form.cleaned_data["confirmed"]
    key = facts.refund_key(form.cleaned_data["seen"])
    first = found.refunds.filter(key=key).first() if is_confirmed else None
    if first and first.amount_cents == amount_cents:
        messages.info(request, "This refund was recorded already; nothing more was given back.")
        return redirect("dashboard:tip", pk=pk)
    try:
        made = first or (_refund(request, found, form, key) if is_confirmed else None)
        if made is None:
            found.refresh_from_db()
            preview = verbs.preview_refund(found, amount_cents)
            return _preview_page(request, found, preview, is_stale=is_confirmed)
    except RefundTooLarge:
        found.refresh_from_db()
        left = money.amount(found.refundable_cents, found.currency)
        form.add_error("amount", f"Only {left} of this tip are left.")
        return _page(request, found, form, status=400)
    except verbs.NotAMultiple as error:
        form.add_error("amount", f"{error}.")
        return _page(request, found, form, status=error.status)
    given, wanted = (money.amount(each, found.currency) for each in (made.amount_cents, amount_cents))
    if given == wanted:
        said = f"Recorded a refund of {given}. Give the money back at your payment processor."
        messages.success(request, said)
    else:
        said = f"A refund of {given} was recorded from this page, and stands; one of {wanted} was not."
        messages.warning(request, said)
    return redirect("dashboard:tip", pk=pk)


def _refund(request: HttpRequest, tip: Tip, form: RefundForm, key: str) -> Refund | None:
    """The refund with this key; None where the tip is no longer as the form has seen it."""
    data = form.cleaned_data
    with suppress(ChangedMeanwhile):
        return verbs.refund(
            tip_id=tip.pk,
            amount_cents=data["amount"],
            key=key,
            actor=f"user:{user_of(request).pk}",
            creator=tip.creator,
            seen_refunded_cents=data["seen"],
            seen_fee_cents=data["fee"],
        )
    return None


@page_of_the_user
@require_POST
def hide_message(request: HttpRequest, pk: str) -> HttpResponse:
    """Hide a tip's message, or show it again."""
    found = _own(request, pk)
    form = MessageForm(request.POST)
    if form.is_valid():
        hidden = form.cleaned_data["hidden"] == "yes"
        verbs.hide_message(creator=user_of(request), tip_id=found.pk, hidden=hidden)
        messages.success(
            request, f"The message is {HIDDEN_FROM}." if hidden else "The message is shown again."
        )
    return redirect("dashboard:tip", pk=pk)


def _own(request: HttpRequest, pk: str) -> Tip:
    mine = Tip.objects.visible_to(user_of(request)).select_related("creator")
    found = mine.filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _page(
    request: HttpRequest, tip: Tip, form: RefundForm | None = None, *, status: int = 200
) -> HttpResponse:
    initial = {
        "amount": money.decimal_text(tip.refundable_cents, tip.currency),
        "seen": tip.refunded_cents,
    }
    refunds = tip.refunds.order_by("created_at", "pk")
    context = _about(tip) | {
        "form": form or RefundForm(initial=initial, tip=tip),
        "can_refund": tip.refundable_cents > 0,
        "hidden_from": HIDDEN_FROM,
        "is_hidden": tip.message_hidden_at is not None,
        "facts": facts.tip_facts(tip),
        "refunds": facts.refund_rows(list(refunds)),
        "thanks_url": facts.thanks_url(tip, tip.creator),
    }
    return render(request, "monetization/tip.html", context, status=status)


def _preview_page(
    request: HttpRequest, tip: Tip, preview: verbs.RefundPreview, *, is_stale: bool
) -> HttpResponse:
    context = _about(tip) | {
        "preview": facts.refund_sentences(preview),
        "amount": money.decimal_text(preview.reader_gets_cents, tip.currency),
        "seen": tip.refunded_cents,
        "fee": preview.fee_returned_cents,
        "is_stale": is_stale,
    }
    return render(request, "monetization/tip_refund.html", context, status=409 if is_stale else 200)


def _about(tip: Tip) -> dict[str, Any]:
    return {
        "tab": "tips",
        "tip": tip,
        "who": who_gave(tip),
        "short_who": words.shortened(who_gave(tip), words.NAME_SHOWN),
        "email": "" if is_erased(tip.email) else tip.email,
    }
