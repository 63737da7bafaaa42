"""The JSON of budgets (contract 45)."""

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from foundation.http.fields import WIRE_TIME, StrictInteger, StrictSerializer, StrictText
from wallet.api.serializers import MisarId, WithoutEmptyKeys
from wallet.charges.budgets import CREDITS_MAX
from wallet.charges.models import Budget


@extend_schema_field(serializers.ChoiceField(choices=Budget.Period.choices))
class Period(StrictText):
    """The period of a budget: `day` or `month`."""

    def to_internal_value(self, data: object) -> str:
        text = super().to_internal_value(data)
        if text not in Budget.Period.values:
            raise serializers.ValidationError(f"must be one of {', '.join(Budget.Period.values)}")
        return text


class BudgetRequest(StrictSerializer):
    """The most that the product may charge a user in a UTC day or month."""

    user_id = MisarId()
    period = Period(help_text="`day` or `month`, in UTC.")
    credits = StrictInteger(
        min_value=0, max_value=CREDITS_MAX, help_text="0 stops all charges of the product for this user."
    )
    alert_percent = StrictInteger(
        min_value=1, max_value=100, default=100, help_text="Kept for alerts, which are not sent yet."
    )


class BudgetRow(WithoutEmptyKeys, serializers.Serializer):
    """A budget in the period that is running."""

    user_id = serializers.CharField()
    set_by = serializers.ChoiceField(choices=Budget.SetBy.choices)
    product = serializers.CharField(
        required=False, help_text="Which product it limits; left out if it is over all products."
    )
    period = serializers.ChoiceField(choices=Budget.Period.choices)
    credits = serializers.IntegerField()
    spent = serializers.IntegerField(help_text="Charges and open holds of this period, less what came back.")
    left = serializers.IntegerField(help_text="0 if more was spent than the budget allows.")
    alert_percent = serializers.IntegerField()
    resets_at = serializers.DateTimeField(format=WIRE_TIME)


@extend_schema_serializer(many=False)
class BudgetsPage(serializers.Serializer):
    """All budgets; there is one page."""

    items = BudgetRow(many=True)
    nextCursor = serializers.CharField(allow_null=True)


class Deleted(serializers.Serializer):
    """It is gone, or was not there."""

    deleted = serializers.BooleanField()
