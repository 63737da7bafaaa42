"""The JSON of the wallet's requests and answers, with all its names (contract part B, section 2)."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from accounts.misar_ids import MISAR_ID_LENGTH, is_misar_id
from foundation.http.fields import WIRE_TIME, Moment, PlainText, StrictInteger, StrictSerializer, StrictText
from foundation.identifiers import IDENTIFIER_LENGTH
from wallet.api.codes import Code
from wallet.books.models import FEATURE_LENGTH, KEY_LENGTH, PRODUCT_LENGTH, Entry
from wallet.charges.deductions import COUNT_MAX
from wallet.charges.give_backs import CREDITS_MAX
from wallet.charges.holds import TTL_SECONDS_DEFAULT, TTL_SECONDS_MAX
from wallet.charges.models import Budget, GiveBack, Hold
from wallet.payments.checkout import DOLLARS_MAX, DOLLARS_MIN
from wallet.prices.models import Rate


class MisarId(StrictText):
    """A user's Misar ID. `accounts.misar_ids` decides whether it is valid.

    The error for an id that is not valid has the same sentence as the error of a text field.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MISAR_ID_LENGTH, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        misar_id = super().run_validation(data)
        if not is_misar_id(misar_id):
            self.fail("invalid")
        return misar_id


class DeductRequest(StrictSerializer):
    """A charge for the use of a feature."""

    user_id = MisarId(help_text="The Misar ID of the user to charge.")
    feature = StrictText(max_length=FEATURE_LENGTH, help_text="A feature of the rate table.")
    count = StrictInteger(
        min_value=1,
        max_value=COUNT_MAX,
        default=1,
        help_text="Units; the price is count × the rate's credits.",
    )
    idempotency_key = StrictText(
        max_length=KEY_LENGTH,
        required=False,
        help_text="Made from the work, such as article:my-post-slug. The same key never charges twice.",
    )


class WithoutEmptyKeys(serializers.Serializer):
    """The base of answers that leave keys out if they do not apply (contract 26)."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        answer = super().to_representation(instance)
        return {name: value for name, value in answer.items() if value not in (None, "")}


class Allowed(serializers.Serializer):
    """The base of answers that allow what was asked for."""

    allowed = serializers.SerializerMethodField(method_name="get_allowed")
    balanceBefore = serializers.IntegerField(
        source="available_before", help_text="What could be spent before."
    )
    balanceAfter = serializers.IntegerField(source="available_after", help_text="What can be spent now.")

    def get_allowed(self, instance: Any) -> bool:
        return True


class DeductionAllowed(Allowed):
    """The credits were taken."""

    deducted = serializers.IntegerField(source="charged")


class LimitedBy(serializers.Serializer):
    """What refuses a charge although there may be enough credits. All but `limit` are of a budget."""

    limit = serializers.ChoiceField(
        choices=["frozen", "budget"],
        help_text="`frozen`: staff stopped all charges. `budget`: it is the one with the least left.",
    )
    setBy = serializers.ChoiceField(choices=Budget.SetBy.choices, required=False)
    product = serializers.CharField(required=False, help_text="Left out if it is over all products.")
    period = serializers.ChoiceField(choices=Budget.Period.choices, required=False)
    credits = serializers.IntegerField(required=False, help_text="The most that may be spent in the period.")
    spent = serializers.IntegerField(required=False)
    resetsAt = serializers.DateTimeField(format=WIRE_TIME, required=False)


class DeductionDenied(WithoutEmptyKeys):
    """The wallet has fewer credits than the price, or a budget has, or staff froze the wallet.

    Nothing was taken or set aside.
    """

    allowed = serializers.SerializerMethodField(method_name="get_allowed")
    balanceBefore = serializers.IntegerField(
        source="available", help_text="What could be spent on this request; less than `required`."
    )
    required = serializers.IntegerField(  # type: ignore[assignment]  # The JSON has this name.
        help_text="The full price of the request, in credits."
    )
    limitedBy = LimitedBy(
        source="limited_by", required=False, help_text="What refuses it, if it is not the credits."
    )

    def get_allowed(self, denied: Any) -> bool:
        return False


class TopUpRequest(StrictSerializer):
    """A request to buy credits for whole dollars."""

    user_id = MisarId()
    amountDollars = StrictInteger(
        min_value=DOLLARS_MIN,
        max_value=DOLLARS_MAX,
        error_messages={
            "min_value": f"Minimum top-up is ${DOLLARS_MIN}",
            "max_value": f"Maximum top-up per transaction is ${DOLLARS_MAX:,}",
        },
    )
    product = StrictText(
        max_length=PRODUCT_LENGTH, help_text="The product the user came from: blog, mail, reach."
    )
    returnUrl = StrictText(
        help_text="Where to come back to: a path, or an https address of a Misar site. Anything else is "
        "ignored and the user comes back to the wallet page."
    )


class TopUpSession(serializers.Serializer):
    """The URL where the user pays."""

    url = serializers.URLField()


# --- Holds, refunds and quotes ------------------------------------------------------------------------


class HoldRequest(StrictSerializer):
    """Credits to set aside for work that is about to begin."""

    user_id = MisarId(help_text="The Misar ID of the user who will be charged.")
    feature = StrictText(max_length=FEATURE_LENGTH, help_text="A feature of the rate table.")
    count = StrictInteger(
        min_value=1,
        max_value=COUNT_MAX,
        default=1,
        help_text="The most units that the work can need. The price is the rate's now, and stays.",
    )
    ttl_seconds = StrictInteger(
        min_value=1,
        max_value=TTL_SECONDS_MAX,
        default=TTL_SECONDS_DEFAULT,
        help_text="After this time the hold ends by itself.",
    )
    idempotency_key = StrictText(
        max_length=KEY_LENGTH,
        help_text="Made from the work, such as chat:77. The same key never makes two holds.",
    )


class HoldMade(Allowed):
    """The credits are set aside. Nothing was charged yet."""

    holdId = serializers.CharField(source="pk")
    held = serializers.IntegerField(source="credits")
    expiresAt = serializers.DateTimeField(source="first_expires_at", format=WIRE_TIME)


class CaptureRequest(StrictSerializer):
    """How many units of a hold to charge."""

    user_id = MisarId()
    count = StrictInteger(
        min_value=1,
        max_value=COUNT_MAX,
        required=False,
        help_text="At most the hold's; default: all of them.",
    )


class VoidRequest(StrictSerializer):
    """The user of the hold to void."""

    user_id = MisarId()


class ExtendRequest(StrictSerializer):
    """How long a hold should still last."""

    user_id = MisarId()
    ttl_seconds = StrictInteger(
        min_value=1, max_value=TTL_SECONDS_MAX, help_text="From now. A hold that lasts longer already stays."
    )


class ChargeId(serializers.CharField):
    """The id of the entry that captured a hold. The context has these ids, by the hold's id."""

    def get_attribute(self, instance: Hold) -> str | None:
        charge_id: str | None = self.context["charge_ids"].get(instance.pk)
        return charge_id


class HoldRow(WithoutEmptyKeys, serializers.ModelSerializer):
    """A hold. Fields that do not apply are left out."""

    user_id = serializers.CharField(source="wallet_id")
    state = serializers.ChoiceField(
        choices=Hold.State.choices, help_text="A hold has expired from `expires_at` on."
    )
    captured_count = serializers.IntegerField(required=False, help_text="The units that were charged.")
    captured_credits = serializers.IntegerField(required=False, help_text="The credits that were charged.")
    transaction_id = ChargeId(required=False, help_text="The charge of a captured hold.")
    created_at = serializers.DateTimeField(format=WIRE_TIME)
    expires_at = serializers.DateTimeField(format=WIRE_TIME)
    ended_at = serializers.DateTimeField(
        format=WIRE_TIME, required=False, help_text="When it was captured or voided, or had expired."
    )

    class Meta:
        model = Hold
        fields = (
            *("id", "user_id", "product", "state", "feature", "count", "credits", "captured_count"),
            *("captured_credits", "transaction_id", "created_at", "expires_at", "ended_at"),
        )
        read_only_fields = ("id", "product", "feature", "count", "credits")


@extend_schema_serializer(many=False)
class HoldsPage(serializers.Serializer):
    """Some holds, newest first."""

    items = HoldRow(many=True)
    nextCursor = serializers.CharField(allow_null=True)


class RefundRequest(StrictSerializer):
    """A charge, or a part of it, to give back. Exactly one field names the charge."""

    user_id = MisarId()
    transaction_id = StrictText(max_length=IDENTIFIER_LENGTH, required=False, help_text="The charge's id.")
    charge_key = StrictText(
        max_length=KEY_LENGTH, required=False, help_text="The idempotency key that the charge was made with."
    )
    hold_id = StrictText(max_length=IDENTIFIER_LENGTH, required=False, help_text="The hold that it captured.")
    credits = StrictInteger(
        min_value=1,
        max_value=CREDITS_MAX,
        required=False,
        help_text="Default: all that is left of the charge.",
    )
    reason = PlainText(max_length=500, allow_blank=True, default="", help_text="Why; staff see it.")
    idempotency_key = StrictText(
        max_length=KEY_LENGTH, help_text="The same key never gives back twice. It is not the charge's key."
    )

    SELECTORS: ClassVar[dict[str, str]] = {
        "transaction_id": "pk",
        "charge_key": "idempotency_key",
        "hold_id": "hold_id",
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs.keys() & self.SELECTORS.keys()) != 1:
            names = "transaction_id, charge_key and hold_id"
            raise serializers.ValidationError(f"Name the charge by exactly one of {names}")
        return attrs


class Refunded(serializers.ModelSerializer):
    """The credits are back in the wallet."""

    transaction_id = serializers.CharField(source="entry_id")
    reverses = serializers.CharField(source="entry.reverses_id", help_text="The charge.")
    refunded = serializers.IntegerField(source="entry.credits")

    class Meta:
        model = GiveBack
        fields = ("transaction_id", "reverses", "refunded", "refundable", "lapsed", "available")
        read_only_fields = ("refundable", "lapsed", "available")


class QuoteRequest(StrictSerializer):
    """A charge that the product thinks of making."""

    user_id = MisarId()
    feature = StrictText(max_length=FEATURE_LENGTH)
    count = StrictInteger(min_value=1, max_value=COUNT_MAX, default=1)


class GrantFunds(WithoutEmptyKeys, serializers.Serializer):
    """What a grant has left."""

    id = serializers.SerializerMethodField(
        method_name="get_id", help_text="Left out if another product granted it."
    )
    remaining = serializers.IntegerField(help_text="What was not spent; held credits included.")
    held = serializers.IntegerField()
    expires_at = serializers.DateTimeField(format=WIRE_TIME)

    def get_id(self, grant: Any) -> str | None:
        own_product = self.context["product"]  # None: a user, who sees all.
        return grant.id if own_product in (None, grant.product) else None


class Funds(serializers.Serializer):
    """What a user has at one time, in credits."""

    # The context has the `product` that asks, or None.
    user_id = serializers.CharField()
    at = Moment()  # A past time may be of a year with fewer than four digits.
    balance = serializers.IntegerField(help_text="What the ledger says; negative in a debt.")
    held = serializers.IntegerField(help_text="What open holds have set aside.")
    available = serializers.IntegerField(help_text="What can be spent now: the balance less what is held.")
    paid = serializers.IntegerField(help_text="What did not come from a grant.")
    granted = serializers.IntegerField(help_text="What grants have left.")
    grants = GrantFunds(many=True, help_text="Grants with credits left, in the order in which they pay.")


class Balance(serializers.Serializer):
    """A user's balance."""

    credits = serializers.IntegerField(help_text="Whole credits; negative after a clawback.")


class EntryRow(WithoutEmptyKeys, serializers.ModelSerializer):
    """One transaction. `feature` and `stripe_session_id` are left out if they are empty."""

    type = serializers.ChoiceField(choices=Entry.Kind.choices, source="kind")
    feature = serializers.CharField(required=False)
    stripe_session_id = serializers.CharField(required=False)
    created_at = serializers.DateTimeField(format=WIRE_TIME)

    class Meta:
        model = Entry
        fields = ("id", "type", "feature", "credits", "balance_after", "stripe_session_id", "created_at")
        read_only_fields = ("id", "credits", "balance_after")


class TransactionsPage(serializers.Serializer):
    """Some transactions, newest first."""

    items = EntryRow(many=True, source="entries")
    nextCursor = serializers.CharField(allow_null=True, source="next_cursor")


class RateRow(serializers.ModelSerializer):
    """The price of one unit of a feature."""

    class Meta:
        model = Rate
        fields = ("feature", "label", "credits", "unit")


class RateTable(serializers.Serializer):
    """Every active rate, ordered by feature."""

    rates = RateRow(many=True)


class Received(serializers.Serializer):
    """The event is stored."""

    received = serializers.BooleanField()


class WalletError(serializers.Serializer):
    """The reason why a request failed."""

    error = serializers.CharField()


class CodedError(WalletError):
    """The reason why a request failed, as a sentence for people and as a code for programs."""

    code = serializers.ChoiceField(choices=Code.choices)


class DecisionError(CodedError):
    """The reason why a hold was not made. `allowed` is false, for callers that read only this field."""

    allowed = serializers.BooleanField(help_text="False, always.")


class RefundError(CodedError):
    """The reason why nothing was given back."""

    refundable = serializers.IntegerField(
        required=False,
        help_text="With `nothing_left`: how many credits of the charge can still be given back.",
    )


class DeductError(WalletError):
    """The reason why a charge failed. `allowed` is false, for callers that read only this field."""

    allowed = serializers.BooleanField(help_text="False, always.")
