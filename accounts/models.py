"""Users, their plans, the keys of creators and products, acts of staff, and request counts.

A wallet needs no User row: products charge a Misar ID. A User row is created when a user signs in, or when a
row must refer to the user.
"""

import uuid
from collections.abc import Collection
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now, Upper
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.text import get_text_list

from accounts.buyers import BuyerDetails as BuyerDetails  # Django looks for models here.
from accounts.mail.models import KIND_LENGTH
from accounts.mail.models import OutgoingMail as OutgoingMail  # The same.
from accounts.maintenance import Maintenance as Maintenance  # The same.
from accounts.misar_ids import MISAR_ID_LENGTH, STAFF_PREFIX, validate_misar_id
from accounts.redactions import Redaction as Redaction  # The same.
from foundation.mailboxes import Addressed, not_filled

METHOD_LENGTH, PATH_LENGTH = 20, 200


class Plan(models.Model):
    """A plan sets the platform fee of its creators and how many API keys each creator may have."""

    slug = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=80)
    fee_bps = models.IntegerField(
        "platform fee", help_text="In basis points of the gross amount: 500 is 5 %."
    )
    key_limit = models.IntegerField(
        "API keys",
        null=True,
        blank=True,
        help_text="How many active keys a creator may have at the same time. Leave empty for no limit.",
    )

    class Meta:
        ordering = ("-fee_bps", "slug")
        constraints = [
            models.CheckConstraint(
                condition=Q(fee_bps__lte=10_000), name="accounts_plan_fee_is_at_most_the_whole"
            ),
            models.CheckConstraint(condition=Q(fee_bps__gte=0), name="accounts_plan_fee_is_not_negative"),
            models.CheckConstraint(
                condition=Q(key_limit=None) | Q(key_limit__gte=0),
                name="accounts_plan_key_limit_is_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """Creates users. Only staff have a password."""

    def create_user(self, misar_id: str, **fields: Any) -> "User":
        user = self.model(misar_id=misar_id, **fields)
        user.set_unusable_password()
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, misar_id: str, password: str | None = None, **fields: Any) -> "User":
        """Create a staff member with every permission.

        A Misar ID without the prefix `staff:` gets the prefix. No SSO user's Misar ID begins with `staff:`.
        """
        if not misar_id.startswith(STAFF_PREFIX):
            misar_id = STAFF_PREFIX + misar_id
        user = self.model(misar_id=misar_id, is_staff=True, is_superuser=True, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(Addressed, AbstractBaseUser, PermissionsMixin):
    """A Misar user or a staff member. A wallet refers to its user by the Misar ID, as `user_id`."""

    misar_id = models.CharField(
        "Misar ID", primary_key=True, max_length=MISAR_ID_LENGTH, validators=[validate_misar_id]
    )
    email = models.EmailField(blank=True)
    name = models.CharField(max_length=200, blank=True)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, default="free", related_name="users")
    is_staff = models.BooleanField("may enter the back-office", default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    mails_off = ArrayField(
        models.CharField(max_length=KIND_LENGTH),
        default=list,
        db_default=[],  # The previous release creates users without this field during an upgrade.
        blank=True,
        editable=False,
        help_text="The kinds of mail that this user switched off.",
    )
    mails_weekly = ArrayField(
        models.CharField(max_length=KIND_LENGTH),
        default=list,
        db_default=[],  # As above.
        blank=True,
        editable=False,
        help_text="The kinds of mail that this user gets once a week, all news in one mail.",
    )

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        default_permissions = ("view",)
        permissions = (
            ("assign_plan", "Can put a user on another plan"),
            ("grant_access", "Can give other users access to the back-office, and take it away"),
            ("export_lists", "Can download the lists of the back-office as files"),
            ("note_user", "Can write notes on users"),
        )
        # For searches by the beginning of a text, in upper or lower case. With this operator class, an index
        # serves LIKE in every collation. It serves equality too.
        indexes = [
            models.Index(
                OpClass(Upper("misar_id"), "text_pattern_ops"), name="accounts_user_misar_id_begins"
            ),
            models.Index(OpClass(Upper("email"), "text_pattern_ops"), name="accounts_user_email_begins"),
            models.Index(OpClass(Upper("name"), "text_pattern_ops"), name="accounts_user_name_begins"),
            # For searches by mailbox.
            models.Index(fields=["email"], opclasses=["text_pattern_ops"], name="accounts_user_compared"),
            models.Index(
                fields=["mailbox"],
                opclasses=["text_pattern_ops"],
                condition=~Q(mailbox=None),
                name="accounts_user_mailbox",
            ),
            models.Index(fields=["misar_id"], condition=not_filled("email"), name="accounts_user_not_filled"),
        ]

    ADDRESS_FIELD = COMPARED_FIELD = "email"
    USERNAME_FIELD = "misar_id"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.misar_id


class KeyUse(models.Model):
    """When a service key or an API key was last used, to the minute.

    Requests write this table, so that they don't write the tables of keys. On a cluster, each node has a copy
    of those, and a write would fail while one node is down. There is no foreign key, because it would lock
    the key's row.
    """

    digest = models.CharField(primary_key=True, max_length=64, help_text="The digest of the key's secret.")
    used_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.digest


class KeyQuerySet(models.QuerySet[Any]):
    """Service keys or API keys."""

    def usable(self, at: datetime | Now) -> Self:
        """Return the keys that are valid at this time: not revoked and not expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None)

    def with_last_use(self) -> Self:
        """Read with each key when it was last used, in the same query. It is None for a key without use."""
        use = KeyUse.objects.filter(digest=OuterRef("digest"))
        return self.annotate(last_used_at=Subquery(use.values("used_at")))


class Right(models.TextChoices):
    """What a service key may do (contract 76). A new right gets a line here; earlier keys don't get it."""

    READ = "read", "read"
    CHARGE = "charge", "charge"
    REFUND = "refund", "refund"
    TOPUP = "topup", "top up"
    GRANT = "grant", "grant"

    @classmethod
    def in_words(cls, rights: Collection[str]) -> str:
        """Return these rights as text, in the order of this class.

        >>> Right.in_words(["topup", "read"])
        'read and top up'
        """
        return get_text_list([right.label for right in cls if right in rights], "and")


# The rights of a key if its creator does not choose. All service keys of earlier releases have these rights.
DEFAULT_RIGHTS = ("read", "charge", "refund", "topup")


def default_rights() -> list[str]:
    """Return the rights of a key if its creator does not choose."""
    return list(DEFAULT_RIGHTS)


class StoppedProduct(models.Model):
    """A product that staff have stopped: its service keys may charge nothing until the row is deleted.

    The acts of staff say who stopped the product and why.
    """

    product = models.SlugField(primary_key=True, max_length=40)
    stopped_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.product


class ServiceKeyQuerySet(KeyQuerySet):
    """Service keys."""

    def with_product_state(self) -> Self:
        """Read with each key when its product was stopped, in the same query."""
        stop = StoppedProduct.objects.filter(product=OuterRef("product"))
        return self.annotate(product_stopped_at=Subquery(stop.values("stopped_at")))


class ServiceKey(models.Model):
    """A key with which a product acts on any wallet, within the key's rights.

    Of the secret, only a digest and the first characters (`prefix`) are stored.
    """

    product = models.SlugField(max_length=40, help_text="The product that charges: blog, mail, reach.")
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    feature_prefixes = ArrayField(
        models.CharField(max_length=100),
        default=list,
        blank=True,
        help_text="The key may charge only features whose names begin with one of these prefixes. Include "
        'the final dot: "blog.". Leave empty to allow every feature.',
    )
    rights = ArrayField(
        models.CharField(max_length=20),
        default=default_rights,
        db_default=list(DEFAULT_RIGHTS),  # The previous release creates keys without this field.
        help_text="What the key may do.",
    )
    # How much the product may grant to users with this key. A key with the right to grant has both.
    grant_max = models.BigIntegerField(null=True, blank=True, help_text="Credits of one grant, at most.")
    grant_month_max = models.BigIntegerField(
        null=True, blank=True, help_text="Credits that the product may grant in a UTC month, at most."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    last_used_at: datetime | None  # Only of a key that was read `with_last_use`.
    is_remembered = False  # Whether the key may be out of date (service_keys.remembered).

    objects = ServiceKeyQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")
        default_permissions = ("add", "view")
        permissions = (
            ("revoke_servicekey", "Can revoke a service key"),
            ("set_servicekey_rights", "Can change the rights of a service key"),
            ("stop_product", "Can stop a product, and let it go on"),
        )
        constraints = [
            # The conditions on NULL are needed: PostgreSQL accepts a row if a check gives NULL.
            models.CheckConstraint(
                condition=Q(
                    rights__contains=["grant"],
                    grant_max__isnull=False,
                    grant_max__gte=1,
                    grant_month_max__isnull=False,
                    grant_month_max__gte=1,
                )
                | ~Q(rights__contains=["grant"]),
                name="accounts_servicekey_grants_within_caps",
            )
        ]

    def __str__(self) -> str:
        return f"{self.product} ({self.prefix}…)"

    def may_charge(self, feature: str) -> bool:
        """Return whether this key may charge the feature (contract 7)."""
        return not self.feature_prefixes or feature.startswith(tuple(self.feature_prefixes))

    def may(self, right: str) -> bool:
        """Return whether this key has a right (contract 76)."""
        return right in self.rights

    @cached_property
    def product_stopped_at(self) -> datetime | None:
        """When staff stopped the key's product; None if the product is not stopped.

        `with_product_state` reads it with the key. Otherwise this is a query, once for each object.
        """
        stops = StoppedProduct.objects.filter(product=self.product)
        return stops.values_list("stopped_at", flat=True).first()


class ApiKey(models.Model):
    """A creator's `msk_` key. Its scopes say what the key may do with the owner's records."""

    class State(models.TextChoices):
        """The state of a key at a moment. It is computed and never stored."""

        ACTIVE = "active", "Active"
        EXPIRED = "expired", "Expired"
        REVOKED = "revoked", "Revoked"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, db_index=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=40))
    allowed_account_id = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    last_used_at: datetime | None  # Only of a key that was read `with_last_use`.

    objects = KeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        default_permissions = ("view",)
        permissions = (("revoke_apikey", "Can revoke an API key"),)
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="accounts_apikey_of_owner"),
            models.Index(fields=["-created_at"], name="accounts_apikey_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def state_at(self, moment: datetime) -> State:
        """Return the key's state at that moment."""
        if self.revoked_at:
            return self.State.REVOKED
        is_over = self.expires_at is not None and self.expires_at <= moment
        return self.State.EXPIRED if is_over else self.State.ACTIVE

    @property
    def state(self) -> State:
        """The key's state now."""
        return self.state_at(timezone.now())

    def is_usable(self, at: datetime) -> bool:
        """Return whether the key is valid at this time."""
        return self.state_at(at) == self.State.ACTIVE


class KeyRequest(models.Model):
    """A request that was made with an API key, for the key's owner to read. key_requests.py writes them.

    There is no foreign key in the database, as for KeyUse.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.ForeignKey(
        ApiKey, on_delete=models.CASCADE, related_name="requests", db_constraint=False, db_index=False
    )
    arrived_at = models.DateTimeField()
    method = models.CharField(max_length=METHOD_LENGTH)
    path = models.CharField(max_length=PATH_LENGTH, help_text="Without the query.")
    status = models.SmallIntegerField(help_text="The status of the answer.")
    request_id = models.CharField(max_length=128, help_text="The X-Request-ID of the answer.")

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["key", "-arrived_at"], name="accounts_keyrequest_newest"),
            models.Index(fields=["arrived_at"], name="accounts_keyrequest_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.status}"

    @property
    def phrase(self) -> str:
        """The name of the status in HTTP, such as Not Found."""
        return HTTPStatus(self.status).phrase


class PlanChange(models.Model):
    """The settings of a plan after a change, with the actor and the time. Rows are only added."""

    slug = models.CharField(max_length=40)
    name = models.CharField(max_length=80)
    fee_bps = models.IntegerField()
    key_limit = models.IntegerField(null=True)
    actor = models.CharField(max_length=300)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(fee_bps__gte=0), name="accounts_planchange_fee_is_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(key_limit=None) | Q(key_limit__gte=0),
                name="accounts_planchange_key_limit_is_not_negative",
            ),
        ]
        indexes = [models.Index(fields=["slug", "-created_at"], name="accounts_planchange_of_plan")]

    def __str__(self) -> str:
        return f"{self.slug}: {self.fee_bps} bps"


class Act(models.Model):
    """What a staff member did in the back-office, to which row and why.

    An act is written in the same transaction as its effect, and then does not change. There is one exception:
    the erasure of a reader removes the reader's address from the texts (Redaction).
    """

    staff = models.ForeignKey(User, on_delete=models.PROTECT, related_name="acts", db_index=False)
    verb = models.CharField(max_length=40, help_text="The action's name in the URL of its page.")
    label = models.CharField(max_length=80, help_text="The text of the action's button.")
    model = models.CharField(max_length=100, help_text="The model of the row, as wallet.wallet.")
    row_id = models.CharField(max_length=255)
    about = models.CharField(
        "Misar ID",
        max_length=MISAR_ID_LENGTH,
        blank=True,
        help_text="The user whom the action concerns; empty if there is none.",
    )
    told = models.TextField("what was done")
    reason = models.TextField(blank=True)
    form_key = models.CharField(
        max_length=64,
        help_text="The key of the form that asked for the action. If the form is sent twice, the action is "
        "done once.",
    )
    content = models.CharField(
        max_length=64, help_text="A digest of the form's URL and of the data that was sent with it."
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["staff", "form_key"], condition=~Q(form_key=""), name="accounts_act_form_once"
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at"], name="accounts_act_newest"),
            models.Index(fields=["model", "row_id", "-created_at"], name="accounts_act_of_row"),
            models.Index(fields=["about", "-created_at"], condition=~Q(about=""), name="accounts_act_about"),
            models.Index(fields=["staff", "-created_at"], name="accounts_act_of_staff"),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.row_id}"


class RateCounter(models.Model):
    """How many requests a caller made in a fixed window.

    The table is UNLOGGED: a crash of PostgreSQL loses these counts, but never money.
    """

    bucket = models.CharField(primary_key=True, max_length=64)
    window = models.BigIntegerField()
    hits = models.IntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.bucket
