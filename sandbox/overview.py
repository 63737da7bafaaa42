"""The sandbox's front page: recent sessions and events, and the failures to play."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from sandbox import behaviour, events, rows, store, webhooks, wording
from sandbox.errors import NoSuchObject
from sandbox.forms import BehaviourForm, ResendForm

SESSIONS_SHOWN = 20
EVENTS_SHOWN = 20


# --- Pages ------------------------------------------------------------------------------------------


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    return _overview(request)


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


# --- What the page shows ----------------------------------------------------------------------------


def _overview(request: HttpRequest, *, form: BehaviourForm | None = None, status: int = 200) -> HttpResponse:
    recent = store.page("checkout.session", limit=SESSIONS_SHOWN)
    facts = {
        "webhook_url": webhooks.url(),
        "form": form or BehaviourForm(initial=behaviour.as_json()),
        "troubles": wording.troubles(behaviour.current()),
        "sessions": [rows.session_row(document) for document in recent.documents],
        "has_more_sessions": recent.has_more,
        "events": [rows.event_row(one) for one in events.listed(limit=EVENTS_SHOWN)],
    }
    return render(request, "sandbox/overview.html", facts, status=status)
