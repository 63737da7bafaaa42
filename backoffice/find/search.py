"""Finds the rows that belong to a text from a support request: a name, an e-mail address, an id, a key.

Ids and keys must be complete. For a name, an e-mail address and a Misar ID, the beginning is enough, in upper
or lower case. Each search uses an index, so it is fast even in a table of a million rows. Only tables that
the staff member may view are searched. A search fills the mailboxes that are not filled (`Addressed`), and
writes nothing else. Searches are not logged.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from itertools import islice
from typing import Any

from django.db import models
from django.db.models import Q

from accounts.key_secrets import SHOWN_LENGTH
from accounts.misar_ids import MISAR_ID_LENGTH, is_misar_id
from accounts.models import ApiKey, ServiceKey, User
from backoffice.credits import grants, holds, reversals
from backoffice.lists.links import row_url, user_url
from foundation import money
from foundation.mailboxes import Addressed
from foundation.text import both_forms, one_line
from foundation.words import NAME_SHOWN
from monetization.models import Refund, Sponsor, Subscription, Tip
from wallet.models import (
    Entry,
    Hold,
    Lot,
    RefundRequest,
    StripeDispute,
    StripeEvent,
    StripeRefund,
    TopUp,
    Wallet,
)

May = Callable[[str], bool]

MATCHES_MAX = 20
# No column that is searched holds a longer text.
LENGTH_MAX = MISAR_ID_LENGTH
BLANKS = " \t\r\n\v\f\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}"
# Characters around a text that was copied from a mail, a chat or a spreadsheet.
AROUND = BLANKS + "\"'`<>“”„‘’‚«»‹›"
# Only the beginning of a key is ever searched for, shown or put into a URL.
KEY = re.compile(rf"(?:msk|wsk)_[0-9a-fA-F]{{{SHOWN_LENGTH - 4}}}")
# A text with one of these prefixes is a row's id, so it cannot be the Misar ID of a new user.
ROW_PREFIXES = tuple(
    (
        "txn_ hold_ grant_ top_ tip_ rfd_ rreq_ spon_ sub_ cs_ pi_ py_ pyr_ ch_ re_ dp_ du_ evt_ in_ msk_ "
        "wsk_"
    ).split()
)


class How(Enum):
    """How a text matches a column.

    ID: it is an id of the row. WHOLE: it is the whole text of a column that is no id, such as a name or an
    idempotency key, which a product chooses. BEGINNING: the column begins with it.
    """

    ID = "id"
    WHOLE = "whole"
    BEGINNING = "beginning"


@dataclass(frozen=True)
class Match:
    """A row that was found. `about` is the Misar ID of its user, "" for no user.

    `column` names the column that matched in words, `how` says how. `url` is the page of the row, or of the
    user. A user who never signed in has no row: `row` and `at` are None.
    """

    what: str
    name: str
    about: str
    says: str
    how: How = field(compare=False)
    column: str = field(compare=False)
    url: str = ""
    at: datetime | None = None
    row: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Found:
    """The matches, at most 20: ids first, then whole texts, then beginnings.

    `is_cut` is true if there are more than 20. `single` is the match whose page may be opened directly.
    """

    matches: list[Match]
    is_cut: bool = False
    single: Match | None = None


@dataclass(frozen=True)
class Look:
    """A table, and what is searched in it: a lookup, and the name of its column in words.

    The lookups `mailbox` and `mailbox_begins` compare addresses by mailbox (foundation/mailboxes.py).

    The columns of `ids` and `whole` must equal the text; those of `whole` are no ids. The columns of `begins`
    must begin with it. `whose` is the column with the Misar ID, or a function that reads it from the row.
    `named_by` is the column with the name of a match.
    """

    what: str
    table: type[models.Model]
    ids: Mapping[str, str]
    whose: str | Callable[[Any], str]
    says: Callable[[Any], str]
    whole: Mapping[str, str] = field(default_factory=dict)
    begins: Mapping[str, str] = field(default_factory=dict)
    named_by: str = "pk"
    at: str = "created_at"
    unread: tuple[str, ...] = ()

    @property
    def permission(self) -> str:
        """The permission to view the table."""
        return f"{self.table._meta.app_label}.view_{self.table._meta.model_name}"

    def matches(self, texts: Iterable[str], how: How) -> Iterator[Match]:
        """Some rows that match one of these texts in this way.

        They are not sorted. For sorted rows, PostgreSQL could choose a slower index.
        """
        lookups = {How.ID: self.ids, How.WHOLE: self.whole, How.BEGINNING: self.begins}[how]
        for lookup, column in lookups.items():
            rows = self.table._default_manager.filter(_any_of(self.table, lookup, texts)).defer(*self.unread)
            yield from (self.match(row, how, column) for row in rows[: MATCHES_MAX + 1])

    def owner_of(self, row: Any) -> str:
        if callable(self.whose):
            return self.whose(row)
        return getattr(row, self.whose) if self.whose else ""

    def match(self, row: Any, how: How, column: str) -> Match:
        return Match(
            what=self.what,
            name=str(getattr(row, self.named_by)),
            about=self.owner_of(row),
            says=self.says(row),
            how=how,
            column=column,
            url=user_url(row.pk) if self.table is User else row_url(self.table, row.pk),
            at=getattr(row, self.at),
            row=row,
        )


def _person(name: str, email: str) -> str:
    return ", ".join(filter(None, [one_line(name, NAME_SHOWN), email]))


def _topup(topup: TopUp) -> str:
    cents = topup.paid_cents if topup.paid_cents is not None else topup.amount_cents
    amount = f", {money.dollars(cents)}" if cents is not None else ""
    return f"{topup.get_state_display()}{amount}"


def _tip(tip: Tip) -> str:
    amount = f"{money.amount(tip.gross_cents, tip.currency)} for this creator"
    reader = _person(tip.name, tip.email)
    return f"{amount}, from {reader}" if reader else amount


def _subscription(subscription: Subscription) -> str:
    amount = money.amount(subscription.amount_cents, subscription.currency)
    status = subscription.get_status_display()
    return f"{status}, {amount}, {subscription.subscriber_email} to this creator"


NAME, EMAIL, MISAR_ID, STRIPE_PAYMENT = "Name", "Email address", "Misar ID", "Stripe payment"
CHECKOUT, CHARGE = "Stripe checkout", "Stripe charge"
USERS = Look(
    "user",
    User,
    {},
    "pk",
    lambda user: _person(user.name, user.email),
    whole={"mailbox": EMAIL, "name__iexact": NAME},
    begins={
        "pk__istartswith": MISAR_ID,
        "name__istartswith": NAME,
        "email__istartswith": EMAIL,
        "mailbox_begins": EMAIL,
    },
)
LOOKS = (
    USERS,
    Look(
        "top-up",
        TopUp,
        {"pk": "Top-up", "stripe_session_id": CHECKOUT, "payment_intent_id": STRIPE_PAYMENT},
        "user_id",
        _topup,
    ),
    Look(
        "entry",
        Entry,
        {"pk": "Entry", "stripe_session_id": CHECKOUT},
        "wallet_id",
        lambda entry: f"{entry.get_kind_display()} of {money.credits(abs(entry.credits))}",
        whole={"idempotency_key": "Idempotency key"},
    ),
    Look(
        "hold",
        Hold,
        {"pk": "Hold"},
        "wallet_id",
        holds.in_words,
        whole={"idempotency_key": "Idempotency key"},
    ),
    Look("grant", Lot, {"pk": "Grant"}, "wallet_id", grants.in_words),
    Look(
        "Stripe event",
        StripeEvent,
        {"pk": "Stripe event", "stripe_session_id": CHECKOUT, "payment_intent_id": STRIPE_PAYMENT},
        "user_id",
        lambda event: f"{event.type}: {event.get_state_display().lower()}",
        at="received_at",
        unread=("payload", "traceback"),
    ),
    Look(
        "Stripe refund",
        StripeRefund,
        {"pk": "Stripe refund", "payment_intent_id": STRIPE_PAYMENT, "charge_id": CHARGE},
        reversals.owner_of,
        reversals.in_words,
    ),
    Look(
        "Stripe dispute",
        StripeDispute,
        {"pk": "Stripe dispute", "payment_intent_id": STRIPE_PAYMENT, "charge_id": CHARGE},
        reversals.owner_of,
        reversals.in_words,
    ),
    Look(
        "refund request",
        RefundRequest,
        {"pk": "Refund request"},
        lambda requested: requested.topup.user_id,
        lambda requested: f"{requested.get_state_display()}, {money.dollars(requested.amount_cents)}",
    ),
    Look(
        "tip",
        Tip,
        {"pk": "Tip", "stripe_payment_id": STRIPE_PAYMENT},
        "creator_id",
        _tip,
        whole={"mailbox": EMAIL, "name__iexact": NAME},
        begins={"mailbox_begins": EMAIL, "name__istartswith": NAME},
    ),
    Look(
        "subscription",
        Subscription,
        {"pk": "Subscription", "stripe_subscription_id": "Stripe subscription"},
        "creator_id",
        _subscription,
        whole={"mailbox": EMAIL},
        begins={"mailbox_begins": EMAIL},
    ),
    Look(
        "refund",
        Refund,
        {"pk": "Refund"},
        "creator_id",
        lambda refund: money.amount(refund.amount_cents, refund.currency),
    ),
    Look(
        "placement",
        Sponsor,
        {"pk": "Placement"},
        "creator_id",
        lambda sponsor: sponsor.sponsor_name,
        whole={"sponsor_name__iexact": NAME},
        begins={"sponsor_name__istartswith": NAME},
    ),
    Look("API key", ApiKey, {"prefix": "Beginning of the key"}, "owner_id", str, named_by="prefix"),
    Look("service key", ServiceKey, {"prefix": "Beginning of the key"}, "", str, named_by="prefix"),
)
WHERE_USERS_ARE: tuple[tuple[Any, str], ...] = (
    (User, "pk"),
    (Wallet, "pk"),
    (TopUp, "user_id"),
    (StripeEvent, "user_id"),
)


def tidied(text: str) -> str:
    """The text without blanks around it. If it contains a key, only the beginning of the key."""
    text = text.encode(errors="replace").decode().strip(BLANKS)
    key = KEY.search(text)
    return key[0].lower() if key else text


def without_quotes(text: str) -> str:
    """The text without quotes and angle brackets around it."""
    return text.strip(AROUND)


def look(sought: str, *, may: May) -> Found:
    """The rows that match a tidied text, in tables that the staff member may view.

    Quotes around the text may belong to it or not, so the text is searched for with and without them.
    """
    texts = [text for text in dict.fromkeys([sought, without_quotes(sought)]) if _can_match(text)]
    if not texts:
        return Found([])
    # A row counts once, even if it matches in several ways. The first way counts.
    matches = list(islice(_distinct(_matches(texts, may)), MATCHES_MAX + 1))
    single = None if "@" in sought else _single(matches)  # No URL may hold an e-mail address.
    return Found(matches[:MATCHES_MAX], len(matches) > MATCHES_MAX, single)


def with_id(text: str, *, may: May) -> list[Match]:
    """The rows with this id, in tables that the staff member may view."""
    return list(_with_id([text], may)) if _can_match(text) else []


def is_known(user_id: str) -> bool:
    """Whether this Misar ID has a user, a wallet, a top-up or a Stripe event."""
    return any(table.objects.filter(**{column: user_id}).exists() for table, column in WHERE_USERS_ARE)


def could_be_new(sought: str) -> bool:
    """Whether this can be the Misar ID of a new user: no e-mail address, no id of a row, no full name."""
    return is_misar_id(sought) and not {"@", " "} & set(sought) and not sought.startswith(ROW_PREFIXES)


# --- Internal -------------------------------------------------------------------------------------------


def _can_match(text: str) -> bool:
    """Whether a column can hold this text. PostgreSQL refuses NUL."""
    return 0 < len(text) <= LENGTH_MAX and "\0" not in text


def _any_of(table: type[models.Model], lookup: str, texts: Iterable[str]) -> Q:
    """The condition that a column matches one of these texts.

    A mailbox, and the beginning of one, match in any spelling. Names are searched in both forms
    (`both_forms`).
    """
    values = set(texts)
    if issubclass(table, Addressed) and lookup in ("mailbox", "mailbox_begins"):
        condition = table.in_mailbox if lookup == "mailbox" else table.mailbox_begins
        return Q.create([condition(value) for value in sorted(values)], connector=Q.OR)
    if table is Entry and lookup == "idempotency_key":
        return Q.create([Entry.has_key(value) for value in sorted(values)], connector=Q.OR)
    if "__" in lookup:
        values = {form for text in values for form in both_forms(text)}
    return Q.create([(lookup, value) for value in sorted(values)], connector=Q.OR)


def _matches(texts: list[str], may: May) -> Iterator[Match]:
    yield from _with_id(texts, may)
    if any(KEY.fullmatch(text) for text in texts):
        return
    looks = [each for each in LOOKS if may(each.permission)]
    for how in (How.WHOLE, How.BEGINNING):
        for each in looks:
            yield from each.matches(texts, how)
            if each is USERS and how is How.BEGINNING:
                yield from _never_signed_in(texts)


def _with_id(texts: list[str], may: May) -> Iterator[Match]:
    if may(USERS.permission):
        for text in texts:
            if is_known(text):
                user = User.objects.filter(pk=text).first()
                yield USERS.match(user, How.ID, MISAR_ID) if user else _misar_id(text, How.ID)
    # Callers of the API choose some of these ids. An id without its prefix could be the Misar ID of another
    # user, so it does not identify the row.
    how = How.ID if texts[-1].startswith(ROW_PREFIXES) else How.WHOLE
    for each in LOOKS:
        if may(each.permission):
            yield from (replace(match, how=how) for match in each.matches(texts, How.ID))


def _misar_id(user_id: str, how: How) -> Match:
    """The match of a user who has never signed in."""
    return Match("Misar ID", user_id, user_id, "Has never signed in", how, MISAR_ID, user_url(user_id))


def _never_signed_in(texts: list[str]) -> Iterator[Match]:
    """Wallets of users who never signed in. All users who did, if there are at most 20, were found before."""
    wallets = Wallet.objects.filter(_any_of(Wallet, "pk__istartswith", texts))
    ids = list(wallets.values_list("pk", flat=True)[: 2 * MATCHES_MAX + 1])
    signed_in = set(User.objects.filter(pk__in=ids).values_list("pk", flat=True))
    yield from (_misar_id(user_id, How.BEGINNING) for user_id in ids if user_id not in signed_in)


def _distinct(matches: Iterable[Match]) -> Iterator[Match]:
    seen = set()
    for match in matches:
        if match not in seen:
            seen.add(match)
            yield match


def _single(matches: list[Match]) -> Match | None:
    """The match to open: the whole text is an id of one user or one row, and matches nothing else as a whole.

    Several rows of one user can have the same id of Stripe.
    """
    whole = [match for match in matches if match.how is not How.BEGINNING]
    if not whole or len(whole) > MATCHES_MAX or any(match.how is not How.ID for match in whole):
        return None
    users = {match.about for match in whole}
    return whole[0] if len(whole) == 1 or (len(users) == 1 and "" not in users) else None
