"""The JSON of grants (contract 42 to 44)."""

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from foundation.http.fields import WIRE_TIME, Moment, PlainText, StrictInteger, StrictSerializer, StrictText
from wallet.api.serializers import CodedError, MisarId, WithoutEmptyKeys
from wallet.books.models import KEY_LENGTH
from wallet.charges.models import Lot
from wallet.grants.granting import CREDITS_MAX, REASON_LENGTH


class GrantRequest(StrictSerializer):
    """Credits with an end, for a user."""

    user_id = MisarId(help_text="The Misar ID of the user who gets the credits.")
    credits = StrictInteger(min_value=1, max_value=CREDITS_MAX)
    expires_at = Moment(help_text="When what is left of them ends: one minute to five years ahead.")
    reason = PlainText(max_length=REASON_LENGTH, help_text="Why; the user sees it.")
    idempotency_key = StrictText(
        max_length=KEY_LENGTH, help_text="Made from the cause, such as welcome. The same key grants once."
    )


class GrantRow(WithoutEmptyKeys, serializers.ModelSerializer):
    """A grant as it is now; in the answer to a grant, as it was when it was made."""

    # The context has the time `now`, except for an answer to a grant.
    user_id = serializers.CharField(source="wallet_id")
    product = serializers.CharField(
        required=False, help_text="Which product granted it; left out if staff did."
    )
    transaction_id = serializers.CharField(source="entry_id")
    state = serializers.SerializerMethodField(
        help_text="`used`: all was spent. If something was left at `expires_at`, the grant has `expired`."
    )
    remaining = serializers.IntegerField(help_text="What was not spent; held credits included.")
    held = serializers.IntegerField(help_text="The part of it that open holds have set aside.")
    created_at = serializers.DateTimeField(format=WIRE_TIME)
    expires_at = serializers.DateTimeField(format=WIRE_TIME)

    class Meta:
        model = Lot
        fields = (
            *("id", "user_id", "product", "transaction_id", "state", "credits", "remaining", "held"),
            *("reason", "created_at", "expires_at"),
        )
        read_only_fields = ("id", "credits", "reason")

    @extend_schema_field(serializers.ChoiceField(choices=Lot.State.choices))
    def get_state(self, lot: Lot) -> str:
        return lot.state_at(self.context.get("now", lot.created_at))


@extend_schema_serializer(many=False)
class GrantsPage(serializers.Serializer):
    """Some grants, newest first."""

    items = GrantRow(many=True)
    nextCursor = serializers.CharField(allow_null=True)


class VoidGrantRequest(StrictSerializer):
    """The user of the grant to void."""

    user_id = MisarId()


class GrantVoided(serializers.Serializer):
    """What a void has taken back. A grant that had expired before stays as it is."""

    id = serializers.CharField(source="lot.pk")
    state = serializers.ChoiceField(choices=["voided", "expired", "used"])
    removed = serializers.IntegerField(help_text="Credits that the void took out of the wallet.")
    held = serializers.IntegerField(help_text="Credits that open holds keep; what they release is lost.")


class GrantError(CodedError):
    """The reason why nothing was granted."""

    left = serializers.IntegerField(
        required=False, help_text="With `over_cap`: how many credits the product can still grant at once."
    )
