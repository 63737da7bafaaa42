"""What every call of Stripe's API needs: key, delay, failure, idempotency, expansion, form of the answer."""

import hmac
import json
import os
import time
from base64 import b64decode
from collections.abc import Callable
from functools import partial

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from sandbox import behaviour, expansion, idempotency, shapes, store
from sandbox.errors import Outage, StripeError, Unauthenticated, UnknownAddress
from sandbox.idempotency import Answer
from sandbox.parameters import Parameters, Tree, decoded
from sandbox.store import Body

Handler = Callable[..., Body]
# How soon a call that waits learns of a shorter delay.
LOOKS_EVERY_SECONDS = 0.1


def endpoint(
    of: str, *, get: Handler | None = None, post: Handler | None = None
) -> Callable[..., JsonResponse]:
    """A view that answers like Stripe's HTTP API, with a handler for each method.

    Handlers answer with an object of the type `of`, or with a list of such objects.
    """
    handlers = {"GET": get, "POST": post}

    @csrf_exempt
    def view(request: HttpRequest, **ids: str) -> JsonResponse:
        try:
            _require_key(request)
            handler = handlers.get(request.method or "")
            if handler is None:
                raise _unknown_address(request)
            answer = _answer(request, partial(handler, **ids), of=of)
        except StripeError as error:
            answer = Answer(error.status, error.body())
        return _response(request, answer)

    return view


@csrf_exempt
def unknown(request: HttpRequest, path: str) -> JsonResponse:
    """The answer for every other address below /v1."""
    error = _unknown_address(request)
    return _response(request, Answer(error.status, error.body()))


def _answer(request: HttpRequest, handler: Handler, *, of: str) -> Answer:
    tree = decoded(
        (name, value)
        for name, values in (request.POST if request.method == "POST" else request.GET).lists()
        for value in values
    )
    call = partial(_run, handler, tree, request, of=of)
    key = request.headers.get("Idempotency-Key", "")
    if request.method == "POST" and key:
        same_call = json.dumps([request.path, tree], sort_keys=True)
        return idempotency.once(key, request=same_call, begin=_misbehave, call=call)
    _misbehave()
    with store.transaction():
        return Answer(200, call())


def _run(handler: Handler, tree: Tree, request: HttpRequest, *, of: str) -> Body:
    """Run a handler in the open transaction. A path that can't be expanded rolls it back."""
    parameters = Parameters(tree)
    paths = parameters.texts("expand")
    answer = handler(parameters, page_address=page_address(request))
    return expansion.expand(answer, paths, of=of)


def page_address(request: HttpRequest) -> str:
    """The start of payment pages' addresses: SANDBOX_URL, or the address of this call."""
    base = os.environ.get("SANDBOX_URL") or f"{request.scheme}://{request.get_host()}"
    return f"{base.rstrip('/')}/c/pay"


def _misbehave() -> None:
    """Wait or fail as the sandbox's settings say. A shorter delay also holds for the calls that wait."""
    began = time.monotonic()
    while (left := began + (played := behaviour.current()).api_delay_seconds - time.monotonic()) > 0:
        time.sleep(min(left, LOOKS_EVERY_SECONDS))
    if played.api_failure is not None:
        raise Outage(played.api_failure)


def _require_key(request: HttpRequest) -> None:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        credentials = _user_of_basic(credentials)
    if not credentials:
        raise Unauthenticated(
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if not hmac.compare_digest(credentials.encode(), os.environ["STRIPE_SECRET_KEY"].encode()):
        raise Unauthenticated(f"Invalid API Key provided: {credentials[:8]}{'*' * 8}{credentials[-4:]}")


def _user_of_basic(credentials: str) -> str:
    try:
        return b64decode(credentials).decode().partition(":")[0]
    except ValueError:
        return ""


def _unknown_address(request: HttpRequest) -> UnknownAddress:
    return UnknownAddress(f"Unrecognized request URL ({request.method}: {request.path}).")


def _response(request: HttpRequest, answer: Answer) -> JsonResponse:
    response = JsonResponse(answer.body, status=answer.status, json_dumps_params={"indent": 2})
    response["Request-Id"] = shapes.new_id("req_", 14)
    response["Stripe-Version"] = shapes.API_VERSION
    if key := request.headers.get("Idempotency-Key"):
        response["Idempotency-Key"] = key
    if answer.replayed:
        response["Idempotent-Replayed"] = "true"
    return response
