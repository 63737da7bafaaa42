"""The base class of every API view."""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse, JsonResponse
from rest_framework import exceptions, serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from foundation.http.strict_json import StrictJSONParser, WrongMediaType

RENDERER = JSONRenderer()


class AlwaysJSON(BaseContentNegotiation):
    """Answers in JSON whatever `Accept` asks for, because there is no other format."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class JSONViewSet(ViewSet):
    """Reads strict JSON, answers only in JSON, and checks the rate limit before it checks permissions."""

    parser_classes = (StrictJSONParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AlwaysJSON
    format_kwarg = None
    # OPTIONS is not listed, because the CORS middleware answers preflight requests before any view.
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    reads_json: ClassVar[bool] = True
    # A throttle sets these headers. Every answer contains them.
    rate_limit_headers: Mapping[str, str] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        method = str(request.method)
        if method.lower() not in self.action_map:
            raise exceptions.MethodNotAllowed(method)  # Callers without credentials get this too.
        self.perform_authentication(request)
        # DRF checks permissions first. Here throttles run first, so that every authenticated request counts
        # (contract 15).
        self.check_throttles(request)
        self.check_permissions(request)
        if method in {"POST", "PUT", "PATCH"} and self.reads_json:
            _require_json(request)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(response, JsonResponse):
            # This error is already complete JSON, so DRF does not have to render it.
            if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                response["Allow"] = ", ".join(self.allowed_methods)
        else:
            response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in self.rate_limit_headers.items():
            response[name] = value
        return response

    def parsed(self, shape: type[serializers.Serializer], data: Any = None) -> dict[str, Any]:
        """Return the validated body (or `data`). Raise a validation error if it does not fit `shape`."""
        return dict(_kept(shape).run_validation(self.request.data if data is None else data))


def shown(shape: type[serializers.Serializer], instance: Any) -> dict[str, Any]:
    """Return an object in the form of an answer. `shape` needs no context."""
    return dict(_kept(shape).to_representation(instance))


@cache
def _kept(shape: type[serializers.Serializer]) -> serializers.Serializer:
    """Return the serializer that reads, or shows, all of this shape. Neither keeps anything in it.

    DRF makes new fields for each serializer, which costs a charge more than all its other reading.
    """
    return shape()


def _require_json(request: Request) -> None:
    media_type, _, parameters = (request.content_type or "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media_type.strip().lower() != "application/json" or charset not in {"", "utf-8", "utf8"}:
        raise WrongMediaType


def no_store(body: Any, *, status: int = 200) -> HttpResponse:
    """Return an answer in JSON that no cache may store.

    It is rendered at once, since there is only one format. DRF's own Response waits for a renderer.
    """
    return HttpResponse(
        RENDERER.render(body),
        content_type="application/json",
        status=status,
        headers={"Cache-Control": "no-store"},
    )
