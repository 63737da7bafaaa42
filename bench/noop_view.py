"""What gunicorn, Django and REST framework cost without any charge."""

from types import SimpleNamespace

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from foundation.http.views import JSONViewSet, no_store, shown
from wallet.api.serializers import DeductionAllowed, DeductRequest

ANSWER = SimpleNamespace(available_before=100, available_after=99, charged=1)


class LeanNoopView(JSONViewSet):
    """The same, read and answered in the same way as our charge."""

    def create(self, request: Request) -> HttpResponse:
        self.parsed(DeductRequest)
        return no_store(shown(DeductionAllowed, ANSWER))


class NoopView(APIView):
    """Reads the request and answers with our serializers, without credential and database."""

    def post(self, request: Request) -> Response:
        DeductRequest(data=request.data).is_valid(raise_exception=True)
        return Response(DeductionAllowed(ANSWER).data)
