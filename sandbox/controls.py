"""The controls: everything a person can do on the sandbox's page, as JSON, for tests and the demo.

Errors are `{"error": "<sentence>"}`: 400 for a body that makes no sense, 404 for an id that names nothing,
409 for what is not possible in the present state.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from sandbox import behaviour, disputes, events, grants, refunds, sessions, sso, store
from sandbox.errors import NoSuchObject, StripeError
from sandbox.store import Body, Document

Verbs = Mapping[str, Callable[[str], Document]]
View = Callable[..., HttpResponseBase]

LISTED_MAX = 1000
# What a session's path may end in, apart from refund and dispute, which take an amount.
SESSION_VERBS: Verbs = {
    "pay": sessions.pay,
    "decline": sessions.decline,
    "pay_later": sessions.pay_later,
    "settle": sessions.settle,
    "fail": sessions.fail,
    "expire": sessions.expire,
}
REFUND_VERBS: Verbs = {"succeed": refunds.succeed, "fail": refunds.fail}
DISPUTE_VERBS: Verbs = {"win": disputes.win, "lose": disputes.lose}


class BadBody(Exception):
    """Raised when the body of a control is not what the control takes."""


def control(view: View) -> View:
    """A JSON view without a login: it may be called by anything but another site in a browser."""

    @csrf_exempt
    @wraps(view)
    def checked(request: HttpRequest, **arguments: str) -> HttpResponseBase:
        origin = request.headers.get("Origin")
        if origin and origin != f"{request.scheme}://{request.get_host()}":
            return _refusal(403, "Other sites may not control the sandbox.")
        try:
            return view(request, **arguments)
        except BadBody as error:
            return _refusal(400, str(error))
        except NoSuchObject as error:
            return _refusal(404, str(error))
        except StripeError as error:
            return _refusal(409, str(error))

    return checked


# --- What can be done -------------------------------------------------------------------------------


@control
@require_POST
def session_verb(request: HttpRequest, session_id: str, verb: str) -> JsonResponse:
    _body(request)
    if verb not in SESSION_VERBS:
        return _refusal(404, f"A session knows {', '.join(SESSION_VERBS)}, refund and dispute; not {verb}.")
    return JsonResponse(SESSION_VERBS[verb](session_id).body)


@control
@require_POST
def refund_session(request: HttpRequest, session_id: str) -> JsonResponse:
    """`{"amount": cents, "pending": bool}`; without an amount, all that is left."""
    asked = _body(request, "amount", "pending")
    return JsonResponse(refund(session_id, amount=_cents(asked), pending=_flag(asked, "pending")).body)


@control
@require_POST
def dispute_session(request: HttpRequest, session_id: str) -> JsonResponse:
    """`{"amount": cents}`; without an amount, the whole charge."""
    return JsonResponse(dispute(session_id, amount=_cents(_body(request, "amount"))).body)


@control
@require_POST
def refund_verb(request: HttpRequest, refund_id: str, verb: str) -> JsonResponse:
    return _named_verb(REFUND_VERBS, refund_id, verb)


@control
@require_POST
def dispute_verb(request: HttpRequest, dispute_id: str, verb: str) -> JsonResponse:
    return _named_verb(DISPUTE_VERBS, dispute_id, verb)


@control
@require_POST
def resend(request: HttpRequest, event_id: str) -> JsonResponse:
    """`{"times": n, "at_once": bool}`; once unless told."""
    asked = _body(request, "times", "at_once")
    times = asked.get("times", 1)
    if type(times) is not int:
        raise BadBody("times is a whole number.")
    events.resend(event_id, times=times, at_once=_flag(asked, "at_once"))
    return JsonResponse({"event": event_id, "times": times})


@control
@require_POST
def reset(request: HttpRequest) -> JsonResponse:
    """Forget everything but the SSO keys."""
    store.forget_everything()
    grants.forget_codes()
    return JsonResponse({"reset": True})


@control
@require_POST
def rotate_sso_key(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"kid": sso.rotate().key_id})


@control
def settings(request: HttpRequest) -> JsonResponse:
    """GET tells how the sandbox misbehaves now, POST changes what its body names."""
    if request.method == "POST":
        behaviour.change(_body(request, *behaviour.as_json()))
    return JsonResponse(behaviour.as_json())


def refund(session_id: str, *, amount: int | None, pending: bool = False) -> Document:
    """Give back what was paid in a session, or a part."""
    charge = refunds.charge_of_session(sessions.find(session_id).id)
    return refunds.refund(charge.id, amount=amount, pending=pending)


def dispute(session_id: str, *, amount: int | None) -> Document:
    charge = refunds.charge_of_session(sessions.find(session_id).id)
    return disputes.open_dispute(charge.id, amount=amount)


# --- What can be seen -------------------------------------------------------------------------------


@control
@require_safe
def list_sessions(request: HttpRequest) -> JsonResponse:
    page = store.page("checkout.session", limit=LISTED_MAX)
    return JsonResponse({"data": [document.body for document in page.documents]})


@control
@require_safe
def list_events(request: HttpRequest) -> JsonResponse:
    """Events, newest first, each with its deliveries; `?session=` for one session's."""
    found = events.listed(session_id=request.GET.get("session"), limit=LISTED_MAX)
    return JsonResponse(
        {
            "data": [
                one["event"] | {"deliveries": [asdict(each) for each in one["deliveries"]]} for one in found
            ]
        }
    )


@control
@require_safe
def list_deliveries(request: HttpRequest) -> JsonResponse:
    """Every delivery with its attempts, oldest first; `?event=` for one event's."""
    return JsonResponse({"data": [asdict(each) for each in events.deliveries(request.GET.get("event"))]})


# --- Bodies -----------------------------------------------------------------------------------------


def _named_verb(verbs: Verbs, object_id: str, verb: str) -> JsonResponse:
    if verb not in verbs:
        return _refusal(404, f"Known here: {', '.join(verbs)}; not {verb}.")
    return JsonResponse(verbs[verb](object_id).body)


def _body(request: HttpRequest, *fields: str) -> Body:
    """The JSON object sent, or {} where nothing was; only these fields may be in it."""
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        raise BadBody("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise BadBody("The body is not a JSON object.")
    if unknown := [name for name in body if name not in fields]:
        raise BadBody(f"Unknown field {unknown[0]}; known here: {', '.join(fields) or 'none'}.")
    return body


def _cents(asked: Mapping[str, Any]) -> int | None:
    amount = asked.get("amount")
    if amount is not None and (type(amount) is not int or amount < 1):
        raise BadBody("amount is a whole number of cents, at least 1.")
    return amount


def _flag(asked: Mapping[str, Any], name: str) -> bool:
    value = asked.get(name, False)
    if not isinstance(value, bool):
        raise BadBody(f"{name} is true or false.")
    return value


def _refusal(status: int, sentence: str) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=status)
