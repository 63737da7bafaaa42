"""The view of the page that shows everything about one user."""

import secrets
from collections.abc import Callable
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from accounts.misar_ids import is_misar_id
from accounts.models import Act, ApiKey, OutgoingMail, User
from backoffice.actions.pages import ActingAdmin, refusals_shown_on
from backoffice.credits import grants
from backoffice.credits.holds import REFUSED_WHILE_FROZEN
from backoffice.find import search
from backoffice.find.search import May
from backoffice.one_user import credits, notes, records
from backoffice.overview.figures import in_time
from wallet.books import ledger
from wallet.books.funds import funds_of
from wallet.charges import budgets
from wallet.errors import GapInHistory
from wallet.models import Entry, Hold, Wallet
from wallet.pages import held, tables
from wallet.prices import units

SEES_USERS = "accounts.view_user"
ENTRIES_SHOWN = 25
KEYS_SHOWN = 20
MAILS_SHOWN = 5
ACTS_SHOWN = 20
TOO_MANY = "This user has too many entries to add up now. The rest of the page is complete."
GAP = (
    "An entry is missing from this history. Ask the operators to run manage.py check_ledger, and do nothing "
    "to this wallet until they know the cause."
)

ActionsOn = Callable[[models.Model], list[dict[str, str]]]


def one_user(site: AdminSite, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show everything about one user. A staff member sees only the parts with rows that they may view.

    A POST writes a note on the user.
    """
    may = cast(User, request.user).has_perm
    user_id = unquote(object_id)
    if not may(SEES_USERS):
        raise PermissionDenied
    if not is_misar_id(user_id):
        raise Http404
    person = User.objects.select_related("plan").filter(pk=user_id).first()
    note_form = _note_form(request, person or Wallet.objects.filter(pk=user_id).first(), may)
    if note_form and note_form.is_bound and note_form.is_valid():
        with refusals_shown_on(note_form):
            notes.write(request, note_form.row, note_form)
            messages.success(request, "The note is saved.")
            return HttpResponseRedirect(f"{request.path}#notes")
    # The id by which the find box led here.
    with_id = search.with_id(request.GET.get("found", ""), may=may)
    found = next((match for match in with_id if match.about == user_id and match.name != user_id), None)
    actions_on = _actions(site, request)
    context = site.each_context(request) | {
        "title": user_id,
        "user_id": user_id,
        "person": person,
        "is_unknown": not search.is_known(user_id),
        "found": found,
        "actions_on": actions_on,
        "note_form": note_form,
    }
    context |= _credits(user_id, may) | _records(user_id, person, may)
    on_wallet = actions_on(context["wallet"]) if "wallet" in context else []
    context["actions"] = on_wallet + (actions_on(person) if person else [])
    created = [row.created_at for row in (person, context.get("wallet")) if row and not row._state.adding]
    context["since"] = min(created, default=None)
    # The tables of this page already show the actions of their rows, so do not show these actions again.
    topups = [payment.topup for payment in context.get("payments", ())]
    open_holds = [hold for hold, *_ in context["held"].lines] if context.get("held") else []
    listed = [*context.get("trouble", ()), *open_holds, *context.get("grants", ()), *topups]
    listed += context.get("keys", ())
    context["found_actions"] = actions_on(found.row) if found and found.row not in listed else []
    return TemplateResponse(request, "backoffice/one_user.html", context)


def _note_form(request: HttpRequest, row: User | Wallet | None, may: May) -> notes.NoteForm | None:
    """Return the form of a note, filled in if it was sent; None if the staff member may not write one.

    There is none about a user of whom nothing is known, and none about oneself.
    """
    staff = cast(User, request.user)
    if request.method == "POST" and not may(notes.WRITES_NOTES):
        raise PermissionDenied
    if row is None or row.pk == staff.pk or not may(notes.WRITES_NOTES):
        return None
    form_data = request.POST if request.method == "POST" else None
    return notes.NoteForm(form_data, initial={"key": secrets.token_hex(16)}, row=row, staff=staff)


def _credits(user_id: str, may: May) -> dict[str, Any]:
    """Return the credits and payments that the staff member may view."""
    parts: dict[str, Any] = {}
    if may("wallet.view_wallet"):
        wallet = Wallet.objects.filter(pk=user_id).first()
        parts |= {"wallet": wallet or ledger.unopened(user_id), "has_wallet": wallet is not None}
        parts["funds"] = funds = funds_of(user_id)
        parts["refused_while_frozen"] = REFUSED_WHILE_FROZEN
        if may("wallet.view_hold"):
            parts["held"] = held.held_of(funds)
            # Sorted, so that PostgreSQL uses an index even if many holds are this user's.
            newest = Hold.objects.of(user_id, None).newest_first()[:1]
            parts["had_holds"] = parts["held"] or list(newest)
        if may("wallet.view_lot"):
            parts["grants"], parts["grants_at"] = grants.of_user(user_id)
        if may("wallet.view_budget"):
            parts["budgets"] = budgets.budgets_of(user_id)
    if may("wallet.view_entry"):
        entries = grants.with_grant(Entry.objects.of_user(user_id))[:ENTRIES_SHOWN]
        parts["entries"] = tables.described(entries, units.features())
        try:
            parts["spending"] = in_time(lambda: credits.spending_of(user_id))
            parts["no_spending"] = "" if parts["spending"] else TOO_MANY
        except GapInHistory:  # Staff still need the rest of the page.
            parts["no_spending"] = GAP
    sees_events = may("wallet.view_stripeevent")
    if may("wallet.view_topup"):
        parts["payments"] = credits.payments_of(
            user_id, with_events=sees_events, with_reversals=may("wallet.view_striperefund")
        )
    if sees_events:
        parts["trouble"] = credits.trouble_of(user_id)
    return parts


def _records(user_id: str, person: User | None, may: May) -> dict[str, Any]:
    """Return the acts about the user, and the user's keys, mails and records.

    Only what the staff member may view is returned.
    """
    parts: dict[str, Any] = {}
    if may("accounts.view_act"):
        parts["acts"] = [(act, _page_of(act, may)) for act in notes.other_acts(user_id)[:ACTS_SHOWN]]
        parts["notes"] = notes.of_user(user_id)
    if person is None:  # Only a user who has signed in can have keys, mails and records.
        return parts
    if may("accounts.view_apikey"):
        mine = ApiKey.objects.with_last_use().filter(owner=person)
        parts["keys"] = list(mine.order_by("-created_at")[:KEYS_SHOWN])
    if may("accounts.view_outgoingmail"):
        mails = OutgoingMail.objects.filter(user=person).only("kind", "state", "created_at")
        parts["mails"] = list(mails.order_by("-created_at")[:MAILS_SHOWN])
    # in_time returns None after a timeout. For a user without records, it returns a tuple with None.
    result = in_time(lambda: (records.creator_of(person, may=may),))
    parts |= {"creator": result[0] if result else None, "creator_took_too_long": result is None}
    return parts


def _page_of(act: Act, may: May) -> str:
    """Return the URL name of the page of the row that an act changed; "" if the staff may not view it."""
    return f"admin:{act.model.replace('.', '_')}_change" if may(act.model.replace(".", ".view_")) else ""


def _actions(site: AdminSite, request: HttpRequest) -> ActionsOn:
    """Return a function that lists what the staff member may do to a row.

    The pages of these actions lead back to the user's page.
    """
    staff = cast(User, request.user)

    def actions_on(row: models.Model) -> list[dict[str, str]]:
        page = site.get_model_admin(type(row)) if site.is_registered(type(row)) else None
        if not isinstance(page, ActingAdmin) or not page.has_view_permission(request, row):
            return []
        return page.links_on(row, staff, from_user=True)

    return actions_on
