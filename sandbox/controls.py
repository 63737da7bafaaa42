"""Everything that people can do on the sandbox's pages, as JSON, for tests and the demo.

Errors are `{"error": "<sentence>"}`: 400 for an invalid body, 404 for an unknown id, 409 for what the present
state does not allow.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from sandbox import behaviour, disputes, events, grants, payouts, refunds, sessions, sso, store
from sandbox.errors import NoSuchObject, StripeError
from sandbox.store import Body, Document

Verbs = Mapping[str, Callable[..., Document]]
View = Callable[..., HttpResponseBase]

LISTED_MAX = 1000
# The verbs in a session's path, apart from refund and dispute, which take an amount.
SESSION_VERBS: Verbs = {
    "pay": sessions.pay,
    "decline": sessions.decline,
    "pay_later": sessions.pay_later,
    "settle": sessions.settle,
    "fail": sessions.fail,
    "expire": sessions.expire,
}
REFUND_VERBS: Verbs = {"succeed": refunds.succeed, "fail": refunds.fail, "cancel": refunds.cancel}
PAYOUT_VERBS: Verbs = {"fail": payouts.fail, "cancel": payouts.cancel}
DISPUTE_VERBS: Verbs = {
    "submit": disputes.submit,
    "escalate": disputes.escalate,
    "close": disputes.close,
    "prevent": disputes.prevent,
    "win": disputes.win,
    "win_part": disputes.win_part,
    "lose": disputes.lose,
    "reinstate": disputes.reinstate,
}
AMOUNT_VERBS = ("win_part", "reinstate")


class BadBody(Exception):
    """Raised when the body of a request is invalid."""


def control(view: View) -> View:
    """A JSON view without sign-in. Only a page of another site may not call it."""

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


# --- Actions ----------------------------------------------------------------------------------------


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
    """`{"amount": cents, "status": "succeeded", "pending" or "requires_action"}`, or `"pending": bool`.

    Without an amount, all that can still be refunded; without a status, as the settings say.
    """
    body = _body(request, "amount", "pending", "status")
    status = _choice(body, "status", refunds.FIRST_STATUSES)
    if status is None and "pending" in body:
        status = "pending" if _flag(body, "pending") else "succeeded"
    return JsonResponse(refund(session_id, amount=_cents(body), status=status).body)


@control
@require_POST
def pay_out(request: HttpRequest) -> JsonResponse:
    """Pay out all money that waits, at once; with `{"amount": cents}`, so much, as if by hand.

    A payout by hand may have a `"status"`: "paid", or "pending" as long as it can be canceled.
    """
    body = _body(request, "amount", "status")
    amount, status = _cents(body), _choice(body, "status", ("paid", "pending")) or "paid"
    made = payouts.pay_out_now() if amount is None else payouts.pay_out_by_hand(amount, status=status)
    return JsonResponse(made.body)


@control
@require_POST
def payout_verb(request: HttpRequest, payout_id: str, verb: str) -> JsonResponse:
    if verb not in PAYOUT_VERBS:
        return _unknown_verb(PAYOUT_VERBS, verb)
    _body(request)
    return JsonResponse(PAYOUT_VERBS[verb](payout_id).body)


@control
@require_POST
def dispute_session(request: HttpRequest, session_id: str) -> JsonResponse:
    """`{"amount": cents, "kind": "chargeback", "inquiry" or "prevented"}`.

    Without an amount, the whole charge; without a kind, a chargeback.
    """
    body = _body(request, "amount", "kind")
    kind = _choice(body, "kind", tuple(disputes.KINDS)) or "chargeback"
    return JsonResponse(dispute(session_id, amount=_cents(body), kind=kind).body)


@control
@require_POST
def refund_verb(request: HttpRequest, refund_id: str, verb: str) -> JsonResponse:
    if verb not in REFUND_VERBS:
        return _unknown_verb(REFUND_VERBS, verb)
    _body(request)
    return JsonResponse(REFUND_VERBS[verb](refund_id).body)


@control
@require_POST
def dispute_verb(request: HttpRequest, dispute_id: str, verb: str) -> JsonResponse:
    """`win` takes `{"later": bool}`, `win_part` and `reinstate` take `{"amount": cents}`.

    Without an amount, all that was taken is reinstated.
    """
    if verb not in DISPUTE_VERBS:
        return _unknown_verb(DISPUTE_VERBS, verb)
    options: dict[str, Any] = {}
    if verb == "win":
        options["later"] = _flag(_body(request, "later"), "later")
    elif verb in AMOUNT_VERBS:
        options["amount"] = _cents(_body(request, "amount"))
        if verb == "win_part" and options["amount"] is None:
            raise BadBody("win_part needs an amount in cents.")
    else:
        _body(request)
    return JsonResponse(DISPUTE_VERBS[verb](dispute_id, **options).body)


@control
@require_POST
def resend(request: HttpRequest, event_id: str) -> JsonResponse:
    """`{"times": n, "at_once": bool}`; once by default."""
    body = _body(request, "times", "at_once")
    times = body.get("times", 1)
    if type(times) is not int:
        raise BadBody("times is a whole number.")
    events.resend(event_id, times=times, at_once=_flag(body, "at_once"))
    return JsonResponse({"event": event_id, "times": times})


@control
@require_POST
def reset(request: HttpRequest) -> JsonResponse:
    """Delete everything except the SSO keys."""
    store.forget_everything()
    grants.forget_codes()
    return JsonResponse({"reset": True})


@control
@require_POST
def rotate_sso_key(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"kid": sso.rotate().key_id})


@control
def settings(request: HttpRequest) -> JsonResponse:
    """GET returns the settings, POST changes those that its body names."""
    if request.method == "POST":
        behaviour.change(_body(request, *behaviour.as_json()))
    return JsonResponse(behaviour.as_json())


def refund(session_id: str, *, amount: int | None, status: str | None) -> Document:
    """Refund the payment of a session, all or part of it."""
    charge = refunds.charge_of_session(sessions.find(session_id).id)
    return refunds.refund(charge.id, amount=amount, status=status)


def dispute(session_id: str, *, amount: int | None, kind: str) -> Document:
    """Dispute the payment of a session, all or part of it."""
    charge = refunds.charge_of_session(sessions.find(session_id).id)
    return disputes.open_dispute(charge.id, amount=amount, kind=kind)


# --- Lists ------------------------------------------------------------------------------------------


@control
@require_safe
def list_sessions(request: HttpRequest) -> JsonResponse:
    page = store.page("checkout.session", limit=LISTED_MAX)
    return JsonResponse({"data": [document.body for document in page.documents]})


@control
@require_safe
def list_events(request: HttpRequest) -> JsonResponse:
    """Events with their deliveries, newest first; `?session=` for those of one session."""
    rows = events.listed(session_id=request.GET.get("session"), limit=LISTED_MAX)
    return JsonResponse(
        {
            "data": [
                one["event"] | {"deliveries": [asdict(each) for each in one["deliveries"]]} for one in rows
            ]
        }
    )


@control
@require_safe
def list_deliveries(request: HttpRequest) -> JsonResponse:
    """Deliveries with their attempts, oldest first; `?event=` for those of one event."""
    return JsonResponse({"data": [asdict(each) for each in events.deliveries(request.GET.get("event"))]})


# --- Bodies -----------------------------------------------------------------------------------------


def _unknown_verb(verbs: Verbs, verb: str) -> JsonResponse:
    return _refusal(404, f"Known here: {', '.join(verbs)}; not {verb}.")


def _body(request: HttpRequest, *fields: str) -> Body:
    """The JSON object in the body, {} if the body is empty. Fields not listed in `fields` raise BadBody."""
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        raise BadBody("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise BadBody("The body is not a JSON object.")
    if unknown := [name for name in body if name not in fields]:
        raise BadBody(f"Unknown field {unknown[0]}; known here: {', '.join(fields) or 'none'}.")
    return body


def _cents(body: Mapping[str, Any]) -> int | None:
    amount = body.get("amount")
    if amount is not None and (type(amount) is not int or amount < 1):
        raise BadBody("amount is a whole number of cents, at least 1.")
    return amount


def _choice(body: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str | None:
    value = body.get(name)
    if value is not None and value not in choices:
        raise BadBody(f"{name} is one of {', '.join(choices)}.")
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise BadBody(f"{name} is true or false.")
    return value


def _refusal(status: int, sentence: str) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=status)
