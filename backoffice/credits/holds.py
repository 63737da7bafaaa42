"""Holds and frozen wallets: what staff read of them, and what staff may do about them."""

from typing import Any

from django.utils import timezone

from accounts.models import User
from backoffice.actions import changes
from backoffice.actions.forms import PreviewedForm
from backoffice.actions.staff_action import Facts, StaffAction
from backoffice.credits import previews
from backoffice.credits.funds import facts_of_wallet
from backoffice.errors import NothingToChange
from foundation import money
from wallet.books import ledger
from wallet.books.funds import time_of
from wallet.charges import holds
from wallet.history.products import name_of
from wallet.models import Hold, Wallet

State = Hold.State
UNTIDIED = "overdue"  # In the URL of the list: holds that have expired, but whose row is still open.
# What a frozen wallet may do. The wallet's page for its user says the same (templates/wallet/wallet.html).
REFUSED_WHILE_FROZEN = "Charges and holds are refused. Captures of open holds, refunds and top-ups go on."


# --- Reading ------------------------------------------------------------------------------------------


def in_words(hold: Hold) -> str:
    """Return a hold as staff read it: "Open, 5 credits for blog.article.generate × 5"."""
    shown = as_of_now(hold)
    return f"{shown.get_state_display()}, {money.credits(hold.credits)} for {units(hold)}"


def seems_open(hold: Hold) -> bool:
    """Return whether a hold is open by this host's clock. When it is voided, the database's clock decides."""
    return hold.state == State.OPEN and hold.expires_at > timezone.now()


def units(hold: Hold) -> str:
    """Return the feature of a hold and how many units of it."""
    return f"{hold.feature} × {money.plain(hold.count)}"


def as_of_now(hold: Hold) -> Hold:
    """Return the hold as it is now, by the time that decides about its wallet."""
    return hold.as_of(time_of(hold.wallet_id))


# --- Acts ---------------------------------------------------------------------------------------------


def void(hold: Hold, form_data: dict[str, Any], staff: User) -> str:
    """Release what an open hold has set aside, for a product that cannot."""
    outcome = holds.void(user_id=hold.wallet_id, hold_id=hold.pk, product=None)
    if outcome.hold.state == State.EXPIRED:
        raise NothingToChange("This hold has expired already")
    if outcome.replayed:
        raise NothingToChange("This hold was voided already")
    return f"Voided a hold of {name_of(hold.product)}: {money.credits(hold.credits)} can be spent again."


def freeze(wallet: Wallet, form_data: dict[str, Any], staff: User) -> str:
    """Stop all charges of a wallet, at once."""
    if not ledger.set_frozen(wallet.pk, frozen=True):
        raise NothingToChange("This wallet is frozen already")
    return f"Frozen. {REFUSED_WHILE_FROZEN}"


def let_go_on(wallet: Wallet, form_data: dict[str, Any], staff: User) -> str:
    """Let a frozen wallet go on."""
    if not ledger.set_frozen(wallet.pk, frozen=False):
        raise NothingToChange("This wallet is not frozen")
    return "No longer frozen. Products can charge it again."


def _accepted(wallet: Wallet) -> dict[str, str]:
    return {"charges and holds": "refused" if wallet.frozen else "accepted"}


def facts_of_hold(hold: Hold) -> Facts:
    """Return what a hold sets aside, for which product."""
    return [
        ("State", as_of_now(hold).get_state_display()),
        ("Held", money.credits(hold.credits)),
        ("For", f"{units(hold)}, by {name_of(hold.product)}"),
    ]


OF_WALLET = (
    StaffAction(
        "freeze",
        "Freeze this wallet",
        "wallet.freeze_wallet",
        freeze,
        PreviewedForm,
        applies=lambda wallet: not (wallet.frozen or wallet._state.adding),
        facts=facts_of_wallet,
        warning=f"This works at once. {REFUSED_WHILE_FROZEN}",
        preview=changes.of(freeze, _accepted, about=lambda wallet: wallet.pk),
    ),
    StaffAction(
        "go-on",
        "Let this wallet go on",
        "wallet.freeze_wallet",
        let_go_on,
        PreviewedForm,
        applies=lambda wallet: wallet.frozen,
        facts=facts_of_wallet,
        preview=changes.of(let_go_on, _accepted, about=lambda wallet: wallet.pk),
    ),
)
OF_HOLD = (
    StaffAction(
        "void",
        "Void this hold",
        "wallet.void_hold",
        void,
        PreviewedForm,
        applies=seems_open,
        facts=facts_of_hold,
        warning="The product can no longer charge for this work: its capture is refused. The user can spend "
        "the credits again.",
        preview=previews.of(void, lambda hold, form_data: hold.wallet_id),
    ),
)
