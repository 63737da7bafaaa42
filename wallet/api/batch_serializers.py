"""The JSON of a batch of charges (contract 57)."""

from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from accounts.misar_ids import is_misar_id
from foundation.http.fields import REQUIRED, StrictSerializer, StrictText
from foundation.text import is_id
from wallet.api.serializers import DeductError, DeductionAllowed, DeductionDenied, DeductRequest
from wallet.books.models import FEATURE_LENGTH, KEY_LENGTH
from wallet.charges.batches import ITEMS_MAX, Item
from wallet.charges.deductions import COUNT_MAX


class DeductItem(DeductRequest):
    """One charge of a batch. An item that is not like this is that item's 400."""

    idempotency_key = StrictText(
        max_length=KEY_LENGTH,
        help_text="Made from the work. After a cut connection, send the batch again with the same keys.",
    )


class Items(serializers.Field):
    """A field for a list of 1 to ITEMS_MAX values of any kind."""

    default_error_messages: ClassVar[dict[str, Any]] = REQUIRED | {
        "invalid": "must be a list",
        "length": f"must hold 1 to {ITEMS_MAX} charges",
    }

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            self.fail("invalid")
        if not 1 <= len(data) <= ITEMS_MAX:
            self.fail("length")
        return data


class ItemsSchema(OpenApiSerializerFieldExtension):
    """Describes the list in the OpenAPI schema."""

    target_class = Items

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        item = auto_schema.resolve_serializer(DeductItem(), direction).ref
        return {
            "type": "array",
            "minItems": 1,
            "maxItems": ITEMS_MAX,
            "items": {"anyOf": [item, {}]},
            "description": "The charges. Another value than a charge is refused alone, with status 400.",
        }


class BatchRequest(StrictSerializer):
    """Up to 500 charges, of one user or of many."""

    items = Items()


def item_of(data: Any, reader: DeductItem) -> Item:
    """Return the charge that an item of a batch asks for. Raises a validation error if it is none.

    `reader` is used for all items: a serializer for each one would take longer than the charge. And it reads
    only what is not obviously good, since its fields take as long as all the rest of a charge.
    """
    match data:
        case {"user_id": str(user_id), "feature": str(feature), "idempotency_key": str(key)} if (
            is_misar_id(user_id)
            and len(feature) <= FEATURE_LENGTH
            and len(key) <= KEY_LENGTH
            and is_id(feature)
            and is_id(key)
        ):
            count = data.get("count", 1)
            if type(count) is int and 1 <= count <= COUNT_MAX:
                return Item(user_id, feature, count, key)
    accepted = reader.run_validation(data)
    return Item(accepted["user_id"], accepted["feature"], accepted["count"], accepted["idempotency_key"])


# --- The answer ---------------------------------------------------------------------------------------

STATUS = (
    "That of a single charge: 200, 400, 403, 409 or 500. With 503 it is not known whether it was charged: "
    "send the item again."
)


class ItemAllowed(DeductionAllowed):
    """The credits were taken, now or by an earlier request with the same key."""

    status = serializers.IntegerField(help_text=STATUS)
    replayed = serializers.BooleanField(
        required=False, help_text="True if it is the answer to an earlier request; else left out."
    )


class ItemDenied(DeductionDenied):
    """The charge was refused, and the credits, a budget or a freeze say why. Nothing was taken."""

    status = serializers.IntegerField(help_text=STATUS)


class ItemFailed(DeductError):
    """The charge failed as the single charge would have failed, with this status."""

    status = serializers.IntegerField(help_text=STATUS)


class BatchAnswer(serializers.Serializer):
    """What became of each charge, in the order of the request."""

    results = PolymorphicProxySerializer(
        component_name="BatchResult",
        serializers=[ItemAllowed, ItemDenied, ItemFailed],
        resource_type_field_name=None,
        many=True,
    )
