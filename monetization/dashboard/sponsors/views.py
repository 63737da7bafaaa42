"""A creator's sponsors: the list, its file, and the forms that add, change and cancel a placement."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from accounts.decorators import page_of_the_user
from foundation import words
from foundation.errors import BillingError
from monetization import keyset
from monetization import sponsors as verbs
from monetization.dashboard import csv_files, curl, paging
from monetization.dashboard.fields import new_key
from monetization.dashboard.paging import user_of
from monetization.dashboard.sponsors import csv_rows, facts
from monetization.dashboard.sponsors.filters import SponsorFilterForm
from monetization.dashboard.sponsors.forms import SponsorForm, sponsor_initial
from monetization.dashboard.sponsors.rows import conflict_of, sponsor_rows, where
from monetization.errors import ChangedMeanwhile, FormSent, NotFound, TooLate
from monetization.fields import DEFAULT_CURRENCY
from monetization.figures import stats
from monetization.models import Sponsor

FILTERS = ("state", "position")
BEGUN = "This placement has begun, so only its end and its addresses can still change."


@page_of_the_user
@require_safe
def sponsors(request: HttpRequest) -> HttpResponse:
    """Every placement under the filters of the address, with its state and whom it collides with."""
    creator, now = user_of(request), timezone.now()
    asked = paging.asked_of(request, FILTERS)
    form = SponsorFilterForm(asked.filters)
    page = paging.context_of("sponsors", asked, form.chosen(now).apply(creator))
    conflicts = verbs.conflicts(creator, at=now, among=page["records"])
    context = {
        **page,
        "tab": "sponsors",
        "filters": form,
        "placements": sponsor_rows(page["records"], conflicts, at=now),
        "conflicts": verbs.double_booked(creator, at=now),
        "curl": curl.line_for(request, "sponsors"),
    }
    return render(request, "monetization/sponsors.html", context)


@page_of_the_user
@require_GET
def sponsors_csv(request: HttpRequest) -> HttpResponseBase:
    """The same placements as a file; a wrong filter is told on the page."""
    creator, now = user_of(request), timezone.now()
    asked = paging.asked_of(request, FILTERS)
    form = SponsorFilterForm(asked.filters)
    if not form.is_valid():
        return paging.without_search("sponsors", asked)
    found = keyset.every_row(form.chosen(now).apply(creator))
    rows = (csv_rows.sponsor_csv_row(each, at=now) for each in found)
    return csv_files.csv_answer(request, "sponsors", csv_rows.SPONSOR_CSV_HEADER, rows)


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def add_sponsor(request: HttpRequest) -> HttpResponse:
    """Place a sponsor; the same form sent twice places once."""
    creator = user_of(request)
    if request.method != "POST":
        copied = _own_or_none(request, request.GET.get("copy", ""))
        initial = _copy_of(copied) if copied else _beginning(request)
        return _form_page(request, SponsorForm(initial=initial | {"key": new_key()}), copied=copied)
    form = SponsorForm(request.POST)
    if not form.is_valid():
        if "key" in form.errors:
            form.renew_key()
        return _form_page(request, form, status=400)
    try:
        placed = verbs.place(creator=creator, key=form.cleaned_data["key"], **form.changes())
    except BillingError as error:
        if isinstance(error, FormSent):
            form.renew_key()
        form.add_error(None, f"{error}.")
        return _form_page(request, form, status=error.status)
    messages.success(request, f"{_name(placed)} is placed {where(placed)}.")
    _warn_of_conflicts(request, placed)
    return redirect("dashboard:sponsors")


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def edit_sponsor(request: HttpRequest, pk: str) -> HttpResponse:
    """Change a placement: everything before it begins; afterwards its end and its addresses."""
    sponsor = _own(request, pk)
    editable = verbs.open_fields(sponsor, at=timezone.now())
    if request.method != "POST":
        form = SponsorForm(initial=sponsor_initial(sponsor), editable=editable)
        return _form_page(request, form, sponsor=sponsor, editable=editable)
    if not editable:
        return _anew(request, sponsor, _over(sponsor))
    form = SponsorForm(request.POST, initial=sponsor_initial(sponsor), editable=editable)
    if not form.is_valid():
        return _form_page(request, form, sponsor=sponsor, editable=editable, status=400)
    # A form that was opened before it began has fields that are closed by now: the verb tells what they are.
    closed = SponsorForm(request.POST, editable=_sent(request) - editable)
    if not closed.is_valid():
        return _anew(request, sponsor, BEGUN)
    try:
        changed = verbs.edit(
            creator=user_of(request),
            sponsor_id=pk,
            seen=form.cleaned_data["seen"],
            **{**form.changes(), **closed.changes()},
        )
    except ChangedMeanwhile:
        return _anew(request, sponsor, "This placement was changed meanwhile.")
    except TooLate as error:
        return _anew(request, sponsor, f"{error}.")
    except BillingError as error:
        form.add_error(None, f"{error}.")
        return _form_page(request, form, sponsor=sponsor, editable=editable, status=error.status)
    messages.success(request, f"Saved. {_name(changed)} runs {words.end_words(changed.active_until)}, UTC.")
    _warn_of_conflicts(request, changed)
    return redirect("dashboard:sponsors")


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def cancel_sponsor(request: HttpRequest, pk: str) -> HttpResponse:
    """Take a placement back, by POST; a GET asks first. Once cancelled it stays so."""
    sponsor = _own(request, pk)
    state = sponsor.state_at(timezone.now())
    if request.method == "POST":
        try:
            verbs.cancel(creator=user_of(request), sponsor_id=pk)
        except NotFound:  # Of what is theirs: it is over, or was cancelled already.
            sponsor.refresh_from_db()
            messages.info(request, _over(sponsor))
        else:
            messages.success(request, f"{_name(sponsor)} is cancelled.")
        return redirect("dashboard:sponsors")
    if state in (Sponsor.State.ENDED, Sponsor.State.CANCELLED):
        messages.info(request, _over(sponsor))
        return redirect("dashboard:sponsors")
    context = {
        "tab": "sponsors",
        "sponsor": sponsor,
        "name": _name(sponsor),
        "is_active": state == Sponsor.State.ACTIVE,
        "facts": facts.sponsor_facts(sponsor),
    }
    return render(request, "monetization/sponsor_cancel.html", context)


def _sent(request: HttpRequest) -> frozenset[str]:
    """The fields of a placement that a form has sent."""
    return frozenset(
        name for name in verbs.FIELDS if ("price" if name == "price_cents" else name) in request.POST
    )


def _anew(request: HttpRequest, sponsor: Sponsor, trouble: str) -> HttpResponse:
    """The form with the placement as it is by now: what was sent is not to be had any more."""
    sponsor.refresh_from_db()
    editable = verbs.open_fields(sponsor, at=timezone.now())
    form = SponsorForm(initial=sponsor_initial(sponsor), editable=editable)
    return _form_page(request, form, sponsor=sponsor, editable=editable, trouble=trouble, status=409)


def _own(request: HttpRequest, pk: str) -> Sponsor:
    sponsor = _own_or_none(request, pk)
    if sponsor is None:
        raise Http404
    return sponsor


def _own_or_none(request: HttpRequest, pk: str) -> Sponsor | None:
    return Sponsor.objects.visible_to(user_of(request)).filter(pk=pk).first()


def _name(sponsor: Sponsor) -> str:
    return words.shortened(sponsor.sponsor_name, words.NAME_SHOWN)


def _over(sponsor: Sponsor) -> str:
    if sponsor.cancelled_at:
        return f"{_name(sponsor)} was cancelled already."
    return f"{_name(sponsor)} is over already."


def _copy_of(sponsor: Sponsor) -> dict[str, Any]:
    """A placement to be sold again: all that it was, on the same days of the next month to come."""
    begins, ends = facts.in_next_month(sponsor, at=timezone.now())
    return sponsor_initial(sponsor) | {"active_from": begins, "active_until": ends}


def _beginning(request: HttpRequest) -> dict[str, Any]:
    """What a new form has in it: what a link of the overview names."""
    position = request.GET.get("position", "")
    currencies = stats.currencies_of(user_of(request))
    return {
        "position": position if position in Sponsor.Position.values else Sponsor.Position.HEADER,
        "active_from": _midnight(request.GET.get("from", "")),
        "active_until": _midnight(request.GET.get("until", ""), days_later=1),
        "currency": currencies[0] if currencies else DEFAULT_CURRENCY,
    }


def _midnight(day: str, *, days_later: int = 0) -> datetime | None:
    """The first moment of a day written 2026-12-31, or of one after it; None for anything else."""
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=days_later)
    except (ValueError, OverflowError):
        return None


def _form_page(
    request: HttpRequest,
    form: SponsorForm,
    *,
    sponsor: Sponsor | None = None,
    copied: Sponsor | None = None,
    editable: frozenset[str] = frozenset(verbs.FIELDS),
    trouble: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "tab": "sponsors",
        "form": form,
        "trouble": trouble,
        "sponsor": sponsor,
        "name": _name(sponsor) if sponsor else "",
        "copied": _name(copied) if copied else "",
        "has_begun": sponsor is not None and editable == verbs.OPEN_WHILE_ACTIVE,
        "is_over": not editable,
        "facts": facts.sponsor_facts(sponsor, but=editable) if sponsor else [],
    }
    return render(request, "monetization/sponsor_form.html", context, status=status)


def _warn_of_conflicts(request: HttpRequest, sponsor: Sponsor) -> None:
    others = verbs.conflicts(sponsor.creator, at=timezone.now(), among=[sponsor]).get(sponsor.pk)
    if others:
        messages.warning(request, f"{conflict_of(sponsor, others)}: both will be shown.")
