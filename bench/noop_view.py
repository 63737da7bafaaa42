"""What gunicorn, Django and REST framework cost without any charge."""

from types import SimpleNamespace

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from wallet.api.serializers import DeductionAllowed, DeductRequest

ANSWER = SimpleNamespace(available_before=100, available_after=99, charged=1)


class NoopView(APIView):
    """Reads the request and answers with our serializers, without credential and database."""

    def post(self, request: Request) -> Response:
        DeductRequest(data=request.data).is_valid(raise_exception=True)
        return Response(DeductionAllowed(ANSWER).data)
