"""The charge as most Django projects write it: lock the row, read it, decide in Python, save."""

from typing import cast

from django.db import IntegrityError, transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import actor_of
from accounts.authentication import ServiceKeyAuthentication
from accounts.errors import FeatureNotAllowed
from accounts.models import ServiceKey
from accounts.permissions import IsService
from bench.select_for_update_wallet.models import Entry, Wallet
from wallet.api.serializers import DeductionAllowed, DeductionDenied, DeductRequest
from wallet.errors import InsufficientCredits
from wallet.prices import rates


class SelectForUpdateCharge(APIView):
    """The same credential, price, answer and entry as ours; REST framework's own parser."""

    authentication_classes = [ServiceKeyAuthentication]
    permission_classes = [IsService]

    def post(self, request: Request) -> Response:
        service = cast(ServiceKey, request.auth)
        deduct = DeductRequest(data=request.data)
        deduct.is_valid(raise_exception=True)
        body = deduct.validated_data
        if not service.may_charge(body["feature"]):
            raise FeatureNotAllowed(body["feature"])
        try:
            entry = charge(
                user_id=body["user_id"],
                feature=body["feature"],
                count=body["count"],
                key=body["idempotency_key"],  # The bench always sends one.
                service=service,
            )
        except InsufficientCredits as denied:
            return Response(DeductionDenied(denied).data)
        return Response(DeductionAllowed(entry).data)


def charge(*, user_id: str, feature: str, count: int, key: str, service: ServiceKey) -> Entry:
    """The entry of this charge; the same key returns the first entry again.

    The key is looked up before the lock is taken, so the lock is held only as long as needed. If two requests
    with one key come at once, the second violates the unique constraint.
    """
    same = {"wallet_id": user_id, "product": service.product, "kind": "deduct", "idempotency_key": key}
    if first := Entry.objects.filter(**same).first():
        return first
    credits = rates.price(feature, count)
    try:
        with transaction.atomic():
            wallet = Wallet.objects.select_for_update().get(pk=user_id)
            if wallet.balance < credits:
                raise InsufficientCredits(available=wallet.balance, required=credits)
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
                actor=actor_of(service),
            )
    except IntegrityError:
        return Entry.objects.get(**same)
