"""The JSON of the wallet's requests and answers, with all its names (contract part B, section 2)."""

from typing import Any

from rest_framework import serializers

from accounts.misar_ids import MISAR_ID_LENGTH, is_misar_id
from foundation.http.fields import WIRE_TIME, StrictInteger, StrictSerializer, StrictText
from wallet.books.models import FEATURE_LENGTH, KEY_LENGTH, PRODUCT_LENGTH, Entry
from wallet.charges.deductions import COUNT_MAX
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


class DeductionAllowed(serializers.Serializer):
    """The credits were taken."""

    allowed = serializers.SerializerMethodField(method_name="get_allowed")
    balanceBefore = serializers.IntegerField(source="balance_before")
    balanceAfter = serializers.IntegerField(source="balance_after")
    deducted = serializers.IntegerField(source="charged")

    def get_allowed(self, entry: Entry) -> bool:
        return True


class DeductionDenied(serializers.Serializer):
    """The wallet has fewer credits than the price. No credits were taken."""

    allowed = serializers.SerializerMethodField(method_name="get_allowed")
    balanceBefore = serializers.IntegerField(source="balance")
    required = serializers.IntegerField(  # type: ignore[assignment]  # The JSON has this name.
        help_text="The full price of the request, in credits."
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


class Balance(serializers.Serializer):
    """A user's balance."""

    credits = serializers.IntegerField(help_text="Whole credits; negative after a clawback.")


class EntryRow(serializers.ModelSerializer):
    """One transaction. `feature` and `stripe_session_id` are left out if they are empty."""

    type = serializers.ChoiceField(choices=Entry.Kind.choices, source="kind")
    feature = serializers.CharField(required=False)
    stripe_session_id = serializers.CharField(required=False)
    created_at = serializers.DateTimeField(format=WIRE_TIME)

    class Meta:
        model = Entry
        fields = ("id", "type", "feature", "credits", "balance_after", "stripe_session_id", "created_at")
        read_only_fields = ("id", "credits", "balance_after")

    def to_representation(self, instance: Entry) -> dict[str, Any]:
        row = super().to_representation(instance)
        return {name: value for name, value in row.items() if value != ""}


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


class DeductError(WalletError):
    """The reason why a charge failed. `allowed` is false, for callers that read only this field."""

    allowed = serializers.BooleanField(help_text="False, always.")
