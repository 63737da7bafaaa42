"""The charge as most Django projects write it: lock the row, read it, decide in Python, save."""

from typing import cast

from django.db import IntegrityError, transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.select_for_update_wallet.authentication import KeyAuthentication
from bench.select_for_update_wallet.models import Entry, Rate, ServiceKey, Wallet
from bench.select_for_update_wallet.serializers import ChargeAnswer, ChargeRequest
from bench.settings import USUAL


class NotEnough(Exception):
    """Raised when a wallet has fewer credits than the price."""

    def __init__(self, balance: int) -> None:
        self.balance = balance


class SelectForUpdateCharge(APIView):
    """The same request, credential, price, answer and entry as ours."""

    authentication_classes = [KeyAuthentication]

    def post(self, request: Request) -> Response:
        body = ChargeRequest(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            entry = charge(service=cast(ServiceKey, request.auth), **body.validated_data)
        except NotEnough as refusal:
            before = after = refusal.balance
        else:
            before, after = entry.balance_after - entry.credits, entry.balance_after
        answer = {
            "allowed": before != after,
            "balanceBefore": before,
            "balanceAfter": after,
            "deducted": before - after,
        }
        return Response(ChargeAnswer(answer).data)


def charge(*, service: ServiceKey, user_id: str, feature: str, count: int, idempotency_key: str) -> Entry:
    """The entry of this charge; the same key returns the first entry again.

    The key is looked up before the lock is taken, so the lock is held only as long as needed. If two requests
    with one key come at once, the second violates the unique constraint.
    """
    same = {
        "wallet_id": user_id,
        "product": service.product,
        "kind": "deduct",
        "idempotency_key": idempotency_key,
    }
    if first := Entry.objects.filter(**same).first():
        return first
    credits = Rate.objects.get(feature=feature, active=True).credits * count
    try:
        with transaction.atomic(using=USUAL):
            wallet = Wallet.objects.select_for_update().get(pk=user_id)
            if wallet.balance < credits:
                raise NotEnough(wallet.balance)
            wallet.balance -= credits
            wallet.entries_count += 1
            wallet.save()
            return Entry.objects.create(
                **same,
                sequence=wallet.entries_count,
                credits=-credits,
                balance_after=wallet.balance,
                held=wallet.held,
                feature=feature,
                count=count,
                actor=f"service:{service.prefix}",
            )
    except IntegrityError:
        return Entry.objects.get(**same)
