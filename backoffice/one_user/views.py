"""Everything about one user, on one page."""

from typing import Any, cast

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.misar_ids import is_misar_id
from accounts.models import User
from backoffice.actions.pages import ActingAdmin
from backoffice.find import search
from backoffice.one_user import credits as user_page
from backoffice.one_user import records
from backoffice.one_user.credits import Action, ActionsOn
from backoffice.overview.figures import in_time
from wallet.errors import GapInHistory

SEES_USERS = "accounts.view_user"
TOO_MANY = "There are too many entries to add up while you wait. The rest of this page is complete."
GAP = (
    "An entry is missing from this history. Tell whoever runs the service, who has manage.py check_ledger "
    "look, and do nothing to this wallet before they know why."
)


# --- One user ---------------------------------------------------------------------------------------


def one_user(site: AdminSite, request: HttpRequest, object_id: str) -> HttpResponse:
    """Everything about one user, on one page: each part for whom may view its rows."""
    staff = cast(User, request.user)
    user_id = unquote(object_id)
    if not staff.has_perm(SEES_USERS):
        raise PermissionDenied
    if not is_misar_id(user_id):
        raise Http404
    found = search.again(request.GET.get("found", ""), may=staff.has_perm)
    if found and found.about != user_id:
        found = None
    actions_on = _actions(site, request)
    user = User.objects.select_related("plan").filter(pk=user_id).first()
    context = site.each_context(request) | {"title": user_id, "found": found}
    context |= _about_credits(user_id, user, staff, actions_on, found.name if found else "")
    context |= _about_records(user_id, user, staff, actions_on, found.name if found else "")
    # What can be done to it may stand beside it already.
    listed = [*context.get("trouble", ()), *context.get("topups", ()), *context.get("keys", ())]
    shown = any(row.is_found and row.actions for row in listed)
    context["found_actions"] = actions_on(found.row) if found and not shown else []
    context["is_nobody"] = not search.is_known(user_id)
    return TemplateResponse(request, "backoffice/one_user.html", context)


def _about_credits(
    user_id: str, user: User | None, staff: User, actions_on: ActionsOn, found: str
) -> dict[str, Any]:
    """Who it is, their credits and their payments."""
    parts: dict[str, Any] = {"actions": [], "wallet": None}
    if staff.has_perm("wallet.view_wallet"):
        parts["wallet"], to_act_on = user_page.wallet_of(user_id)
        parts["balance"] = user_page.balance_of(parts["wallet"])
        parts["actions"] += actions_on(to_act_on)
    if user:
        parts["actions"] += actions_on(user)
    parts["head"] = user_page.head_of(user_id, user, parts["wallet"])
    if staff.has_perm("wallet.view_entry"):
        parts["sees_entries"] = True
        parts["spending"], parts["no_spending"] = _spending(user_id)
        parts["entries"] = user_page.entries_of(user_id, found=found)
    sees_events = staff.has_perm("wallet.view_stripeevent")
    if staff.has_perm("wallet.view_topup"):
        parts["sees_topups"] = True
        parts["topups"] = user_page.topups_of(
            user_id, with_events=sees_events, actions_on=actions_on, found=found
        )
    if sees_events:
        parts["trouble"] = user_page.trouble_of(user_id, actions_on=actions_on, found=found)
    return parts


def _spending(user_id: str) -> tuple[user_page.Spending | None, str]:
    """Where the credits went, or why that is not said: the rest of the page is needed all the more then."""
    try:
        found = in_time(lambda: user_page.spending_of(user_id))
    except GapInHistory:
        return None, GAP
    return found, "" if found else TOO_MANY


def _about_records(
    user_id: str, user: User | None, staff: User, actions_on: ActionsOn, found: str
) -> dict[str, Any]:
    """What they own and earn, the mail they got, and what staff did."""
    parts: dict[str, Any] = {}
    if staff.has_perm("accounts.view_act"):
        parts["acts"] = records.acts_of(user_id, may=staff.has_perm)
    if user is None:  # Whoever owns something here has a row.
        return parts
    if staff.has_perm("accounts.view_apikey"):
        parts["keys"] = records.keys_of(user_id, actions_on=actions_on, found=found)
    if staff.has_perm("accounts.view_outgoingmail"):
        parts["mails"] = records.mails_of(user_id)
    # None is how a part says that there is nothing, and how it says that it took too long.
    creator = in_time(lambda: (records.creator_of(user, may=staff.has_perm, found=found),))
    parts["creator"], parts["creator_took_too_long"] = (creator[0], False) if creator else (None, True)
    return parts


def _actions(site: AdminSite, request: HttpRequest) -> ActionsOn:
    """What whoever asks may do to a row, on pages that lead back to the user's."""
    staff = cast(User, request.user)

    def actions_on(row: models.Model) -> list[Action]:
        page = site.get_model_admin(type(row)) if site.is_registered(type(row)) else None
        if not isinstance(page, ActingAdmin) or not page.has_view_permission(request, row):
            return []
        return [Action(**link) for link in page.links_on(row, staff, from_user=True)]

    return actions_on
