"""A creator's tips: the list with totals, its CSV file, and the page of one tip."""

from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.db.models import F, TextField
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actors import actor_of
from accounts.decorators import page_of_the_user
from foundation import money
from foundation.mailboxes import mailbox_of
from monetization import tips as verbs
from monetization.dashboard.filters import FilterForm
from monetization.dashboard.paging import RecordList, user_of
from monetization.dashboard.tips.forms import MessageForm, RefundForm, TipFilterForm
from monetization.dashboard.tips.thanks import thanks_url
from monetization.errors import ChangedMeanwhile, RefundTooLarge
from monetization.models import Refund, Subscription, Tip
from monetization.privacy.placeholders import is_erased

SUBSCRIPTIONS_MAX = 10
# Says where a hidden message is no longer shown, and where it is still returned.
HIDDEN_FROM = "hidden from these pages and files, and from mail not yet sent; the API still returns it"


class TipList(RecordList):
    """The list of tips, with the totals of all that match the filters."""

    tab = "tips"
    filter_form = TipFilterForm
    columns = {
        "tip_id": "pk",
        "created_at": "created_at",
        "name": "name",
        "email": "email",
        "currency": "currency",
        "gross_cents": "gross_cents",
        "fee_bps": "fee_bps",
        "fee_cents": "fee_cents",
        "net_cents": "net_cents",
        "refunded_cents": "refunded_cents",
        "fee_returned_cents": "fee_returned_cents",
        "message": "shown_message",
        "stripe_payment_id": "stripe_payment_id",
    }

    def more_context(self, form: FilterForm, records: list[Any]) -> dict[str, Any]:
        """Return the totals of all tips that match the filters."""
        assert isinstance(form, TipFilterForm)
        totals = form.totals()
        return {"totals": totals, "found": sum(row["count"] for row in totals)}


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def tip(request: HttpRequest, pk: str) -> HttpResponse:
    """Show one tip. A POST previews a refund: who gets how much. A POST with `confirmed` records the refund.

    The idempotency key of a refund contains how much of the tip had been refunded before. So if a creator
    sends a form twice, from two windows or with the back button, only one refund is recorded. If the tip has
    changed since the page was made, the preview is shown again.
    """
    tip = _own(request, pk)
    if request.method != "POST":
        return _page(request, tip)
    form = RefundForm(request.POST, tip=tip)
    if not form.is_valid():
        return _page(request, tip, form, status=400)
    amount_cents, is_confirmed = form.cleaned_data["amount"], form.cleaned_data["confirmed"]
    key = refund_key(form.cleaned_data["seen"])
    first = tip.refunds.filter(key=key).first() if is_confirmed else None
    if first and first.amount_cents == amount_cents:
        messages.info(request, "This refund was recorded already; nothing more was given back.")
        return redirect("dashboard:tip", pk=pk)
    try:
        made = first or (_refund(request, tip, form, key) if is_confirmed else None)
        if made is None:
            tip.refresh_from_db()
            preview = verbs.preview_refund(tip, amount_cents)
            return _preview_page(request, tip, preview, is_stale=is_confirmed)
    except RefundTooLarge:
        tip.refresh_from_db()
        left = money.amount(tip.refundable_cents, tip.currency)
        form.add_error("amount", f"Only {left} of this tip are left.")
        return _page(request, tip, form, status=400)
    except verbs.NotAMultiple as error:
        form.add_error("amount", f"{error}.")
        return _page(request, tip, form, status=error.status)
    recorded, requested = (money.amount(each, tip.currency) for each in (made.amount_cents, amount_cents))
    if recorded == requested:
        messages.success(
            request, f"Recorded a refund of {recorded}. Give the money back at your payment processor."
        )
    else:
        messages.warning(
            request,
            f"A refund of {recorded} was recorded from this page, and stands; one of {requested} was not.",
        )
    return redirect("dashboard:tip", pk=pk)


def refund_key(seen_cents: int) -> str:
    """Return the idempotency key of the next refund, when `seen_cents` have been refunded already."""
    return f"dashboard:{seen_cents}"


def _refund(request: HttpRequest, tip: Tip, form: RefundForm, key: str) -> Refund | None:
    """Record the refund with this key, and return it; None if the tip has changed since the page was made."""
    data = form.cleaned_data
    with suppress(ChangedMeanwhile):
        return verbs.refund(
            tip_id=tip.pk,
            amount_cents=data["amount"],
            key=key,
            actor=actor_of(user_of(request)),
            creator=tip.creator,
            seen_refunded_cents=data["seen"],
            seen_fee_cents=data["fee"],
        )
    return None


@page_of_the_user
@require_POST
def hide_message(request: HttpRequest, pk: str) -> HttpResponse:
    """Hide a tip's message, or show it again."""
    tip = _own(request, pk)
    form = MessageForm(request.POST)
    if form.is_valid():
        hidden = form.cleaned_data["hidden"] == "yes"
        verbs.hide_message(creator=user_of(request), tip_id=tip.pk, hidden=hidden)
        messages.success(
            request, f"The message is {HIDDEN_FROM}." if hidden else "The message is shown again."
        )
    return redirect("dashboard:tip", pk=pk)


def _own(request: HttpRequest, pk: str) -> Tip:
    return get_object_or_404(Tip.objects.visible_to(user_of(request)).select_related("creator"), pk=pk)


def _page(
    request: HttpRequest, tip: Tip, form: RefundForm | None = None, *, status: int = 200
) -> HttpResponse:
    initial = {
        "amount": money.decimal_text(tip.refundable_cents, tip.currency),
        "seen": tip.refunded_cents,
    }
    context = {
        "tab": "tips",
        "tip": tip,
        "form": form or RefundForm(initial=initial, tip=tip),
        "hidden_from": HIDDEN_FROM,
        "refunds": tip.refunds.annotate(given_cents=F("amount_cents") - F("fee_returned_cents")).order_by(
            "created_at", "pk"
        ),
        "thanks_url": thanks_url(tip),
        "subscriptions": _subscriptions_of_reader(tip),
    }
    return render(request, "monetization/tip.html", context, status=status)


def _subscriptions_of_reader(tip: Tip) -> list[Subscription]:
    """Return up to SUBSCRIPTIONS_MAX of the reader's subscriptions to this creator, the newest first.

    There are none for a tip without an address, and none for an erased reader.
    """
    if not tip.email or is_erased(tip.email):
        return []
    Subscription.fill_mailboxes()
    # The index of a creator's readers has this expression.
    payer = Coalesce("mailbox", "reader", output_field=TextField())
    theirs = (
        Subscription.objects.visible_to(tip.creator).alias(payer=payer).filter(payer=mailbox_of(tip.email))
    )
    return list(theirs.order_by("-created_at", "-pk")[:SUBSCRIPTIONS_MAX])


def _preview_page(
    request: HttpRequest, tip: Tip, preview: verbs.RefundPreview, *, is_stale: bool
) -> HttpResponse:
    context = {
        "tab": "tips",
        "tip": tip,
        "preview": preview,
        "amount": money.decimal_text(preview.reader_gets_cents, tip.currency),
        "is_stale": is_stale,
    }
    return render(request, "monetization/tip_refund.html", context, status=409 if is_stale else 200)
