"""The requests and answers of the API. Only this module names their fields (contract part B, section 4)."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from foundation.http.fields import Moment, PlainText, StrictInteger, StrictSerializer, StrictText
from monetization.fields import (
    DEFAULT_CURRENCY,
    Currency,
    Email,
    ExactChoice,
    Message,
    WebAddress,
    out_of_step,
)
from monetization.models import (
    MESSAGE_LENGTH,
    NAME_LENGTH,
    PLAN_LENGTH,
    PRICE_CENTS_MAX,
    STRIPE_ID_LENGTH,
    Sponsor,
    Subscription,
    Tip,
)
from monetization.subscriptions import AHEAD_MAX

TIP_CENTS_MIN = 50
TIP_CENTS_MAX = 100_000


# --- Requests ---------------------------------------------------------------------------------------


class SponsorRequest(StrictSerializer):
    """A placement that the creator has sold."""

    sponsor_name = PlainText(max_length=NAME_LENGTH)
    logo_url = WebAddress("https", help_text="Shown to readers; never fetched by us.")
    target_url = WebAddress("http", "https")
    position = ExactChoice(Sponsor.Position)
    active_from = Moment()
    active_until = Moment(help_text="Not included: the period ends just before.")
    price_cents = StrictInteger(min_value=0, max_value=PRICE_CENTS_MAX, required=False)
    currency = Currency(default=DEFAULT_CURRENCY)

    def across(self, accepted: Mapping[str, Any]) -> dict[str, list[str]]:
        errors = out_of_step(accepted, "price_cents")
        begins, ends = accepted.get("active_from"), accepted.get("active_until")
        if begins and ends and ends <= begins:
            errors["active_until"] = ["must be after active_from"]
        return errors


class SubscriptionRequest(StrictSerializer):
    """A new paid subscription of a reader."""

    subscriber_email = Email()
    plan = PlainText(max_length=PLAN_LENGTH)
    amount_cents = StrictInteger(min_value=0, max_value=PRICE_CENTS_MAX)
    currency = Currency()
    stripe_subscription_id = StrictText(max_length=STRIPE_ID_LENGTH, required=False)

    def across(self, accepted: Mapping[str, Any]) -> dict[str, list[str]]:
        return out_of_step(accepted, "amount_cents")


class SubscriptionChange(StrictSerializer):
    """The changes to a subscription. A field that is not given does not change."""

    status = ExactChoice(Subscription.Status, required=False)
    plan = PlainText(max_length=PLAN_LENGTH, required=False)
    amount_cents = StrictInteger(min_value=0, max_value=PRICE_CENTS_MAX, required=False)
    occurred_at = Moment(
        required=False, help_text="When it happened; an older change never overwrites a newer one."
    )

    def across(self, accepted: Mapping[str, Any]) -> dict[str, list[str]]:
        occurred_at = accepted.get("occurred_at")
        if occurred_at and occurred_at > timezone.now() + AHEAD_MAX:
            return {"occurred_at": ["must not be in the future"]}
        return {}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.keys() & {"status", "plan", "amount_cents"}:
            raise serializers.ValidationError("Say what changes: status, plan or amount_cents")
        return attrs


class TipRequest(StrictSerializer):
    """A reader's tip."""

    amount_cents = StrictInteger(min_value=TIP_CENTS_MIN, max_value=TIP_CENTS_MAX)
    currency = Currency(default=DEFAULT_CURRENCY)
    email = Email(required=False)
    name = PlainText(max_length=NAME_LENGTH, required=False)
    message = Message(max_length=MESSAGE_LENGTH, required=False)
    stripe_payment_id = StrictText(max_length=STRIPE_ID_LENGTH, required=False)

    def across(self, accepted: Mapping[str, Any]) -> dict[str, list[str]]:
        return out_of_step(accepted, "amount_cents")


# --- Answers ----------------------------------------------------------------------------------------


class SponsorRow(serializers.ModelSerializer):
    """A placement in the list."""

    active_from = Moment()
    active_until = Moment()

    class Meta:
        model = Sponsor
        fields = ("id", "sponsor_name", "logo_url", "target_url", "position", "active_from", "active_until")


class SponsorMade(SponsorRow):
    """A placement that was just recorded."""

    class Meta:
        model = Sponsor
        fields = ("id", "sponsor_name", "position", "active_from", "active_until")


class SubscriptionRow(serializers.ModelSerializer):
    """A subscription in the list."""

    created_at = Moment()

    class Meta:
        model = Subscription
        fields = ("id", "subscriber_email", "plan", "amount_cents", "currency", "status", "created_at")


class SubscriptionMade(serializers.Serializer):
    """A subscription that was just recorded."""

    id = serializers.CharField()
    subscriber_email = serializers.CharField()
    plan = serializers.CharField()
    status = serializers.CharField(help_text="Always active.")


class TipMade(serializers.Serializer):
    """A tip that was recorded, with its platform fee and its net amount."""

    success = serializers.SerializerMethodField()
    tip_id = serializers.CharField(source="pk")
    gross_amount_cents = serializers.IntegerField(source="gross_cents")
    platform_fee_cents = serializers.IntegerField(source="fee_cents")
    net_amount_cents = serializers.IntegerField(source="net_cents")
    timestamp = Moment(source="created_at")

    def get_success(self, tip: Tip) -> bool:
        return True


class TipRow(serializers.ModelSerializer):
    """A tip in the list."""

    gross_amount_cents = serializers.IntegerField(source="gross_cents")
    platform_fee_cents = serializers.IntegerField(source="fee_cents")
    net_amount_cents = serializers.IntegerField(source="net_cents")
    created_at = Moment()

    class Meta:
        model = Tip
        fields = (
            "id",
            "gross_amount_cents",
            "platform_fee_cents",
            "net_amount_cents",
            "currency",
            "refunded_cents",
            "fee_returned_cents",
            "email",
            "name",
            "message",
            "stripe_payment_id",
            "created_at",
        )


class ChurnFigures(serializers.Serializer):
    """How many of the readers who paid 30 days ago no longer pay."""

    left = serializers.IntegerField()
    of = serializers.IntegerField()
    percent = serializers.FloatField(allow_null=True, help_text="null where nobody paid 30 days ago.")


class CurrencyFigures(serializers.Serializer):
    """The figures of one currency. Amounts are in its smallest unit."""

    gross_cents = serializers.IntegerField()
    fee_cents = serializers.IntegerField()
    net_cents = serializers.IntegerField()
    refunded_cents = serializers.IntegerField()
    fee_returned_cents = serializers.IntegerField()
    net_after_refunds_cents = serializers.IntegerField()
    tips = serializers.IntegerField()
    sponsors_booked = serializers.IntegerField()
    sponsors_booked_cents = serializers.IntegerField()
    mrr_cents = serializers.IntegerField()
    at_risk_cents = serializers.IntegerField()
    paying_subscribers = serializers.IntegerField()
    subscriptions_of_unknown_interval = serializers.IntegerField()
    churn = ChurnFigures()


class StatsData(serializers.Serializer):
    """A creator's figures for each currency."""

    period = serializers.CharField()
    since = Moment()
    until = Moment()
    currencies = serializers.DictField(child=CurrencyFigures())
