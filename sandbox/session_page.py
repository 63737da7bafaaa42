"""The page of a Checkout Session, with buttons to play what buyers, banks and card networks do."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from sandbox import behaviour, controls, disputes, events, refunds, rows, sessions, store, wording
from sandbox.errors import NoSuchObject, StripeError
from sandbox.forms import AmountForm, DisputeForm, RefundForm
from sandbox.overview import not_found
from sandbox.store import Document

EVENTS_SHOWN = 100


@require_safe
def session(request: HttpRequest, session_id: str) -> HttpResponse:
    try:
        return _session(request, session_id)
    except NoSuchObject as error:
        return not_found(request, error)


# --- Buttons ----------------------------------------------------------------------------------------


@require_POST
def play(request: HttpRequest, session_id: str, verb: str) -> HttpResponse:
    """Play something that happens to a session's money."""
    forms = {"refund": RefundForm, "dispute": DisputeForm}
    form = forms[verb](request.POST) if verb in forms else None
    try:
        if form and not form.is_valid():
            return _session(request, session_id, trouble=_mistakes(form), status=400)
        if isinstance(form, RefundForm):
            controls.refund(session_id, amount=form.cents, status=form.cleaned_data["status"] or None)
        elif isinstance(form, DisputeForm):
            controls.dispute(session_id, amount=form.cents, kind=form.cleaned_data["kind"])
        elif verb in controls.SESSION_VERBS:
            controls.SESSION_VERBS[verb](session_id)
        else:
            raise NoSuchObject("verb", verb)
    except NoSuchObject as error:
        return not_found(request, error)
    except StripeError as error:
        return _session(request, session_id, trouble=str(error), status=409)
    return redirect("session", session_id=session_id)


@require_POST
def play_refund(request: HttpRequest, refund_id: str, verb: str) -> HttpResponse:
    return _played(request, controls.REFUND_VERBS, "refund", refund_id, verb)


@require_POST
def play_dispute(request: HttpRequest, dispute_id: str, verb: str) -> HttpResponse:
    options: dict[str, Any] = {}
    if verb == "win":
        options["later"] = "later" in request.POST
    return _played(request, controls.DISPUTE_VERBS, "dispute", dispute_id, verb, **options)


def _played(
    request: HttpRequest, verbs: controls.Verbs, object_type: str, object_id: str, verb: str, **options: Any
) -> HttpResponse:
    document = store.get(object_type, object_id)
    if document is None or verb not in verbs:
        return not_found(request, NoSuchObject(object_type, object_id))
    if verb in controls.AMOUNT_VERBS:
        form = AmountForm(request.POST)
        if not form.is_valid():
            return _session(request, document.session, trouble=_mistakes(form), status=400)
        if verb == "win_part" and form.cents is None:
            return _session(request, document.session, trouble="Type the amount that comes back.", status=400)
        options["amount"] = form.cents
    try:
        verbs[verb](object_id, **options)
    except StripeError as error:
        return _session(request, document.session, trouble=str(error), status=409)
    return redirect("session", session_id=document.session)


def _mistakes(form: AmountForm) -> str:
    return " ".join(str(error) for errors in form.errors.values() for error in errors)


# --- What the page shows ----------------------------------------------------------------------------


def _session(request: HttpRequest, session_id: str, *, trouble: str = "", status: int = 200) -> HttpResponse:
    document = sessions.find(session_id)
    charges = store.of_session("charge", session_id)
    facts = rows.session_row(document) | {
        "trouble": trouble,
        "expires_at": wording.moment(document.body["expires_at"]),
        "settles_at": wording.moment(document.due_at) if document.due_at else None,
        "payment_intent": document.body["payment_intent"] or "",
        "metadata": sorted(document.body["metadata"].items()),
        "left": _left(charges[-1]) if charges else "",
        "can_be_refunded": bool(charges) and not refunds.was_charged_back(charges[-1]),
        "can_be_disputed": bool(charges) and disputes.can_be_disputed(charges[-1]),
        "refunds_pending": behaviour.current().refunds_pending,
        "refunds": [rows.refund_row(each) for each in store.of_session("refund", session_id)],
        "disputes": [rows.dispute_row(each) for each in store.of_session("dispute", session_id)],
        "transactions": [
            rows.transaction_row(each) for each in store.of_session("balance_transaction", session_id)
        ],
        "events": [rows.event_row(one) for one in events.listed(session_id=session_id, limit=EVENTS_SHOWN)],
    }
    return render(request, "sandbox/session.html", facts, status=status)


def _left(charge: Document) -> str:
    """How much can still be refunded; "" if nothing can."""
    left = charge.body["amount"] - charge.body["amount_refunded"]
    return wording.amount(left, charge.body["currency"]) if left else ""
