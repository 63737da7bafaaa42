"""The charge as most Django projects write it: lock the row, look, decide in Python, save."""

from typing import cast

from django.db import IntegrityError, transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ServiceKeyAuthentication
from accounts.errors import FeatureNotAllowed
from accounts.models import ServiceKey
from accounts.permissions import IsService
from bench.usual.models import Entry, Wallet
from wallet.api.serializers import DeductionAllowed, DeductionDenied, DeductRequest
from wallet.errors import InsufficientCredits
from wallet.prices import rates


class UsualCharge(APIView):
    """The same credential, price, answer and entry as ours; REST framework's own parser."""

    authentication_classes = [ServiceKeyAuthentication]
    permission_classes = [IsService]

    def post(self, request: Request) -> Response:
        service = cast(ServiceKey, request.auth)
        reading = DeductRequest(data=request.data)
        reading.is_valid(raise_exception=True)
        asked = reading.validated_data
        if not service.may_charge(asked["feature"]):
            raise FeatureNotAllowed(asked["feature"])
        try:
            entry = charge(
                user_id=asked["user_id"],
                feature=asked["feature"],
                count=asked["count"],
                key=asked["idempotency_key"],  # The bench always sends one.
                service=service,
            )
        except InsufficientCredits as denied:
            return Response(DeductionDenied(denied).data)
        return Response(DeductionAllowed(entry).data)


def charge(*, user_id: str, feature: str, count: int, key: str, service: ServiceKey) -> Entry:
    """The entry of this charge; with the same key, the first one again.

    The key is looked for before the lock is taken, to hold it no longer than needed; of two at once the
    second meets the unique constraint.
    """
    same = {"wallet_id": user_id, "product": service.product, "kind": "deduct", "idempotency_key": key}
    if first := Entry.objects.filter(**same).first():
        return first
    credits = rates.price(feature, count)
    try:
        with transaction.atomic():
            wallet = Wallet.objects.select_for_update().get(pk=user_id)
            if wallet.balance < credits:
                raise InsufficientCredits(balance=wallet.balance, required=credits)
            wallet.balance -= credits
            wallet.entries_count += 1
            wallet.save()
            return Entry.objects.create(
                **same,
                sequence=wallet.entries_count,
                credits=-credits,
                balance_after=wallet.balance,
                feature=feature,
                count=count,
                actor=f"service:{service.prefix}",
            )
    except IntegrityError:
        return Entry.objects.get(**same)
