"""What needs a person: what is parked, late, violated or not examined. Nothing here writes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Q

from accounts.models import OutgoingMail
from backoffice.overview.links import row, rows
from foundation.words import count, day_words, moment
from wallet.books import audits, days
from wallet.models import Audit, ClosedDay, StripeEvent, TopUp

LATE_EVENT = timedelta(minutes=5)
LATE_PAYMENT = timedelta(hours=1)
LATE_MAIL = timedelta(hours=1)
LATE_AUDIT = timedelta(hours=26)  # A night's, and a little more.
LATE_DAY = timedelta(days=2)
MAILS_LOOKED_BACK = timedelta(days=7)
NAMED_MAX = 3

DIFFERENCES = {
    "uncredited": "Paid at Stripe, not credited",
    "unpaid": "Credited, but not paid at Stripe",
    "parked": "Paid at Stripe, a person must decide",
}

Sees = Callable[[str], bool]


@dataclass(frozen=True)
class Line:
    """One thing that needs a person: what is so, what to do, the rows; `details` name the first of them."""

    sentence: str
    what_to_do: str
    url: str = ""
    details: tuple[str, ...] = ()
    is_bad: bool = False


@dataclass(frozen=True)
class Check:
    """The last examination of one kind, always shown; `tag` is good, bad, warn or, before the first, ""."""

    name: str
    tag: str
    outcome: str
    looked_at: str
    ended_at: datetime | None
    url: str
    all_url: str


@dataclass(frozen=True)
class Examination:
    """How one kind of examination is spoken of."""

    kind: Audit.Kind
    never: str
    late: str
    could_not: str
    command: str
    seen: str
    found: str


EXAMINATIONS = (
    Examination(
        kind=Audit.Kind.LAWS,
        never="The laws of the books have never been checked.",
        late="The laws of the books were last checked on {when}.",
        could_not="The last check of the laws could not look.",
        command="manage.py check_ledger",
        seen="wallet",
        found="violation",
    ),
    Examination(
        kind=Audit.Kind.STRIPE,
        never="Stripe and the books have never been compared.",
        late="Stripe and the books were last compared on {when}.",
        could_not="The last comparison with Stripe could not look.",
        command="manage.py reconcile_stripe",
        seen="session",
        found="difference",
    ),
)
TAGS = {Audit.Outcome.CLEAN: "good", Audit.Outcome.FOUND: "bad", Audit.Outcome.UNFINISHED: "warn"}


def lines(*, at: datetime, sees: Sees) -> list[Line]:
    """All that needs a person, the worst first; `sees` says by permission what may be shown."""
    found: list[Line] = []
    if sees("wallet.view_audit"):
        for examination in EXAMINATIONS:
            found += _of_examination(examination, at)
    if sees("wallet.view_stripeevent"):
        found += _of_events(at)
    if sees("wallet.view_topup"):
        found += _of_payments(at)
    if sees("accounts.view_outgoingmail"):
        found += _of_mails(at)
    if sees("wallet.view_closedday"):
        found += _of_days(at)
    return sorted(found, key=lambda line: not line.is_bad)


def summary(found: list[Line]) -> str:
    """How much there is to look at, in a sentence."""
    if not found:
        return "Nothing needs attention."
    return "One thing needs attention." if len(found) == 1 else f"{len(found)} things need attention."


# --- Examinations -----------------------------------------------------------------------------------


def checks() -> list[Check]:
    """The last examination of each kind."""
    return [_check(examination) for examination in EXAMINATIONS]


def _check(examination: Examination) -> Check:
    audit = audits.last(examination.kind)
    name = str(examination.kind.label)
    all_url = rows(Audit, kind__exact=examination.kind.value)
    if audit is None:
        return Check(name, "", "Never ran", f"Run {examination.command}.", None, "", all_url)
    looked_at = f"{count(audit.seen_count, examination.seen)} looked at"
    if audit.outcome == Audit.Outcome.FOUND:
        looked_at += f", {count(audit.found_count, examination.found)}"
    tag = TAGS[Audit.Outcome(audit.outcome)]
    return Check(name, tag, audit.get_outcome_display(), looked_at, audit.ended_at, row(audit), all_url)


def _of_examination(examination: Examination, at: datetime) -> Iterator[Line]:
    audit = audits.last(examination.kind)
    if audit is None:
        yield Line(examination.never, f"Let {examination.command} run on a schedule.")
        return
    looked = audit if audit.outcome != Audit.Outcome.UNFINISHED else audits.last_finished(examination.kind)
    if looked is not None and looked.outcome == Audit.Outcome.FOUND:
        yield (_violated if examination.kind == Audit.Kind.LAWS else _disagreeing)(looked)
    if audit.outcome == Audit.Outcome.UNFINISHED:
        why = (audit.remark,) if audit.remark else ()
        yield Line(examination.could_not, f"Run {examination.command} again.", row(audit), why)
    if audit.ended_at < at - LATE_AUDIT:
        late = examination.late.format(when=moment(audit.ended_at.astimezone(UTC).replace(second=0)))
        yield Line(late, f"See why {examination.command} does not run.", row(audit))


def _violated(audit: Audit) -> Line:
    subjects = _grouped(audit, "law", "subject")
    sentence = f"{count(audit.found_count, 'violation')} of the laws of the books."
    are_all = audit.found_count <= len(audit.findings)
    if are_all:
        sentence = "A law of the books is violated."
        if len(subjects) > 1:
            sentence = f"{len(subjects)} laws of the books are violated."
    what_to_do = "Stop and find out how before anything is corrected: no verb can do this."
    return Line(sentence, what_to_do, row(audit), _named(subjects, are_all=are_all), is_bad=True)


def _disagreeing(audit: Audit) -> Line:
    still = [finding for finding in audit.findings if finding.get("kind") != "credited"]
    sessions: dict[str, list[str]] = {}
    for finding in still:
        kind = str(finding.get("kind"))
        sessions.setdefault(DIFFERENCES.get(kind, kind), []).append(str(finding.get("session_id")))
    sentence = f"Stripe and the books disagree on {count(audit.found_count, 'session')}."
    what_to_do = "manage.py reconcile_stripe --apply credits what was paid; the rest is for a person."
    named = _named(sessions, are_all=audit.found_count <= len(still))
    return Line(sentence, what_to_do, row(audit), named, is_bad=True)


def _grouped(audit: Audit, by: str, what: str) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for finding in audit.findings:
        groups.setdefault(str(finding.get(by)), []).append(str(finding.get(what)))
    return groups


def _named(groups: dict[str, list[str]], *, are_all: bool = True) -> tuple[str, ...]:
    """Each group with its first few members; `are_all` where none but these were found.

    >>> _named({"Paid": ["cs_1", "cs_2", "cs_3", "cs_4", "cs_5"]})
    ('Paid: cs_1, cs_2, cs_3 and 2 more.',)
    """
    told = []
    for name, members in groups.items():
        more = f" and {len(members) - NAMED_MAX} more" if len(members) > NAMED_MAX else ""
        told.append(f"{name}: {', '.join(members[:NAMED_MAX])}{more if are_all else ' and others'}.")
    return tuple(told)


# --- Events and payments ----------------------------------------------------------------------------


def _of_events(at: datetime) -> Iterator[Line]:
    State = StripeEvent.State
    waiting, late = Q(state=State.WAITING), at - LATE_EVENT
    # Only these two states, which are a few rows of the index, however many events were handled.
    found = StripeEvent.objects.filter(state__in=[State.PARKED, State.WAITING]).aggregate(
        parked=Count("pk", filter=Q(state=State.PARKED)),
        failed=Count("pk", filter=waiting & Q(tries__gte=1)),
        late=Count("pk", filter=waiting & Q(received_at__lt=late)),
        untried=Count("pk", filter=waiting & Q(received_at__lt=late, tries=0)),
    )
    if found["failed"]:
        yield Line(
            f"{count(found['failed'], 'event')} of Stripe could not be handled.",
            "Read the traceback; once the cause is gone, handle each again.",
            rows(StripeEvent, state__exact="waiting", tries__gte=1),
            is_bad=True,
        )
    if found["parked"]:
        yield Line(
            f"{count(found['parked'], 'event')} of Stripe {_verb(found['parked'])} parked.",
            "Retrying cannot heal them: decide on each, and resolve it by hand.",
            rows(StripeEvent, state__exact="parked"),
        )
    if found["untried"]:  # Those that failed have their own line, and are late too.
        yield Line(
            f"{count(found['late'], 'event')} of Stripe {_has(found['late'])} waited for over five minutes.",
            "Stripe delivers again within hours; handling by hand is quicker.",
            rows(StripeEvent, state__exact="waiting", received_at__lt=late),
        )


def _of_payments(at: datetime) -> Iterator[Line]:
    late = at - LATE_PAYMENT
    if pending := TopUp.objects.filter(state=TopUp.State.PENDING, created_at__lt=late).count():
        yield Line(
            f"{count(pending, 'payment')} {_has(pending)} been on the way for over an hour.",
            "Some banks take days. Have Stripe asked about those that are older.",
            rows(TopUp, state__exact="pending", created_at__lt=late),
        )


# --- Mails and days ---------------------------------------------------------------------------------


def _of_mails(at: datetime) -> Iterator[Line]:
    since, due = at - MAILS_LOOKED_BACK, at - LATE_MAIL
    if given_up := OutgoingMail.objects.filter(state="failed", created_at__gte=since).count():
        yield Line(
            f"{count(given_up, 'mail')} of the last week {_verb(given_up, 'was', 'were')} given up.",
            "The last error says whether the address was wrong or the mail server.",
            rows(OutgoingMail, state__exact="failed", when="7d"),
        )
    if waiting := OutgoingMail.objects.filter(state="waiting", next_try_at__lt=due).count():
        yield Line(
            f"{count(waiting, 'mail')} {_verb(waiting, 'was', 'were')} due over an hour ago.",
            "See whether manage.py send_mail --watch runs.",
            rows(OutgoingMail, state__exact="waiting"),
        )


def _of_days(at: datetime) -> Iterator[Line]:
    newest = (at - LATE_DAY).astimezone(UTC).date()
    late = [day for day in days.open_days(now=at) if day < newest]
    if late:
        yield Line(
            f"{count(len(late), 'finished day')} {_verb(len(late), 'is', 'are')} not added up, "
            f"from {day_words(late[0])} on.",
            "Let manage.py close_days run every night: until then the figures here are slower, and as right.",
            rows(ClosedDay),
        )


def _verb(number: int, one: str = "is", many: str = "are") -> str:
    return one if number == 1 else many


def _has(number: int) -> str:
    return _verb(number, "has", "have")


def days_sentence() -> str:
    """Up to which day the ledger is added up."""
    newest = ClosedDay.objects.order_by("-day").values_list("day", flat=True).first()
    return f"Through {day_words(newest)}" if newest else "None yet"
