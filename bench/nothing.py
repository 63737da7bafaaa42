"""The floor: what gunicorn, Django and REST framework cost before anybody has charged anything."""

from types import SimpleNamespace

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from wallet.api.serializers import DeductionAllowed, DeductRequest

ALWAYS = SimpleNamespace(balance_before=100, balance_after=99, charged=1)


class Nothing(APIView):
    """Reads the request and writes an answer with our serializers. No credential, no database."""

    def post(self, request: Request) -> Response:
        DeductRequest(data=request.data).is_valid(raise_exception=True)
        return Response(DeductionAllowed(ALWAYS).data)
