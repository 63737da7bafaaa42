"""A creator's sponsors: the list, its CSV file, and what adds, changes, cancels and restores a placement."""

from calendar import monthrange
from datetime import MAXYEAR, UTC, date, datetime
from typing import Any

from django.contrib import messages
from django.core import signing
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_POST

from accounts.decorators import page_of_the_user
from foundation import words
from foundation.errors import BillingError, KeyReused
from foundation.forms import new_key
from foundation.http.content_security import shows_logos
from foundation.text import one_line
from monetization import sponsors as verbs
from monetization.dashboard.filters import FilterForm
from monetization.dashboard.paging import RecordList, user_of
from monetization.dashboard.sponsors.forms import (
    SponsorFilterForm,
    SponsorForm,
    fields_sent,
    period_initial,
    sponsor_initial,
)
from monetization.dashboard.sponsors.known import known_sponsors
from monetization.dashboard.sponsors.rows import PlacementRow, conflict_of
from monetization.errors import ChangedMeanwhile, NotFound, TooLate
from monetization.fields import DEFAULT_CURRENCY
from monetization.figures import sums, timeline
from monetization.models import Sponsor

BEGUN = "This placement has begun, so only its end and its addresses can still change."
CANCELLED = "Readers no longer see this sponsor, the slot is free, and its price left your booked income."
LATEST = datetime.max.replace(tzinfo=UTC)
UNDO = "monetization.undo"  # The salt of the tokens that name a cancellation.


@method_decorator(shows_logos, name="dispatch")
class SponsorList(RecordList):
    """The list of placements. Each row shows a placement's state and the placements that overlap it."""

    http_method_names = ["get", "head"]
    tab = "sponsors"
    filter_form = SponsorFilterForm
    columns = {
        "sponsor_id": "pk",
        "created_at": "created_at",
        "sponsor_name": "sponsor_name",
        "position": "position",
        "state": lambda sponsor, now: sponsor.state_at(now),
        "active_from": "active_from",
        "active_until": "active_until",
        "cancelled_at": "cancelled_at",
        "currency": "currency",
        "price_cents": "price_cents",
        "target_url": "target_url",
        "logo_url": "logo_url",
    }

    def more_context(self, form: FilterForm, records: list[Sponsor]) -> dict[str, Any]:
        """Return the rows of the page, how many placements overlap, the totals, and six weeks."""
        conflicts = verbs.conflicts(form.creator, at=form.now, among=records)
        return {
            "placements": [PlacementRow(each, form.now, conflicts.get(each.pk)) for each in records],
            "totals": _totals(form.records()),
            "overlapping": verbs.double_booked(form.creator, at=form.now),
            "timeline": timeline.six_weeks(
                form.creator, at=form.now, weeks_away=timeline.weeks_away(self.request.GET.get("weeks", ""))
            ),
        }


def _totals(placements: QuerySet[Sponsor]) -> list[Any]:
    """Return how many placements there are in each currency, and what is booked: not cancelled."""
    is_booked = Q(cancelled_at=None)
    return list(
        placements.order_by("currency")
        .values("currency")
        .annotate(
            count=Count("pk"),
            cancelled_count=Count("pk", filter=~is_booked),
            booked_cents=Coalesce(Sum("price_cents", filter=is_booked), 0),
        )
    )


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def add_sponsor(request: HttpRequest) -> HttpResponse:
    """Record a placement. A form that is sent twice records only one placement."""
    creator = user_of(request)
    if request.method != "POST":
        copied = Sponsor.objects.visible_to(creator).filter(pk=request.GET.get("copy", "")).first()
        initial = _copy_of(copied) if copied else _beginning(request)
        return _form_page(request, _form(request, initial=initial | {"key": new_key()}), copied=copied)
    form = _form(request, request.POST)
    if not form.is_valid():
        if "key" in form.errors:
            form.renew_key()
        return _form_page(request, form, status=400)
    try:
        placed = verbs.place(creator=creator, key=form.cleaned_data["key"], **form.changes())
    except BillingError as error:
        if isinstance(error, KeyReused):
            form.renew_key()
        form.add_error(None, f"{error}.")
        return _form_page(request, form, status=error.status)
    where = "inline" if placed.position == Sponsor.Position.INLINE else f"in the {placed.position}"
    messages.success(request, f"{_name(placed)} is placed {where}.")
    _warn_of_conflicts(request, placed)
    return redirect("dashboard:sponsors")


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def edit_sponsor(request: HttpRequest, pk: str) -> HttpResponse:
    """Change a placement. After it has begun, only its end and its two URLs can change."""
    sponsor = _own(request, pk)
    if request.method != "POST":
        return _edit_page(request, sponsor)
    editable = verbs.open_fields(sponsor, at=timezone.now())
    if not editable:
        return _edit_page(request, sponsor, trouble=_over(sponsor))
    form = _form(request, request.POST, initial=sponsor_initial(sponsor), editable=editable)
    if not form.is_valid():
        return _edit_page(request, sponsor, form, status=400)
    # If the form was opened before the placement began, it also sends fields that can no longer change. If
    # such a field has a new value, `edit` raises TooLate, which names the field.
    closed = SponsorForm(request.POST, editable=frozenset(fields_sent(request.POST)) - editable)
    if not closed.is_valid():
        return _edit_page(request, sponsor, trouble=BEGUN)
    try:
        changed = verbs.edit(
            creator=user_of(request),
            sponsor_id=pk,
            seen=form.cleaned_data["seen"],
            **{**form.changes(), **closed.changes()},
        )
    except ChangedMeanwhile:
        return _edit_page(request, sponsor, trouble="This placement was changed meanwhile.")
    except TooLate as error:
        return _edit_page(request, sponsor, trouble=f"{error}.")
    except BillingError as error:
        form.add_error(None, f"{error}.")
        return _edit_page(request, sponsor, form, status=error.status)
    messages.success(request, f"Saved. {_name(changed)} runs {words.end_words(changed.active_until)}, UTC.")
    _warn_of_conflicts(request, changed)
    return redirect("dashboard:sponsors")


@page_of_the_user
@require_POST
def cancel_sponsor(request: HttpRequest, pk: str) -> HttpResponse:
    """Cancel a placement at once. The notice on the next page offers to undo it."""
    sponsor = _own(request, pk)
    try:
        cancelled = verbs.cancel(creator=user_of(request), sponsor_id=pk)
    except NotFound:  # The placement has ended, or was cancelled before.
        sponsor.refresh_from_db()
        messages.info(request, _over(sponsor))
    else:
        assert cancelled.cancelled_at is not None
        # The token names this cancellation, so it cannot undo a later one or one by staff.
        token = signing.dumps([pk, cancelled.cancelled_at.isoformat()], salt=UNDO)
        undo = reverse("dashboard:restore-sponsor", args=[token])
        messages.success(request, f"{_name(sponsor)} is cancelled. {CANCELLED}", extra_tags=undo)
    return redirect("dashboard:sponsors")


@page_of_the_user
@require_POST
def restore_sponsor(request: HttpRequest, token: str) -> HttpResponse:
    """Undo a cancellation, if it is not too late and the place was not taken."""
    try:
        pk, cancelled_at = signing.loads(token, salt=UNDO)
    except signing.BadSignature:
        raise Http404 from None
    sponsor = _own(request, pk)
    try:
        restored = verbs.restore(
            creator=user_of(request), sponsor_id=pk, cancelled_at=datetime.fromisoformat(cancelled_at)
        )
    except BillingError as error:
        messages.error(request, f"{_name(sponsor)} stays cancelled. {error}.")
    else:
        messages.success(request, f"{_name(restored)} is back, as it was.")
        _warn_of_conflicts(request, restored)
    return redirect("dashboard:sponsors")


def _edit_page(
    request: HttpRequest,
    sponsor: Sponsor,
    form: SponsorForm | None = None,
    *,
    trouble: str = "",
    status: int = 200,
) -> HttpResponse:
    """Show `form`. If it is None, show a new form with the values of the placement.

    With `trouble`, read the placement from the database again, and answer with status 409.
    """
    if trouble:
        sponsor.refresh_from_db()
    editable = verbs.open_fields(sponsor, at=timezone.now())
    form = form or _form(request, initial=sponsor_initial(sponsor), editable=editable)
    about = {
        "sponsor": sponsor,
        "row": PlacementRow(sponsor, timezone.now()),
        "editable": editable,
        "has_begun": editable == verbs.OPEN_WHILE_ACTIVE,
        "is_over": not editable,
        "trouble": trouble,
    }
    return _form_page(request, form, status=409 if trouble else status, **about)


def _form(request: HttpRequest, *data: Any, **options: Any) -> SponsorForm:
    return SponsorForm(*data, used=sums.currencies_of(user_of(request)), **options)


def _form_page(request: HttpRequest, form: SponsorForm, *, status: int = 200, **about: Any) -> HttpResponse:
    context = {"tab": "sponsors", "form": form, "known": known_sponsors(user_of(request))} | about
    return render(request, "monetization/sponsor_form.html", context, status=status)


def _own(request: HttpRequest, pk: str) -> Sponsor:
    return get_object_or_404(Sponsor.objects.visible_to(user_of(request)), pk=pk)


def _name(sponsor: Sponsor) -> str:
    return one_line(sponsor.sponsor_name, words.NAME_SHOWN)


def _over(sponsor: Sponsor) -> str:
    return f"{_name(sponsor)} {'was cancelled' if sponsor.cancelled_at else 'is over'} already."


def _warn_of_conflicts(request: HttpRequest, sponsor: Sponsor) -> None:
    conflicts = verbs.conflicts(sponsor.creator, at=timezone.now(), among=[sponsor]).get(sponsor.pk)
    if conflicts:
        messages.warning(request, f"{conflict_of(sponsor, conflicts)}: both will be shown.")


# --- The first values of a new form -------------------------------------------------------------------


def _beginning(request: HttpRequest) -> dict[str, Any]:
    """Return the first values of an empty form. A link of the timeline may give the position and the days."""
    position = request.GET.get("position", "")
    currencies = sums.currencies_of(user_of(request))
    return {
        "position": position if position in Sponsor.Position.values else Sponsor.Position.HEADER,
        "first_day": _day(request.GET.get("from", "")),
        "last_day": _day(request.GET.get("until", "")),
        "currency": currencies[0] if currencies else DEFAULT_CURRENCY,
    }


def _day(text: str) -> date | None:
    """Return a day such as 2026-12-31; None for other text."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _copy_of(sponsor: Sponsor) -> dict[str, Any]:
    """Return the first values of a form that sells a placement again.

    The copy begins and ends on the same days of the month as the placement. It begins in the first later
    month in which its beginning is in the future. If a month does not have the day, the copy uses the month's
    last day. If the copy would then not end after it begins, the copy is as long as the placement.
    """
    months, now = 1, timezone.now()
    while _months_later(sponsor.active_from, months) <= now:
        months += 1
    begins, ends = (_months_later(each, months) for each in (sponsor.active_from, sponsor.active_until))
    if ends <= begins:
        ends = begins + min(sponsor.active_until - sponsor.active_from, LATEST - begins)
    return sponsor_initial(sponsor) | period_initial(begins, ends)


def _months_later(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.month - 1 + months, 12)
    year = min(moment.year + years, MAXYEAR)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
