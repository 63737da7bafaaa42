"""Show what an action would do to a user's credits, before it is done."""

from collections.abc import Callable
from copy import copy
from typing import Any

from django.db import transaction

from accounts.models import User
from backoffice.actions import acts
from backoffice.actions.acts import Done
from backoffice.actions.forms import Effect, Preview
from foundation.database.transactions import retried
from wallet.books import ledger
from wallet.books.funds import Funds, funds_of

Run = Callable[[Any, dict[str, Any], User], str | Done]
Show = Callable[[Any, dict[str, Any], User], Preview]


def of(run: Run, user_of: Callable[[Any, dict[str, Any]], str], *, locks_wallet_first: bool = True) -> Show:
    """Return a preview of `run`, which moves credits of the user that `user_of` returns.

    The preview runs the action and rolls it back, so it shows exactly what the action does, and raises what
    the action raises. Without `locks_wallet_first`, the wallet is locked by `run` alone: it must be so if
    `run` locks a payment before the wallet, as a payment that comes in does.
    """

    @retried
    @transaction.atomic
    def preview(row: Any, form_data: dict[str, Any], staff: User) -> Preview:
        user_id = user_of(row, form_data)
        if locks_wallet_first:
            ledger.lock(user_id)  # So no other transaction moves credits between the two figures.
        before = funds_of(user_id)
        run(copy(row), form_data, staff)
        after = funds_of(user_id)
        shown = Preview(effects_of(before, after), acts.newest_about(user_id))
        transaction.set_rollback(True)
        return shown

    return preview


def effects_of(before: Funds, after: Funds) -> list[Effect]:
    """Return what changes of a user's credits. The available credits are left out if none are held."""
    effects = [Effect("Balance", before.balance, after.balance)]
    if before.held or after.held:
        effects.append(Effect("Available", before.available, after.available))
    return [effect for effect in effects if effect.before != effect.after]
