"""Finds the rows that belong to a text from a support request: a Misar ID, an e-mail address, an id, a key.

Each search compares the whole text and uses an index, so it is fast even in a table of a million rows. Only
tables that the staff member may view are searched. Nothing here writes, and searches are not logged.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models

from accounts.key_secrets import SHOWN_LENGTH
from accounts.misar_ids import is_misar_id
from accounts.models import ApiKey, ServiceKey, User
from backoffice.lists.links import row_url
from foundation import money
from monetization.models import Refund, Sponsor, Subscription, Tip
from wallet.models import Entry, StripeEvent, TopUp, Wallet

May = Callable[[str], bool]

MATCHES_MAX = 20
# Characters around a text that was copied from a mail, a chat or a spreadsheet. They are removed.
AROUND = " \t\r\n\v\f\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}\"'`<>“”„‘’‚«»‹›"
# Only the beginning of a key is ever searched for, shown or put into a URL.
KEY = re.compile(rf"(?:msk|wsk)_[0-9a-fA-F]{{{SHOWN_LENGTH - 4}}}")
# A text with one of these prefixes is a row's id, so it cannot be the Misar ID of a new user.
ROW_PREFIXES = tuple("txn_ top_ tip_ rfd_ spon_ sub_ cs_ pi_ py_ ch_ evt_ in_ msk_ wsk_".split())


@dataclass(frozen=True)
class Match:
    """A row that was found. `about` is the Misar ID of its user, "" for no user.

    A search for `name` finds the row again; `name` is never an e-mail address. `url` is the row's page. A
    user who never signed in has no row: `row` and `at` are None and `url` is "".
    """

    what: str
    name: str
    about: str
    says: str
    url: str = ""
    at: datetime | None = None
    row: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Found:
    """The matches, at most 20.

    `is_cut` is true if there are more than 20, and `by_address` if the text was an e-mail address.
    """

    matches: list[Match]
    is_cut: bool = False
    by_address: bool = False

    @property
    def whose(self) -> str:
        """The Misar ID of the one user whom all matches concern; "" if there is no such user."""
        users = {match.about for match in self.matches}
        return users.pop() if len(users) == 1 else ""


@dataclass(frozen=True)
class Look:
    """A table, and the columns that are searched in it.

    The columns in `by_address` are searched only for an e-mail address. `whose` is the column with
    the Misar ID, `named_by` the column with the name of a match.
    """

    what: str
    table: type[models.Model]
    columns: tuple[str, ...]
    whose: str
    says: Callable[[Any], str]
    by_address: tuple[str, ...] = ()
    named_by: str = "pk"
    at: str = "created_at"
    unread: tuple[str, ...] = ()

    @property
    def permission(self) -> str:
        """The permission to view the table."""
        return f"{self.table._meta.app_label}.view_{self.table._meta.model_name}"

    def rows(self, column: str, text: str) -> models.QuerySet[Any]:
        """Some rows with this text, not sorted. For sorted rows, PostgreSQL could choose a slower index."""
        return self.table._default_manager.filter(**{column: text}).defer(*self.unread)[: MATCHES_MAX + 1]

    def match(self, row: Any) -> Match:
        return Match(
            what=self.what,
            name=str(getattr(row, self.named_by)),
            about=getattr(row, self.whose) if self.whose else "",
            says=self.says(row),
            url=row_url(self.table, row.pk),
            at=getattr(row, self.at),
            row=row,
        )


def _topup(topup: TopUp) -> str:
    cents = topup.paid_cents if topup.paid_cents is not None else topup.amount_cents
    amount = f", {money.dollars(cents)}" if cents is not None else ""
    return f"{topup.get_state_display()}{amount}"


def _subscription(subscription: Subscription) -> str:
    amount = money.amount(subscription.amount_cents, subscription.currency)
    return f"{subscription.get_status_display()}, {amount}, to this creator"


USERS = Look("user", User, (), "pk", lambda user: user.name, by_address=("email__iexact",))
LOOKS = (
    USERS,
    Look("top-up", TopUp, ("pk", "stripe_session_id", "payment_intent_id"), "user_id", _topup),
    Look(
        "entry",
        Entry,
        ("pk", "idempotency_key", "stripe_session_id"),
        "wallet_id",
        lambda entry: f"{entry.get_kind_display()} of {money.credits(abs(entry.credits))}",
    ),
    Look(
        "Stripe event",
        StripeEvent,
        ("pk", "stripe_session_id", "payment_intent_id"),
        "user_id",
        lambda event: f"{event.type}: {event.get_state_display().lower()}",
        at="received_at",
        unread=("payload", "traceback"),
    ),
    Look(
        "tip",
        Tip,
        ("pk", "stripe_payment_id"),
        "creator_id",
        lambda tip: f"{money.amount(tip.gross_cents, tip.currency)} for this creator",
        by_address=("reader",),
    ),
    Look(
        "subscription",
        Subscription,
        ("pk", "stripe_subscription_id"),
        "creator_id",
        _subscription,
        by_address=("reader",),
    ),
    Look(
        "refund",
        Refund,
        ("pk",),
        "creator_id",
        lambda refund: money.amount(refund.amount_cents, refund.currency),
    ),
    Look("placement", Sponsor, ("pk",), "creator_id", lambda sponsor: sponsor.sponsor_name),
    Look("API key", ApiKey, ("prefix",), "owner_id", lambda key: key.name, named_by="prefix"),
    Look("service key", ServiceKey, ("prefix",), "", lambda key: key.product, named_by="prefix"),
)
WHERE_USERS_ARE: tuple[tuple[Any, str], ...] = (
    (User, "pk"),
    (Wallet, "pk"),
    (TopUp, "user_id"),
    (StripeEvent, "user_id"),
)


def tidied(text: str) -> str:
    """The text without the spaces and quotes around it. If it is a key, only the beginning of the key."""
    text = text.strip(AROUND)
    key = KEY.search(text)
    return key[0].lower() if key else text


def look(sought: str, *, may: May) -> Found:
    """The rows that match a tidied text, in tables that the staff member may view.

    A text that cannot be an id matches no rows.
    """
    if not is_misar_id(sought):  # Empty, too long, or with characters that PostgreSQL refuses.
        return Found([])
    matches = list(dict.fromkeys(_matches(sought, may)))  # A row counts once, even if two columns match.
    return Found(matches[:MATCHES_MAX], len(matches) > MATCHES_MAX, by_address="@" in sought)


def by_name(name: str, *, may: May) -> Match | None:
    """Find a match of an earlier search again by its name. Return None if there is no such match."""
    if not is_misar_id(name) or "@" in name:
        return None
    looks = (each for each in LOOKS if each is not USERS and may(each.permission))
    return next((each.match(row) for each in looks for row in each.rows(each.named_by, name)[:1]), None)


def is_known(user_id: str) -> bool:
    """Whether this Misar ID has a user, a wallet, a top-up or a Stripe event."""
    return any(table.objects.filter(**{column: user_id}).exists() for table, column in WHERE_USERS_ARE)


def could_be_new(sought: str) -> bool:
    """Whether this can be the Misar ID of a new user: it is no e-mail address and no id of a row."""
    return is_misar_id(sought) and "@" not in sought and not sought.startswith(ROW_PREFIXES)


def _matches(sought: str, may: May) -> Iterator[Match]:
    if may(USERS.permission) and is_known(sought):
        user = User.objects.filter(pk=sought).first()
        yield USERS.match(user) if user else Match("Misar ID", sought, sought, "Has never signed in")
    for each in LOOKS:
        if may(each.permission):
            for column in each.columns + (each.by_address if "@" in sought else ()):
                text = sought.lower() if column == "reader" else sought
                yield from (each.match(row) for row in each.rows(column, text))
