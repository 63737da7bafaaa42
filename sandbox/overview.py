"""The sandbox's own pages: what has happened, and buttons to play what Stripe, banks and networks do."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from sandbox import behaviour, controls, events, sessions, store, webhooks, wording
from sandbox.errors import NoSuchObject, StripeError
from sandbox.forms import AmountForm, BehaviourForm, ResendForm
from sandbox.store import Document

SESSIONS_SHOWN = 20
EVENTS_SHOWN = 20


# --- Pages ------------------------------------------------------------------------------------------


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    return _overview(request)


@require_safe
def session(request: HttpRequest, session_id: str) -> HttpResponse:
    try:
        return _session(request, session_id)
    except NoSuchObject as error:
        return not_found(request, error)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The page for an unknown address, such as an old link after a reset."""
    return render(request, "sandbox/not_found.html", status=404)


# --- Buttons ----------------------------------------------------------------------------------------


@require_POST
def change_settings(request: HttpRequest) -> HttpResponse:
    form = BehaviourForm(request.POST, initial=behaviour.as_json())
    if not form.is_valid():
        return _overview(request, form=form, status=400)
    behaviour.change(form.cleaned_data)
    return redirect("overview")


@require_POST
def resend(request: HttpRequest, event_id: str) -> HttpResponse:
    form = ResendForm(request.POST)
    try:
        if form.is_valid():
            events.resend(event_id, **form.cleaned_data)
        about = events.find(event_id).session
    except NoSuchObject as error:
        return not_found(request, error)
    return redirect("session", session_id=about) if "from_session" in request.POST else redirect("overview")


@require_POST
def play(request: HttpRequest, session_id: str, verb: str) -> HttpResponse:
    """Play something that happens to a session's money."""
    form = AmountForm(request.POST)
    try:
        if not form.is_valid():
            trouble = " ".join(map(str, form.errors["amount"]))
            return _session(request, session_id, trouble=trouble, status=400)
        if verb == "refund":
            status = "pending" if "pending" in request.POST else None
            controls.refund(session_id, amount=form.cents, status=status)
        elif verb == "dispute":
            controls.dispute(session_id, amount=form.cents, kind="chargeback")
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
    return _played(request, controls.DISPUTE_VERBS, "dispute", dispute_id, verb)


def _played(
    request: HttpRequest, verbs: controls.Verbs, object_type: str, object_id: str, verb: str
) -> HttpResponse:
    document = store.get(object_type, object_id)
    if document is None or verb not in verbs:
        return not_found(request, NoSuchObject(object_type, object_id))
    try:
        verbs[verb](object_id)
    except StripeError as error:
        return _session(request, document.session, trouble=str(error), status=409)
    return redirect("session", session_id=document.session)


# --- What the pages show ----------------------------------------------------------------------------


def _overview(request: HttpRequest, *, form: BehaviourForm | None = None, status: int = 200) -> HttpResponse:
    recent = store.page("checkout.session", limit=SESSIONS_SHOWN)
    facts = {
        "webhook_url": webhooks.url(),
        "form": form or BehaviourForm(initial=behaviour.as_json()),
        "behaviour": behaviour.current(),
        "sessions": [_session_row(document) for document in recent.documents],
        "has_more_sessions": recent.has_more,
        "events": [_event_row(one) for one in events.listed(limit=EVENTS_SHOWN)],
    }
    return render(request, "sandbox/overview.html", facts, status=status)


def _session(request: HttpRequest, session_id: str, *, trouble: str = "", status: int = 200) -> HttpResponse:
    document = sessions.find(session_id)
    charges = store.of_session("charge", session_id)
    facts = _session_row(document) | {
        "trouble": trouble,
        "expires_at": wording.moment(document.body["expires_at"]),
        "settles_at": wording.moment(document.due_at) if document.due_at else None,
        "payment_intent": document.body["payment_intent"] or "",
        "metadata": sorted(document.body["metadata"].items()),
        "left": _left(charges[-1]) if charges else "",
        "can_be_disputed": bool(charges)
        and not charges[-1].body["disputed"]
        and not charges[-1].body["refunded"],
        "refunds": [_refund_row(each) for each in store.of_session("refund", session_id)],
        "disputes": [_dispute_row(each) for each in store.of_session("dispute", session_id)],
        "events": [_event_row(one) for one in events.listed(session_id=session_id, limit=100)],
    }
    return render(request, "sandbox/session.html", facts, status=status)


def _session_row(document: Document) -> dict[str, Any]:
    body = document.body
    state = sessions.state_of(document)
    return {
        "id": document.id,
        "short_id": wording.short(document.id),
        "created": wording.moment(body["created"]),
        "account": body["metadata"].get("user_id", ""),
        "product": body["metadata"].get("product", ""),
        "amount": wording.amount(body["amount_total"], body["currency"]),
        "state": state,
        "tag": wording.SESSION_TAGS[state],
    }


def _left(charge: Document) -> str:
    """How much can still be refunded; "" if nothing can."""
    left = charge.body["amount"] - charge.body["amount_refunded"]
    return wording.amount(left, charge.body["currency"]) if left else ""


def _refund_row(document: Document) -> dict[str, Any]:
    return _money_row(document) | {"tag": wording.REFUND_TAGS[document.body["status"]]}


def _dispute_row(document: Document) -> dict[str, Any]:
    return _money_row(document) | {"tag": wording.DISPUTE_TAGS[document.body["status"]]}


def _money_row(document: Document) -> dict[str, Any]:
    body = document.body
    return {
        "id": document.id,
        "created": wording.moment(body["created"]),
        "amount": wording.amount(body["amount"], body["currency"]),
        "status": body["status"],
    }


def _event_row(one: dict[str, Any]) -> dict[str, Any]:
    event, session_id = one["event"], one["session"]
    deliveries = [
        {
            "tag": wording.DELIVERY_TAGS[delivery.state],
            "attempts": [_attempt_words(attempt) for attempt in delivery.attempts],
            "next_at": wording.moment(delivery.due_at) if delivery.state == "waiting" else None,
        }
        for delivery in one["deliveries"]
    ]
    return {
        "id": event["id"],
        "type": event["type"],
        "created": wording.moment(event["created"]),
        "session_id": session_id,
        "short_session_id": wording.short(session_id),
        "deliveries": deliveries,
    }


def _attempt_words(attempt: events.Attempt) -> str:
    """An attempt in short: its status, or why there was no answer."""
    return str(attempt.status) if attempt.status is not None else attempt.remark
