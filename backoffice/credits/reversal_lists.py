"""The lists of Stripe's refunds and disputes, and of the refunds that staff asked for.

A refund and a dispute name the payment, not the user. So each query also reads the user and the top-up of the
payment. What staff may do is in refunds.py.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest

from accounts.addresses import ids_with_address
from backoffice.credits import refunds, reversals
from backoffice.credits.lists import AddressedAdmin
from backoffice.lists.change_list import is_private
from backoffice.lists.columns import actor_column, column, state_column
from backoffice.lists.filters import ListedFilter
from backoffice.lists.links import row_link
from backoffice.lists.totals import Amounts
from foundation import money
from wallet.models import Payment, RefundRequest, StripeDispute, StripeRefund, TopUp

OF_NO_TOPUP = "No top-up that was credited automatically has this payment, so no credits have moved."


class StatusFilter(ListedFilter):
    """Rows of one status of Stripe, in words."""

    title = "status"
    parameter_name = "status__exact"
    words = reversals.REFUND_STATUSES

    def offered(self) -> Iterable[str]:
        return self.words

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, self.words.get(value, value)) for value, _ in super().lookups(request, model_admin)]


class DisputeFilter(StatusFilter):
    """Disputes of one status, or all that need an answer."""

    words = {reversals.UNANSWERED: "All that need an answer", **reversals.DISPUTE_STATUSES}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == reversals.UNANSWERED:
            return queryset.filter(status__in=StripeDispute.UNANSWERED)
        return super().queryset(request, queryset)


class ReversalAdmin(AddressedAdmin):
    """A list of what Stripe reported about payments."""

    instant = "created_at"
    sortable_by = ("created_at",)
    ordering = ("-created_at",)
    figures: ClassVar[Sequence[str]] = ("amount",)
    two_lines = ("user", "amount", "created_at", "state")
    also_sortable_by = {"amount": ("amount_cents",), "state": ("status",)}
    sums = Amounts({"in total": "amount_cents"}, in_dollars=True)
    lookups = ("payment_intent_id__exact",)
    search_fields = ("id", "payment_intent_id", "charge_id")
    amount = column("amount", lambda row: money.dollars(row.amount_cents))
    its_topup = column("top-up", lambda row: row_link(TopUp, row.topup_pk))
    payment = column("payment at Stripe", lambda row: reversals.payment_link(row.payment_intent_id))

    def about(self, row: Any) -> str:
        """The Misar ID of the user of the payment. Rows of the list have it; another row reads it here."""
        return (row.its_user if hasattr(row, "its_user") else reversals.owner_of(row)) or ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        of_payment = Payment.objects.filter(pk=OuterRef("payment_intent_id"))
        topup = TopUp.objects.filter(stripe_session_id=OuterRef("its_session"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                its_user=Subquery(of_payment.values("user_id")[:1]),
                its_session=Subquery(of_payment.values("session_id")[:1]),
                topup_pk=Subquery(topup.values("pk")[:1]),
            )
        )

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """The rows with this id, or of the payments of this user or top-up."""
        users = [*ids_with_address(term), term] if is_private(term) else [term]
        topups = TopUp.objects.filter(Q(user_id__in=users) | Q(pk=term)).exclude(payment_intent_id="")
        # With the ids as a list, PostgreSQL uses the indexes of all columns. With a subquery, it uses none.
        intents = list(topups.values_list("payment_intent_id", flat=True))
        by_id = Q.create([(name, term) for name in self.search_fields], connector=Q.OR)
        return queryset.filter(by_id | Q(payment_intent_id__in=intents))


@admin.register(StripeRefund)
class StripeRefundAdmin(ReversalAdmin):
    """Refunds as Stripe last reported them."""

    list_display = ("created_at", "user", "state", "amount", "its_topup", "reason")
    list_filter = (StatusFilter,)
    search_help_text = "A whole Misar ID or email address, or the whole ID of a refund, payment or charge."
    nothing_yet = "A refund appears here when Stripe reports it."
    fields = (
        *("user", "its_topup", "amount", "state", "what_follows", "reason", "its_request", "payment"),
        *("charge_id", "created_at", "reported_at"),
    )
    state = state_column(reversals.status_of)

    @admin.display(description="what it means")
    def what_follows(self, refund: Any) -> str:
        return reversals.what_refund_means(refund) if refund.topup_pk else OF_NO_TOPUP

    @admin.display(description="asked for by")
    def its_request(self, refund: StripeRefund) -> str:
        """The request of staff for this refund; "" if it was made at Stripe."""
        topups = TopUp.objects.filter(payment_intent_id=refund.payment_intent_id)
        requested = RefundRequest.objects.filter(topup__in=topups, stripe_refund_id=refund.pk).first()
        return row_link(RefundRequest, requested.pk) if requested else ""


@admin.register(StripeDispute)
class StripeDisputeAdmin(ReversalAdmin):
    """Disputes and inquiries as Stripe last reported them."""

    list_display = (
        *("created_at", "user", "state", "amount", "withdrawn", "answer_due", "its_topup", "reason"),
    )
    figures = ("amount", "withdrawn")
    list_filter = (DisputeFilter,)
    search_help_text = "A whole Misar ID or email address, or the whole ID of a dispute, payment or charge."
    nothing_yet = "A dispute appears here when Stripe reports it."
    fields = (
        *("user", "its_topup", "amount", "withdrawn", "state", "answer_due", "what_follows", "reason"),
        *("moved", "payment", "charge_id", "created_at", "reported_at"),
    )
    state = state_column(reversals.status_of)
    withdrawn = column("money withdrawn", lambda dispute: money.dollars(max(0, dispute.withdrawn_cents)))

    @admin.display(description="what it means")
    def what_follows(self, dispute: Any) -> str:
        return reversals.what_dispute_means(dispute) if dispute.topup_pk else OF_NO_TOPUP

    @admin.display(description="answer due")
    def answer_due(self, dispute: StripeDispute) -> datetime | str:
        """When our answer is due, while the bank waits for one; otherwise ""."""
        return (dispute.due_at or "") if dispute.status in StripeDispute.UNANSWERED else ""

    @admin.display(description="money moved")
    def moved(self, dispute: StripeDispute) -> str:
        """Each balance transaction of the dispute, with what it took or returned."""
        return ", ".join(
            f"{'Returned' if cents > 0 else 'Took'} {money.dollars(abs(cents))} (balance transaction {name})"
            for name, cents in dispute.movements.items()
        )


@admin.register(RefundRequest)
class RefundRequestAdmin(AddressedAdmin):
    """Refunds of top-ups that staff asked Stripe for."""

    owner_field = "topup__user_id"
    list_select_related = ("topup",)
    list_display = ("created_at", "user", "state", "amount", "its_topup", "by", "remark", "id")
    two_lines = ("user", "amount", "created_at", "state")
    figures = ("amount",)
    sortable_by = ("created_at",)
    also_sortable_by = {"amount": ("amount_cents",), "state": ("state",)}
    sums = Amounts({"in total": "amount_cents"}, in_dollars=True)
    list_filter = ("state",)
    instant = "created_at"
    search_fields = ("id", "topup_id", "stripe_refund_id", "topup__user_id")
    search_help_text = "A whole Misar ID or email address, or the whole ID of a request, top-up or refund."
    ordering = ("-created_at",)
    nothing_yet = "A request appears here when a staff member refunds a top-up."
    fields = (
        *("user", "its_topup", "amount", "state", "what_follows", "remark", "its_refund", "reason", "by"),
        "created_at",
    )
    kept_out_of_files = ("form_key",)
    staff_actions = refunds.OF_REQUEST
    amount = column("amount", lambda requested: money.dollars(requested.amount_cents))
    by = actor_column("asked for by")
    its_topup = column("top-up", lambda requested: row_link(TopUp, requested.topup_id))
    what_follows = column("what it means", reversals.what_request_means)
    its_refund = column("refund at Stripe", lambda requested: refund_link(requested.stripe_refund_id))

    def about(self, row: RefundRequest) -> str:
        return row.topup.user_id


def refund_link(refund_id: str) -> str:
    """The id of a refund, as a link to its page if Stripe has reported it."""
    is_reported = refund_id and StripeRefund.objects.filter(pk=refund_id).exists()
    return row_link(StripeRefund, refund_id) if is_reported else refund_id
