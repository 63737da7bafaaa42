"""The request and the answer of a charge in plain REST framework."""

from rest_framework import serializers

from accounts.misar_ids import MISAR_ID_LENGTH
from wallet.books.models import FEATURE_LENGTH, KEY_LENGTH
from wallet.charges.deductions import COUNT_MAX


class ChargeRequest(serializers.Serializer):
    """A charge for the use of a feature."""

    user_id = serializers.CharField(max_length=MISAR_ID_LENGTH)
    feature = serializers.CharField(max_length=FEATURE_LENGTH)
    count = serializers.IntegerField(min_value=1, max_value=COUNT_MAX, default=1)
    idempotency_key = serializers.CharField(max_length=KEY_LENGTH)


class ChargeAnswer(serializers.Serializer):
    """The credits before and after a charge; `allowed` is false if there were too few."""

    allowed = serializers.BooleanField()
    balanceBefore = serializers.IntegerField()
    balanceAfter = serializers.IntegerField()
    deducted = serializers.IntegerField()
