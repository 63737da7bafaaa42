"""Show what an action would do to a user's credits, before it is done."""

from collections.abc import Callable
from typing import Any

from accounts.models import User
from backoffice.actions.acts import Done
from backoffice.actions.forms import Effect, Preview
from wallet.books import ledger
from wallet.books.funds import Funds, funds_of

Run = Callable[[Any, dict[str, Any], User], str | Done]
Show = Callable[[Any, dict[str, Any], User], Preview]


def of(run: Run, user_of: Callable[[Any, dict[str, Any]], str], *, locks_wallet_first: bool = True) -> Show:
    """Return a preview of `run`, which moves credits of the user that `user_of` returns.

    The preview runs the action, so it shows exactly what the action does, and raises what the action raises.
    Its caller rolls it back. Without `locks_wallet_first`, the wallet is locked by `run` alone: it must be so
    if `run` locks a payment before the wallet, as a payment that comes in does.
    """

    def preview(row: Any, form_data: dict[str, Any], staff: User) -> Preview:
        user_id = user_of(row, form_data)
        if locks_wallet_first:
            ledger.lock(user_id)  # So no other transaction moves credits between the two figures.
        before = funds_of(user_id)
        run(row, form_data, staff)
        return Preview(effects_of(before, funds_of(user_id)), user_id)

    return preview


def effects_of(before: Funds, after: Funds) -> list[Effect]:
    """Return what changes of a user's credits. The available credits are left out if none are held."""
    effects = [Effect("Balance", before.balance, after.balance)]
    if before.held or after.held:
        effects.append(Effect("Available", before.available, after.available))
    return [effect for effect in effects if effect.before != effect.after]
