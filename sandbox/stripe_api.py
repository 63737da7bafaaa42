"""The part of Stripe's API that a wallet calls: Checkout Sessions, payments, refunds, disputes, events.

A handler reads its parameters, refuses unknown ones, and calls one verb. `endpoint` does what every call
needs: API key, delay, failure, idempotency, form of the answer.
"""

import hmac
import json
import os
import time
from base64 import b64decode
from collections.abc import Callable
from functools import partial

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from sandbox import behaviour, idempotency, refunds, sessions, shapes, store
from sandbox.checkout_parameters import new_session
from sandbox.errors import NoSuchObject, Outage, StripeError, Unauthenticated, UnknownAddress
from sandbox.idempotency import Answer
from sandbox.parameters import Parameters, Tree, decoded
from sandbox.store import Body

Handler = Callable[..., Body]

LIMIT_DEFAULT = 10
LIMIT_MAX = 100
TYPES_MAX = 20


# --- Around every call ------------------------------------------------------------------------------


def endpoint(get: Handler | None = None, post: Handler | None = None) -> Callable[..., JsonResponse]:
    """A view that answers like Stripe's HTTP API, with a handler for each method."""
    handlers = {"GET": get, "POST": post}

    @csrf_exempt
    def view(request: HttpRequest, **ids: str) -> JsonResponse:
        try:
            _require_key(request)
            handler = handlers.get(request.method or "")
            if handler is None:
                raise _unknown_address(request)
            answer = _answer(request, partial(handler, **ids))
        except StripeError as error:
            answer = Answer(error.status, error.body())
        return _response(request, answer)

    return view


@csrf_exempt
def unknown(request: HttpRequest, path: str) -> JsonResponse:
    """The answer for every other address below /v1."""
    error = _unknown_address(request)
    return _response(request, Answer(error.status, error.body()))


def _answer(request: HttpRequest, handler: Handler) -> Answer:
    tree = decoded(
        (name, value)
        for name, values in (request.POST if request.method == "POST" else request.GET).lists()
        for value in values
    )
    call = partial(_run, handler, tree, request)
    key = request.headers.get("Idempotency-Key", "")
    if request.method == "POST" and key:
        same_call = json.dumps([request.path, tree], sort_keys=True)
        return idempotency.once(key, request=same_call, begin=_misbehave, call=call)
    _misbehave()
    with store.transaction():
        return Answer(200, call())


def _run(handler: Handler, tree: Tree, request: HttpRequest) -> Body:
    parameters = Parameters(tree)
    parameters.ignore("expand")
    return handler(parameters, page_address=page_address(request))


def page_address(request: HttpRequest) -> str:
    """The start of payment pages' addresses: SANDBOX_URL, or the address of this call."""
    base = os.environ.get("SANDBOX_URL") or f"{request.scheme}://{request.get_host()}"
    return f"{base.rstrip('/')}/c/pay"


def _misbehave() -> None:
    """Wait or fail as the sandbox's settings say."""
    played = behaviour.current()
    time.sleep(played.api_delay_seconds)
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


# --- Checkout Sessions ------------------------------------------------------------------------------


def create_session(parameters: Parameters, *, page_address: str) -> Body:
    arguments = new_session(parameters)
    parameters.require_nothing_else()
    return sessions.create(page_address=page_address, **arguments).body


def retrieve_session(parameters: Parameters, *, session_id: str, **where: str) -> Body:
    parameters.require_nothing_else()
    return sessions.find(session_id).body


def expire_session(parameters: Parameters, *, session_id: str, **where: str) -> Body:
    parameters.require_nothing_else()
    return sessions.expire(session_id).body


def list_sessions(parameters: Parameters, **where: str) -> Body:
    status = parameters.choice("status", "open", "complete", "expired")
    payment_intent = parameters.text("payment_intent")
    # There are no customers, links or subscriptions here, so a filter by one finds nothing.
    others = [
        parameters.text(name) for name in ("customer", "customer_account", "payment_link", "subscription")
    ]
    parameters.ignore("customer_details")
    return _listed(
        "checkout.session",
        parameters,
        address="/v1/checkout/sessions",
        wanted=lambda session: (
            (status is None or session["status"] == status)
            and (payment_intent is None or session["payment_intent"] == payment_intent)
            and not any(others)
        ),
    )


# --- Payments, refunds, disputes --------------------------------------------------------------------


def retrieve_payment_intent(parameters: Parameters, *, intent_id: str, **where: str) -> Body:
    return _retrieved("payment_intent", parameters, intent_id, param="intent")


def retrieve_charge(parameters: Parameters, *, charge_id: str, **where: str) -> Body:
    return _retrieved("charge", parameters, charge_id, param="id")


def create_refund(parameters: Parameters, **where: str) -> Body:
    charge_id, intent_id = parameters.text("charge"), parameters.text("payment_intent")
    amount = parameters.integer("amount", least=1)
    reason = parameters.choice("reason", "duplicate", "fraudulent", "requested_by_customer")
    metadata = parameters.metadata("metadata")
    parameters.require_nothing_else()
    if not charge_id:
        if not intent_id:
            raise parameters.missing("payment_intent")
        charge_id = _charge_of(intent_id)
    return refunds.refund(charge_id, amount=amount, reason=reason, metadata=metadata).body


def retrieve_refund(parameters: Parameters, *, refund_id: str, **where: str) -> Body:
    return _retrieved("refund", parameters, refund_id, param="id")


def list_refunds(parameters: Parameters, **where: str) -> Body:
    return _listed_by_payment("refund", parameters, address="/v1/refunds")


def retrieve_dispute(parameters: Parameters, *, dispute_id: str, **where: str) -> Body:
    return _retrieved("dispute", parameters, dispute_id, param="id")


def list_disputes(parameters: Parameters, **where: str) -> Body:
    return _listed_by_payment("dispute", parameters, address="/v1/disputes")


def _charge_of(intent_id: str) -> str:
    intent = store.get("payment_intent", intent_id)
    if intent is None:
        raise NoSuchObject("payment_intent", intent_id, param="payment_intent")
    if intent.body["latest_charge"] is None:
        raise StripeError(
            "This PaymentIntent does not have a successful charge to refund.", param="payment_intent"
        )
    return str(intent.body["latest_charge"])


# --- Events -----------------------------------------------------------------------------------------


def retrieve_event(parameters: Parameters, *, event_id: str, **where: str) -> Body:
    return _retrieved("event", parameters, event_id, param="id")


def list_events(parameters: Parameters, **where: str) -> Body:
    one_type, types = parameters.text("type"), parameters.texts("types")
    if one_type and types:
        raise parameters.invalid("types", "You may pass either type or types, not both.")
    if len(types) > TYPES_MAX:
        raise parameters.invalid("types", f"You may pass up to {TYPES_MAX} types.")
    wanted_types = [one_type] if one_type else types
    delivered = parameters.boolean("delivery_success")
    return _listed(
        "event",
        parameters,
        address="/v1/events",
        wanted=lambda event: (
            (not wanted_types or any(_is_of_type(event["type"], each) for each in wanted_types))
            and (delivered is None or (event["pending_webhooks"] == 0) == delivered)
        ),
    )


def _is_of_type(event_type: str, wanted: str) -> bool:
    """Whether a type matches; `charge.*` matches every type that begins with `charge.`."""
    return event_type.startswith(wanted[:-1]) if wanted.endswith(".*") else event_type == wanted


# --- Lists ------------------------------------------------------------------------------------------


def _retrieved(object_type: str, parameters: Parameters, object_id: str, *, param: str) -> Body:
    parameters.require_nothing_else()
    document = store.get(object_type, object_id)
    if document is None:
        raise NoSuchObject(object_type, object_id, param=param)
    return document.body


def _listed_by_payment(object_type: str, parameters: Parameters, *, address: str) -> Body:
    filters = {name: parameters.text(name) for name in ("charge", "payment_intent")}
    return _listed(
        object_type,
        parameters,
        address=address,
        wanted=lambda body: all(body[name] == value for name, value in filters.items() if value),
    )


def _listed(
    object_type: str, parameters: Parameters, *, address: str, wanted: Callable[[Body], bool]
) -> Body:
    limit = parameters.integer("limit", least=1, most=LIMIT_MAX) or LIMIT_DEFAULT
    was_created_then = _created_filter(parameters)
    cursors = {name: parameters.text(name) for name in ("starting_after", "ending_before")}
    parameters.require_nothing_else()
    if all(cursors.values()):
        raise parameters.invalid(
            "ending_before", "You cannot use both ending_before and starting_after in one request."
        )
    try:
        page = store.page(
            object_type,
            wanted=lambda body: was_created_then(body["created"]) and wanted(body),
            limit=limit,
            **cursors,
        )
    except KeyError as error:
        param = next(name for name, value in cursors.items() if value)
        raise NoSuchObject(object_type, error.args[0], param=param) from None
    data = [document.body for document in page.documents]
    return {"object": "list", "data": data, "has_more": page.has_more, "url": address}


def _created_filter(parameters: Parameters) -> Callable[[int], bool]:
    """`created=...` is an exact time; `created[gte]=...` and the like are bounds."""
    if parameters.is_text("created"):
        exactly = parameters.integer("created")
        return lambda created: exactly is None or created == exactly
    bounds = parameters.branch("created")
    gt, gte, lt, lte = (bounds.integer(name) for name in ("gt", "gte", "lt", "lte"))
    return lambda created: (
        (gt is None or created > gt)
        and (gte is None or created >= gte)
        and (lt is None or created < lt)
        and (lte is None or created <= lte)
    )
