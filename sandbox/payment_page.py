"""Stripe's payment page, to which our checkout sends the buyer."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from sandbox import sessions, wording
from sandbox.errors import NoSuchObject, Refused
from sandbox.forms import DECLINED_CARD_NUMBER, CardForm
from sandbox.overview import not_found
from sandbox.page_headers import content_policy
from sandbox.store import Document

MERCHANT = "Misar"


@require_http_methods(["GET", "HEAD", "POST"])
def payment_page(request: HttpRequest, session_id: str) -> HttpResponse:
    """Pay, decline or pay later by POST. Leaving is a link."""
    try:
        session = sessions.find(session_id)
    except NoSuchObject as error:
        return not_found(request, error)
    if request.method != "POST":
        return _page(request, session, CardForm())
    form = CardForm(request.POST)
    if request.POST.get("action") == "pay" and not form.is_valid():
        return _page(request, session, form, status=400)
    return _played(session, form, action=request.POST.get("action", ""))


def _played(session: Document, form: CardForm, *, action: str) -> HttpResponse:
    """Do what the buyer chose, and redirect them."""
    if action == "pay" and form.is_declined:
        action = "decline"
    verbs = {
        "pay": sessions.pay,
        "pay_later": sessions.pay_later,
        "decline": sessions.decline,
        "settle": sessions.settle,
        "fail": sessions.fail,
    }
    try:
        if action in verbs:
            session = verbs[action](session.id)
    except Refused:  # Sent twice, or too late: the next page shows the present state.
        session = sessions.find(session.id)
    if action in ("pay", "pay_later") and session.body["status"] == "complete":
        # A buyer who pressed the button twice has paid once, and is redirected like the first time.
        answer: HttpResponse = HttpResponseRedirect(return_url(session))
    else:
        answer = redirect("payment", session_id=session.id)
    answer["Content-Security-Policy"] = _policy(session)
    return answer


def return_url(session: Document) -> str:
    """The address for a buyer who has paid, with the session's id if the address asks for it."""
    success_url = session.body["success_url"] or ""
    return str(success_url).replace("{CHECKOUT_SESSION_ID}", session.id)


def _page(request: HttpRequest, session: Document, form: CardForm, *, status: int = 200) -> HttpResponse:
    response = render(request, "sandbox/payment.html", _facts(session) | {"form": form}, status=status)
    response["Content-Security-Policy"] = _policy(session)
    return response


def _facts(session: Document) -> dict[str, Any]:
    body = session.body
    return {
        "merchant": MERCHANT,
        "amount": wording.amount(body["amount_total"], body["currency"]),
        "currency": body["currency"].upper(),
        "names": session.notes["names"],
        "account": body["metadata"].get("user_id", ""),
        "state": sessions.state_of(session),
        "tag": wording.SESSION_TAGS[sessions.state_of(session)],
        "refusal": sessions.last_refusal(session),
        "declined_number": DECLINED_CARD_NUMBER,
        "expires_at": wording.moment(body["expires_at"]),
        "settles_at": wording.moment(session.due_at) if session.due_at else None,
        "delay_seconds": f"{sessions.delay_seconds():g}",
        "leave_url": body["cancel_url"],
        "return_url": return_url(session) if body["status"] == "complete" else body["cancel_url"],
        "session_id": session.id,
    }


def _policy(session: Document) -> str:
    return content_policy(session.body["success_url"], session.body["cancel_url"])
