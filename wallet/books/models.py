"""The books: wallets, their entries, the totals of finished days, and the examinations.

A wallet's balance is always the sum of its entries. An entry is never changed or removed; a correction is a
new entry. Each entry stores the balance after it (`balance_after`) and its number in the wallet (`sequence`,
from 1 without a gap). So the history can be shown without adding entries up, and a missing entry is found.

Holds set credits aside without an entry (charges/models/). What can be spent is called available: the
balance less what is held. Credits of a grant have an end, and their own row (a lot). All other credits are
called paid; they have no end and no rows of their own.

Credits are whole numbers, and 1 credit is US$1. They are positive in an entry that adds credits and negative
in an entry that takes them. Constraints enforce the laws about one row. Triggers enforce the laws about
several rows (migrations/*.sql). `laws.py` checks all laws again. Only `ledger.py` writes wallets and entries.

Every row here belongs to one wallet, except the totals and the examinations. In the database, the primary key
of such a table includes the wallet, so that the tables can be sharded by wallet. Django knows the id alone.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Self

from django.contrib.postgres.indexes import BrinIndex, OpClass
from django.db import models
from django.db.models import Q, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import Abs, Coalesce, Now, Upper
from django.utils import timezone

from accounts.misar_ids import MISAR_ID_LENGTH
from foundation.calendar import FIRST_DAY, start_of
from foundation.identifiers import IDENTIFIER_LENGTH, primary_key
from wallet import identifiers

FEATURE_LENGTH = 100
PRODUCT_LENGTH = 100
KEY_LENGTH = 255
STRIPE_ID_LENGTH = 255

# An adjustment is in neither list: it may add or take credits.
ADDING_KINDS = ("topup", "refund", "reinstatement", "grant")
# The entries of a payment at Stripe: its credits, and what was taken back or came back later.
PAYMENT_KINDS = ("topup", "clawback", "reinstatement")
TAKING_KINDS = ("deduct", "clawback", "expiry", "capture")


class WalletQuerySet(models.QuerySet["Wallet"]):
    def plain(self) -> Self:
        """Return the wallets whose charges look at no other row: nothing granted, no budget, not frozen.

        A charge must also leave `watch` credits available. Then it crosses no threshold.
        """
        return self.filter(granted=0, budgets=0, frozen=False)


class EntryQuerySet(models.QuerySet["Entry"]):
    def of_user(self, user_id: str) -> Self:
        """Return one user's entries, newest first.

        They are sorted by `sequence`, not by time. So the `balance_after` of an entry is its credits plus
        the `balance_after` of the next, older entry.
        """
        return self.filter(wallet_id=user_id).order_by("-sequence")

    def between(self, first: int, last: int) -> Self:
        """Return the entries with a `sequence` above `first`, up to and including `last`."""
        return self.filter(sequence__gt=first, sequence__lte=last)

    def wallets_moved_since(self, since: datetime) -> Iterator[str]:
        """Yield the Misar IDs with entries since this time, sorted, in constant memory in a transaction."""
        moved = self.filter(created_at__gte=since).order_by("wallet_id")
        return moved.values_list("wallet_id", flat=True).distinct().iterator()

    def with_key(self, *, user_id: str, product: str, kind: str, key: str) -> Self:
        """Return a queryset with the entry that has this idempotency key, or an empty queryset."""
        return self.filter(wallet_id=user_id, product=product, kind=kind, idempotency_key=key)

    def given_back(self, entry: "Entry") -> int:
        """Return how many credits of a charge have been given back so far."""
        reversals = self.filter(wallet_id=entry.wallet_id, reverses=entry)
        return reversals.aggregate(total=Sum("credits"))["total"] or 0

    def is_given_back(self, entry: "Entry") -> bool:
        """Return whether a charge has been given back in whole."""
        return self.given_back(entry) >= entry.charged

    def of_payment(self, *, user_id: str, session_id: str) -> int:
        """Return how many credits of a payment a user has: its top-up, less what was taken back since."""
        theirs = self.filter(wallet_id=user_id, stripe_session_id=session_id, kind__in=PAYMENT_KINDS)
        return theirs.aggregate(total=Sum("credits"))["total"] or 0

    def moved_by_hand(self, actor: str, *, since: datetime | Combinable) -> int:
        """Return how many credits a staff member has added, taken, granted and given back since this time.

        All amounts count as positive numbers in this sum.
        """
        theirs = self.filter(kind__in=["adjustment", "refund", "grant"], created_at__gte=since, actor=actor)
        return theirs.aggregate(total=Sum(Abs("credits")))["total"] or 0


class Wallet(models.Model):
    """One user's credits.

    A transaction that changes the balance or the holds locks this row. The next entry gets the number
    `entries_count` + 1. The primary key can be used as the shard key.

    The release before this one inserts rows without the columns from `held` to `frozen`. Such rows get
    `db_default`.
    """

    user_id = models.CharField("Misar ID", primary_key=True, max_length=MISAR_ID_LENGTH)
    balance = models.BigIntegerField(default=0, help_text="In credits; negative after a clawback.")
    entries_count = models.BigIntegerField(default=0)
    held = models.BigIntegerField(
        default=0, db_default=0, help_text="Credits that open holds have set aside, overdue holds included."
    )
    open_holds = models.SmallIntegerField(
        default=0, db_default=0, help_text="How many, overdue ones included."
    )
    granted = models.BigIntegerField(
        default=0, db_default=0, help_text="Credits left of grants, held ones and ended ones included."
    )
    watch = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="The credits that must stay available for no threshold to be crossed.",
    )
    budgets = models.SmallIntegerField(default=0, db_default=0, help_text="How many budgets the user has.")
    frozen = models.BooleanField(default=False, db_default=False, help_text="Staff stopped all charges.")
    # No longer used. The release before this one still counts it, so a later release drops it.
    revision = models.BigIntegerField(
        default=0, db_default=0, help_text="Counts the changes by releases that know grants and budgets."
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects = WalletQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = (
            ("adjust_wallet", "Can adjust a balance"),
            ("freeze_wallet", "Can freeze a wallet"),
        )
        constraints = [
            models.CheckConstraint(condition=Q(entries_count__gte=0), name="wallet_wallet_counts_from_zero"),
            models.CheckConstraint(
                condition=Q(entries_count__gt=0) | Q(balance=0), name="wallet_wallet_starts_empty"
            ),
            models.CheckConstraint(
                condition=Q(held__gte=0, open_holds__gte=0, granted__gte=0, watch__gte=0, budgets__gte=0),
                name="wallet_wallet_sets_aside_no_less_than_nothing",
            ),
        ]
        # For searches by the beginning of a Misar ID, in upper or lower case.
        indexes = [
            models.Index(OpClass(Upper("user_id"), "text_pattern_ops"), name="wallet_wallet_user_begins")
        ]

    def __str__(self) -> str:
        return self.user_id


class Entry(models.Model):
    """One line of the ledger. The API calls it a transaction."""

    class Kind(models.TextChoices):
        """Why credits were added or taken, in the words of the API (contract 11)."""

        TOPUP = "topup", "Top-up"
        DEDUCT = "deduct", "Charge"
        REFUND = "refund", "Given back"
        ADJUSTMENT = "adjustment", "Adjustment by staff"
        CLAWBACK = "clawback", "Clawback"
        REINSTATEMENT = "reinstatement", "Reinstatement"
        GRANT = "grant", "Grant"
        EXPIRY = "expiry", "Expiry"
        CAPTURE = "capture", "Charge of a hold"

    id = primary_key(identifiers.transaction_id)
    # `wallet` needs no index of its own: the unique index on (wallet, sequence) serves its queries. It has no
    # foreign key in the database, which would lock and read the wallet's row once more for each charge:
    # triggers refuse an entry without its wallet (migrations/guard.sql), and they refuse to delete a wallet
    # or to change its user (migrations/roles.sql).
    wallet = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, related_name="entries", db_index=False, db_constraint=False
    )
    sequence = models.BigIntegerField()
    kind = models.CharField(max_length=20, choices=Kind)
    credits = models.BigIntegerField()
    balance_after = models.BigIntegerField()
    feature = models.CharField(max_length=FEATURE_LENGTH, blank=True)
    count = models.IntegerField(null=True, blank=True)
    product = models.CharField(max_length=PRODUCT_LENGTH, blank=True)
    idempotency_key = models.CharField(max_length=KEY_LENGTH, blank=True)
    stripe_session_id = models.CharField(max_length=STRIPE_ID_LENGTH, blank=True)
    actor = models.CharField(
        max_length=300,
        help_text="Who caused it: service:<prefix of its key>, user:<Misar ID of staff>, stripe, or time.",
    )
    reason = models.TextField(blank=True)
    # The foreign key of the database is on the wallet and the id (migrations/entries_of_one_wallet.sql).
    reverses = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reversals",
        db_index=False,
        db_constraint=False,
    )
    # A trigger makes sure that the hold is there and that this entry fits it (migrations/guard.sql).
    hold_id = models.CharField(  # noqa: DJ001 (the unique index does not see NULL)
        "hold",
        max_length=IDENTIFIER_LENGTH,
        null=True,
        blank=True,
        help_text="The hold that this entry captured.",
    )
    held = models.BigIntegerField(
        null=True,
        help_text="The credits that were held after this entry. Empty in entries of older releases, which "
        "knew no holds.",
    )
    # A time that the caller does not give comes from the database's clock, so a host's clock may be wrong. A
    # trigger keeps `created_at` from falling along the sequence (migrations/several_entries.sql).
    effective_at = models.DateTimeField(db_default=Now(), help_text="When it happened in the world.")
    created_at = models.DateTimeField(db_default=Now(), help_text="When it was written.")

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "entries"
        default_permissions = ("view",)
        permissions = (("give_back_entry", "Can give a charge back"),)
        constraints = [
            # Every unique constraint includes the wallet, so the table can be sharded by wallet.
            models.UniqueConstraint(fields=["wallet", "sequence"], name="wallet_entry_one_per_place"),
            models.UniqueConstraint(
                fields=["wallet", "product", "kind", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="wallet_entry_key_once",
            ),
            models.UniqueConstraint(
                fields=["wallet", "stripe_session_id"],
                condition=Q(kind="topup"),
                name="wallet_entry_checkout_once",
            ),
            models.CheckConstraint(condition=~Q(credits=0), name="wallet_entry_moves_something"),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="wallet_entry_counts_from_one"),
            models.CheckConstraint(
                condition=(Q(kind__in=ADDING_KINDS) & Q(credits__gt=0))
                | (Q(kind__in=TAKING_KINDS) & Q(credits__lt=0))
                | Q(kind="adjustment"),
                name="wallet_entry_sign_fits_kind",
            ),
            # A clawback takes credits back even from a user who owes them. A capture takes credits that were
            # available when its hold was made, and an expiry only what was granted. All other entries that
            # take credits leave at least what is held.
            models.CheckConstraint(
                condition=Q(credits__gt=0)
                | Q(kind__in=["clawback", "capture", "expiry"])
                | Q(balance_after__gte=Coalesce("held", 0)),
                name="wallet_entry_leaves_what_is_held",
            ),
            models.CheckConstraint(
                condition=Q(kind="capture", hold_id__isnull=False)
                | (~Q(kind="capture") & Q(hold_id__isnull=True)),
                name="wallet_entry_capture_names_its_hold",
            ),
            models.UniqueConstraint(
                fields=["wallet", "hold_id"],
                condition=Q(hold_id__isnull=False),
                name="wallet_entry_one_per_hold",
            ),
            models.CheckConstraint(
                condition=~Q(kind="topup") | ~Q(stripe_session_id=""),
                name="wallet_entry_topup_names_its_checkout",
            ),
            models.CheckConstraint(
                condition=Q(count__isnull=True) | Q(count__gte=1), name="wallet_entry_counts_units"
            ),
            models.CheckConstraint(
                # Both conditions on `count` are needed: PostgreSQL accepts a row if a check gives NULL.
                condition=~Q(kind__in=["deduct", "capture"])
                | (~Q(feature="") & Q(count__gte=1, count__isnull=False)),
                name="wallet_entry_charge_names_its_feature",
            ),
            models.CheckConstraint(
                condition=~Q(kind="refund") | Q(reverses__isnull=False),
                name="wallet_entry_refund_names_its_charge",
            ),
        ]
        indexes = [
            # A BRIN index keeps one summary for 32 pages, about 1,300 entries, so a charge pays little for
            # it. The first one finds the entries of a time, and those of a rare product. The second one finds
            # an idempotency key if the query also names a time: then PostgreSQL counts on the order of the
            # times. Without that, it would often read the whole table.
            BrinIndex(
                fields=["created_at", "product"],
                opclasses=["timestamptz_minmax_ops", "text_bloom_ops (n_distinct_per_range = 32)"],
                pages_per_range=32,
                autosummarize=True,
                name="wallet_entry_written",
            ),
            BrinIndex(
                fields=["created_at", "idempotency_key"],
                opclasses=[
                    "timestamptz_minmax_ops",
                    "text_bloom_ops (n_distinct_per_range = 1500, false_positive_rate = 0.001)",
                ],
                pages_per_range=32,
                autosummarize=True,
                name="wallet_entry_keys",
            ),
            # Nearly all entries are charges, so this index leaves them out.
            models.Index(
                fields=["kind", "-created_at"], condition=~Q(kind="deduct"), name="wallet_entry_kind"
            ),
            models.Index(
                fields=["reverses"], condition=Q(reverses__isnull=False), name="wallet_entry_reverses"
            ),
            models.Index(
                fields=["stripe_session_id"], condition=~Q(stripe_session_id=""), name="wallet_entry_session"
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @classmethod
    def has_key(cls, key: str) -> Q:
        """The condition that an entry has this idempotency key, for queries over all wallets.

        It names a time that is true of every entry, for the index (see Meta.indexes).
        """
        return Q(idempotency_key=key, created_at__gte=start_of(FIRST_DAY))

    @property
    def balance_before(self) -> int:
        """The balance before this entry, in credits."""
        return self.balance_after - self.credits

    @property
    def available_after(self) -> int:
        """The credits that could be spent after this entry. A charge leaves what is held as it was."""
        return self.balance_after - (self.held or 0)

    @property
    def available_before(self) -> int:
        """The credits that could be spent before this entry, if the entry left what is held as it was."""
        return self.available_after - self.credits

    @property
    def charged(self) -> int:
        """The credits that a charge took, as a positive number."""
        return -self.credits


class OutOfOrderEntry(models.Model):
    """An old entry with an earlier time than the previous entry of its wallet.

    Hosts with different clocks wrote such entries, before the database's clock gave the times. Migration 0009
    listed them once. No row is added later, because since migration 0008 the times never fall.
    """

    pk = models.CompositePrimaryKey("wallet", "sequence")
    # Without a foreign key in the database: making one would lock the wallets, while charges run.
    wallet = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    sequence = models.BigIntegerField()

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.wallet_id} {self.sequence}"


class ClosedDay(models.Model):
    """A finished UTC day with stored totals.

    Entries of a finished day never change, so the totals are final.
    """

    day = models.DateField(primary_key=True)
    entries = models.BigIntegerField(help_text="How many were written on that day.")
    closed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.day)


class DayTotal(models.Model):
    """The sum of the entries of one product and kind on a closed day.

    `credits` is positive if credits were added and negative if they were taken.
    """

    # Without a foreign key in the database, because totals may be on another node than days. A law checks it.
    day = models.ForeignKey(
        ClosedDay, on_delete=models.CASCADE, related_name="totals", db_index=False, db_constraint=False
    )
    product = models.CharField(max_length=PRODUCT_LENGTH, blank=True)
    kind = models.CharField(max_length=20, choices=Entry.Kind)
    credits = models.BigIntegerField()
    entries = models.BigIntegerField()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["day", "product", "kind"], name="wallet_daytotal_once"),
            models.CheckConstraint(condition=Q(entries__gte=1), name="wallet_daytotal_adds_something_up"),
        ]

    def __str__(self) -> str:
        return f"{self.day_id} {self.product} {self.kind}: {self.credits}"


class Audit(models.Model):
    """One examination of the books: when it ran, how many rows it checked, and what it found."""

    class Kind(models.TextChoices):
        LAWS = "laws", "Ledger check"
        STRIPE = "stripe", "Stripe reconciliation"
        SEALS = "seals", "Seal check"

    class Outcome(models.TextChoices):
        CLEAN = "clean", "Clean"
        FOUND = "found", "Something found"
        UNFINISHED = "unfinished", "Could not look"

    kind = models.CharField(max_length=10, choices=Kind)
    outcome = models.CharField(max_length=10, choices=Outcome)
    seen_count = models.BigIntegerField("seen", help_text="Wallets, or sessions of Stripe.")
    found_count = models.BigIntegerField("found")
    findings = models.JSONField(default=list, help_text="The first hundred, as the command prints them.")
    remark = models.TextField(blank=True, help_text="Why it could not look.")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ("view",)
        indexes = [models.Index(fields=["kind", "-ended_at"], name="wallet_audit_last")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.ended_at:%Y-%m-%d %H:%M}"
