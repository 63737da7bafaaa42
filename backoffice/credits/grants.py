"""Grants: what staff read of them, how staff grant credits, and how they take a grant back."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import BigIntegerField, Case, CharField, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from accounts.actors import actor_of
from accounts.models import User
from backoffice.actions.acts import Done
from backoffice.actions.forms import Preview, PreviewedForm
from backoffice.actions.staff_action import Facts, StaffAction
from backoffice.credits import limits, previews
from backoffice.credits.credits_form import CreditsForm
from backoffice.credits.funds import facts_of_wallet
from backoffice.errors import NothingToChange, OutdatedPreview
from foundation import money
from foundation.errors import BillingError
from foundation.validators import validate_line
from foundation.words import moment
from wallet.books.funds import time_of
from wallet.charges.models import LotQuerySet, has_ended
from wallet.errors import GrantEndOutOfRange
from wallet.grants import granting
from wallet.history.products import name_of
from wallet.models import Entry, Hold, HoldPart, Lot, LotMove, Wallet

State = Lot.State
STAFF = "staff"  # Who granted, if no product did.
REASON_LENGTH = 200
MOVES_SHOWN_MAX = 50
# On a user's page: grants with credits left, and others.
LEFT_SHOWN_MAX, OTHERS_SHOWN_MAX = 20, 5
# In the URL of the list: grants that ended over ten minutes ago and are not written off.
LATE = "late"
LATE_AFTER = timedelta(minutes=10)


# --- Reading ------------------------------------------------------------------------------------------


def as_they_are_now(lots: QuerySet[Lot]) -> QuerySet[Any]:
    """Add to each grant its state now, and its credits: left, held, spent, and written off.

    The figures are those of `Lot.as_of`.
    """
    assert isinstance(lots, LotQuerySet)
    state = Case(
        When(voided_at__isnull=False, then=Value(State.VOIDED.value)),
        When(remaining=0, expired=0, then=Value(State.USED.value)),
        When(expires_at__lte=Now(), then=Value(State.EXPIRED.value)),
        default=Value(State.ACTIVE.value),
    )
    held_now = F("held") - F("overdue_held")
    left_now = Case(
        When(has_ended(Now()), then=held_now), default=F("remaining"), output_field=BigIntegerField()
    )
    spent = F("credits") - F("remaining") - F("expired")
    return lots.with_overdue(Now()).annotate(
        state_now=state,
        held_now=held_now,
        left_now=left_now,
        spent=spent,
        written_off=F("credits") - spent - left_now,
    )


def _as_it_is_now(lot: Lot) -> Any:
    return as_they_are_now(Lot.objects.filter(wallet_id=lot.wallet_id, pk=lot.pk)).get()


def of_user(user_id: str) -> tuple[list[Lot], datetime]:
    """Return grants of a user as they are now, and the time of that.

    The first are those with credits left, in the order in which they are spent. Then follow the newest of the
    others. These include the grants that have ended, but are not written off.
    """
    now = time_of(user_id)
    theirs = Lot.objects.of(user_id, None).with_overdue(now, user_id=user_id)
    keeps_credits = ~has_ended(now) | Q(held__gt=F("overdue_held"))
    left = theirs.filter(keeps_credits, remaining__gt=0).in_spendable_order()[:LEFT_SHOWN_MAX]
    newest = theirs.newest_first()[: LEFT_SHOWN_MAX + OTHERS_SHOWN_MAX]
    others = [lot for lot in newest if lot.as_of(now).remaining == 0][:OTHERS_SHOWN_MAX]
    return [*(lot.as_of(now) for lot in left), *others], now


def with_grant(entries: QuerySet[Entry]) -> QuerySet[Any]:
    """Add `grant_id` to each entry: the grant that began or ended by it; None for other entries."""
    moves = LotMove.objects.filter(wallet_id=OuterRef("wallet_id"), sequence=OuterRef("sequence"))
    grant_id = Subquery(moves.values("lot_id")[:1])
    of_grants = When(kind__in=[Entry.Kind.GRANT, Entry.Kind.EXPIRY], then=grant_id)
    return entries.annotate(grant_id=Case(of_grants, default=None, output_field=CharField()))


def moves_of(entry: Entry) -> Iterable[tuple[str, int]]:
    """Return the grants that an entry moved, and by how many credits, in the order of spending."""
    of_wallet = {"wallet_id": entry.wallet_id, "lot__wallet_id": entry.wallet_id}
    moves = LotMove.objects.filter(**of_wallet, sequence=entry.sequence)
    return moves.order_by("lot__expires_at", "lot_id").values_list("lot_id", "credits")


def parts_of(hold: Hold) -> Iterable[tuple[str, int]]:
    """Return the grants that a hold has set credits aside of, and how many, in the order of spending."""
    of_wallet = {"wallet_id": hold.wallet_id, "lot__wallet_id": hold.wallet_id}
    parts = HoldPart.objects.filter(**of_wallet, hold_id=hold.pk)
    return parts.order_by("lot__expires_at", "lot_id").values_list("lot_id", "credits")


def entries_of(lot: Lot) -> list[tuple[Entry, int]]:
    """Return the newest entries that moved a grant, and by how many credits, newest first."""
    moves = LotMove.objects.filter(wallet_id=lot.wallet_id, lot_id=lot.pk).order_by("-sequence")
    credits = dict(moves.values_list("sequence", "credits")[:MOVES_SHOWN_MAX])
    entries = Entry.objects.of_user(lot.wallet_id).filter(sequence__in=credits)
    return [(entry, credits[entry.sequence]) for entry in entries]


def granter(lot: Lot) -> str:
    """Return who granted: a product, or staff."""
    return name_of(lot.product) or STAFF


def in_words(lot: Lot) -> str:
    """Return a grant as staff read it: "Active, 7 of 10 credits left, from MisarBlog"."""
    now = _as_it_is_now(lot)
    left = f"{money.plain(now.left_now)} of {money.credits(lot.credits)} left"
    return f"{State(now.state_now).label}, {left}, from {granter(lot)}"


def seems_active(lot: Lot) -> bool:
    """Return whether a grant has credits left and has not ended by this host's clock.

    When it is taken back, the database's clock decides.
    """
    return lot.voided_at is None and lot.remaining > 0 and lot.expires_at > timezone.now()


# --- Acts ---------------------------------------------------------------------------------------------


class GrantForm(CreditsForm):
    """How many credits to grant, until when, and what the user reads about them."""

    credits = forms.IntegerField(
        min_value=1,
        max_value=granting.CREDITS_MAX,
        help_text="Whole credits. They are spent before paid ones.",
    )
    expires_at = forms.SplitDateTimeField(
        label="End",
        # The field has two inputs but one label, so each input gets a label of its own.
        widget=forms.SplitDateTimeWidget(
            date_attrs={"type": "date", "aria-label": "End, day"},
            time_attrs={"type": "time", "aria-label": "End, time"},
        ),
        help_text="In UTC. Credits that are not spent by then are lost.",
    )
    shown_reason = forms.CharField(
        max_length=REASON_LENGTH,
        validators=[validate_line],
        label="Reason that the user reads",
        help_text="The wallet page of the user shows it, for example: Sorry for the outage of 3 May.",
    )
    field_order = ("credits", "expires_at", "shown_reason", "reason")

    def refuse(self, refusal: BillingError) -> None:
        if isinstance(refusal, GrantEndOutOfRange):
            self.add_error("expires_at", "Enter a time between one minute and five years from now.")
        else:
            super().refuse(refusal)


def grant(wallet: Wallet, form_data: dict[str, Any], staff: User) -> Done:
    """Grant a user credits with an end."""
    lot = granting.grant(
        user_id=wallet.pk,
        credits=form_data["credits"],
        expires_at=form_data["expires_at"],
        reason=form_data["shown_reason"],
        key=form_data["key"],
        product="",
        actor=actor_of(staff),
    ).lot
    limits.require_kept(staff, lot.credits)
    summary = f"Granted {money.credits(lot.credits)} until {moment(lot.expires_at)} UTC."
    return Done(lot, summary, about=wallet.pk)


def void(lot: Lot, form_data: dict[str, Any], staff: User) -> str:
    """Take a grant back: what is neither spent nor held is removed.

    A hold that ends after the preview was shown leaves more to remove. Then nothing is done.
    """
    outcome = granting.void(user_id=lot.wallet_id, grant_id=lot.pk, product=None)
    if outcome.replayed:
        raise NothingToChange("This grant was voided already")
    if outcome.state != State.VOIDED:
        raise NothingToChange("This grant has ended already")
    if form_data["seen"] and outcome.removed > (seen := form_data["basis"] or 0):
        raise OutdatedPreview(
            f"This would now remove {money.credits(outcome.removed)}, and you saw {seen:,}, "
            "because credits that were held are free again"
        )
    summary = f"Voided a grant of {granter(lot)}: {money.credits(outcome.removed)} removed"
    kept = f"; {money.credits(outcome.held)} kept for open holds" if outcome.held else ""
    return f"{summary}{kept}."


def preview_void(lot: Lot, form_data: dict[str, Any], staff: User) -> Preview:
    """Return what voiding removes. Raises what `void` raises."""
    preview = previews.of(void, lambda lot, form_data: lot.wallet_id)(lot, form_data, staff)
    return replace(preview, basis=sum(effect.before - effect.after for effect in preview.effects[:1]))


def _what_voiding_does(lot: Lot) -> str:
    now = _as_it_is_now(lot)
    sentences = [f"This removes {money.credits(now.left_now - now.held_now)} from the user's wallet."]
    if now.held_now:
        sentences.append(
            f"Open holds keep {money.credits(now.held_now)}: their captures can still spend them, and what "
            "they release is removed too."
        )
    if now.spent:
        sentences.append(f"What was spent ({money.credits(now.spent)}) stays spent.")
    return " ".join(sentences)


def facts_of_lot(lot: Lot) -> Facts:
    """Return what a grant is, and how much of it is left."""
    now = _as_it_is_now(lot)
    return [
        ("State", State(now.state_now).label),
        ("Granted", f"{money.credits(lot.credits)}, by {granter(lot)}"),
        ("Left", money.credits(now.left_now)),
        ("Held", money.credits(now.held_now) if now.held_now else ""),
        ("Ends", f"{moment(lot.ends_at)} UTC"),
        ("Reason", lot.reason),
    ]


OF_WALLET = (
    StaffAction(
        "grant",
        "Grant credits",
        "wallet.grant_lot",
        grant,
        GrantForm,
        facts=facts_of_wallet,
        preview=previews.of(grant, lambda wallet, form_data: wallet.pk),
    ),
)
OF_LOT = (
    StaffAction(
        "void",
        "Void this grant",
        "wallet.void_lot",
        void,
        PreviewedForm,
        applies=seems_active,
        facts=facts_of_lot,
        warning=_what_voiding_does,
        preview=preview_void,
    ),
)
