"""Finding what support was given: a Misar ID, an e-mail address, an id of ours or of Stripe's, a key.

Every look is for the whole text and goes by an index, so that it costs the same beside a million rows. Only
what the asker may view is looked into. Nothing here writes, and what was sought is not logged.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models

from accounts.misar_ids import is_misar_id
from accounts.models import ApiKey, ServiceKey, User
from accounts.service_keys import SHOWN_LENGTH
from foundation import money
from monetization.models import Refund, Sponsor, Subscription, Tip
from wallet.models import Entry, StripeEvent, TopUp, Wallet

May = Callable[[str], bool]

MATCHES_MAX = 20
# What comes along when something is copied out of a mail, a chat or a spreadsheet.
ROUND_IT = " \t\r\n\v\f\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}\"'`<>“”„‘’‚«»‹›"
# Of a key only its beginning is ever looked for, shown or sent on.
KEY = re.compile(rf"(?:msk|wsk)_[0-9a-fA-F]{{{SHOWN_LENGTH - 4}}}")
# What begins so is a row's id: nobody is offered it as the Misar ID of somebody new.
ROW_PREFIXES = tuple("txn_ top_ tip_ rfd_ spon_ sub_ cs_ pi_ py_ ch_ evt_ in_ msk_ wsk_".split())


@dataclass(frozen=True)
class Match:
    """A row that was found: what it is, what it says, and whose it is ("" for nobody's).

    `page` is the name of the row's own page, "" where there is none. `name` is what it can be found by
    again, and never an e-mail address. `row` is the row itself; None of a user without one.
    """

    what: str
    page: str
    row_id: str
    name: str
    about: str
    says: str
    at: datetime | None = None
    row: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Found:
    """What there is, at most 20 rows; `is_cut` where there is more. `by_address`: for an e-mail address."""

    matches: list[Match]
    is_cut: bool = False
    by_address: bool = False

    @property
    def whose(self) -> str:
        """The one user whom all of it is about; "" where there are several, or none."""
        users = {match.about for match in self.matches}
        return users.pop() if len(users) == 1 else ""


@dataclass(frozen=True)
class Look:
    """A table, the columns that are looked into, and those for an e-mail address alone.

    `whose` is the column with the Misar ID, `named_by` the one that the row is shown by.
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
        """What it takes to view such a row."""
        return f"{self.table._meta.app_label}.view_{self.table._meta.model_name}"

    def rows(self, column: str, text: str) -> models.QuerySet[Any]:
        """Some of the rows with this text. In no order: one could lead past the index of the column."""
        return self.table._default_manager.filter(**{column: text}).defer(*self.unread)[: MATCHES_MAX + 1]

    def match(self, row: Any) -> Match:
        """A row as it is shown."""
        return Match(
            what=self.what,
            page=f"admin:{row._meta.app_label}_{row._meta.model_name}_change",
            row_id=str(row.pk),
            name=str(getattr(row, self.named_by)),
            about=getattr(row, self.whose) if self.whose else "",
            says=self.says(row),
            at=getattr(row, self.at),
            row=row,
        )


def _entry(entry: Entry) -> str:
    return f"{entry.get_kind_display()} of {money.credits(abs(entry.credits))}"


def _topup(topup: TopUp) -> str:
    cents = topup.paid_cents if topup.paid_cents is not None else topup.amount_cents
    amount = f", {money.dollars(cents)}" if cents is not None else ""
    return f"{topup.get_state_display()}{amount}"


def _event(event: StripeEvent) -> str:
    return f"{event.type}: {event.get_state_display().lower()}"


def _tip(tip: Tip) -> str:
    return f"{money.amount(tip.gross_cents, tip.currency)} for this creator"


def _subscription(subscription: Subscription) -> str:
    amount = money.amount(subscription.amount_cents, subscription.currency)
    return f"{subscription.get_status_display()}, {amount}, to this creator"


LOOKS = (
    Look("user", User, (), "pk", lambda user: user.name, by_address=("email__iexact",)),
    Look("top-up", TopUp, ("pk", "stripe_session_id", "payment_intent_id"), "user_id", _topup),
    Look("entry", Entry, ("pk", "idempotency_key", "stripe_session_id"), "wallet_id", _entry),
    Look(
        "Stripe event",
        StripeEvent,
        ("pk", "stripe_session_id", "payment_intent_id"),
        "user_id",
        _event,
        at="received_at",
        unread=("payload", "traceback"),
    ),
    Look("tip", Tip, ("pk", "stripe_payment_id"), "creator_id", _tip, by_address=("reader",)),
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


def tidied(text: str) -> str:
    """What was given without the blanks and quotes round it; of a key, the part that is shown."""
    text = text.strip(ROUND_IT)
    key = KEY.search(text)
    return key[0].lower() if key else text


def look(sought: str, *, may: May) -> Found:
    """All rows of a tidied text that the asker may view. What can be no id at all finds nothing."""
    if not is_misar_id(sought):  # Too long, empty, or with what PostgreSQL would choke on.
        return Found([])
    matches = list(dict.fromkeys(_all(sought, may)))  # A row may have it in two columns.
    return Found(matches[:MATCHES_MAX], len(matches) > MATCHES_MAX, by_address="@" in sought)


def again(name: str, *, may: May) -> Match | None:
    """The row that a search led to, by its name."""
    if not is_misar_id(name) or "@" in name:
        return None
    named = ((each, each.named_by) for each in LOOKS if each.table is not User and may(each.permission))
    return next((each.match(row) for each, column in named for row in each.rows(column, name)[:1]), None)


def is_known(user_id: str) -> bool:
    """Whether anything here names this Misar ID as a user's."""
    return any(table.objects.filter(**{column: user_id}).exists() for table, column in WHERE_USERS_ARE)


def could_be_new(sought: str) -> bool:
    """Whether this can be the Misar ID of somebody of whom nothing is known yet: no address, no other id."""
    return is_misar_id(sought) and "@" not in sought and not sought.startswith(ROW_PREFIXES)


WHERE_USERS_ARE: tuple[tuple[Any, str], ...] = (
    (User, "pk"),
    (Wallet, "pk"),
    (TopUp, "user_id"),
    (StripeEvent, "user_id"),
)


def _all(sought: str, may: May) -> Iterator[Match]:
    if may(LOOKS[0].permission) and is_known(sought):
        user = User.objects.filter(pk=sought).first()
        yield (
            LOOKS[0].match(user) if user else Match("Misar ID", "", "", sought, sought, "Has never signed in")
        )
    for each in LOOKS:
        if may(each.permission):
            columns = each.columns + (each.by_address if "@" in sought else ())
            for column in columns:
                text = sought.lower() if column == "reader" else sought
                yield from (each.match(row) for row in each.rows(column, text))
