"""Lists what needs attention in the service. Nothing here writes.

Examples are parked Stripe events, late payments and mails, frozen wallets, violated ledger laws, and audits
that did not run.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.template.defaultfilters import pluralize
from django.urls import reverse

from accounts import maintenance
from accounts.models import Maintenance, OutgoingMail, ServiceKey, StoppedProduct
from backoffice.credits import funds, grants, holds
from backoffice.credits.reversals import UNANSWERED
from backoffice.overview import backlog
from backoffice.overview.figures import in_time
from backoffice.overview.links import row, rows
from foundation import money
from foundation.calendar import day_of
from foundation.words import count, day_words, listed, moment
from monetization.days import closing as creators_days
from monetization.models import Tip
from wallet.books import audits, days
from wallet.models import (
    Audit,
    ClosedDay,
    Entry,
    Hold,
    Lot,
    RefundRequest,
    StripeDispute,
    StripeEvent,
    TopUp,
    Wallet,
)
from wallet.payments.payouts import reading
from wallet.payments.reconciliation.findings import HEADINGS, REPAIRED

LATE_AUDIT = timedelta(hours=26)  # Audits run every night. The two extra hours allow for a slow audit.
LATE_DAY = timedelta(days=2)
UNKNOWN_SHOWN = 5

Sees = Callable[[str], bool]


@dataclass(frozen=True)
class Line:
    """One thing that needs attention, what staff should do about it, and the URL of its rows.

    `details` name the first few rows, or say why an audit could not finish.
    """

    sentence: str
    what_to_do: str
    url: str = ""
    details: Sequence[str] = ()
    is_bad: bool = False


@dataclass(frozen=True)
class Examination:
    """One kind of audit: its name, and the command that runs it.

    `seen` is the word for what the audit examines, `found` is the word for what it finds.
    """

    kind: Audit.Kind
    name: str
    command: str
    seen: str
    found: str


EXAMINATIONS = (
    Examination(
        kind=Audit.Kind.LAWS,
        name="ledger check",
        command="manage.py check_ledger",
        seen="wallet",
        found="violation",
    ),
    Examination(
        kind=Audit.Kind.STRIPE,
        name="Stripe reconciliation",
        command="manage.py reconcile_stripe",
        seen="session",
        found="difference",
    ),
    Examination(
        kind=Audit.Kind.SEALS,
        name="seal check",
        command="manage.py check_ledger --seals",
        seen="wallet",
        found="difference",
    ),
)


def lines(*, at: datetime, sees: Sees) -> list[Line]:
    """Return everything that needs attention, the worst first.

    `sees` checks a permission of the staff member. A line is left out if the staff member may not view its
    rows.
    """
    needed: list[Line] = list(_of_maintenance())
    if sees("wallet.view_audit"):
        for examination in EXAMINATIONS:
            needed += _of_examination(examination, at)
        needed += _not_sealed(at)
    if sees("wallet.view_stripeevent"):
        needed += _of_events(at)
    if sees("wallet.view_stripedispute"):
        needed += _of_disputes()
    if sees("wallet.view_refundrequest"):
        needed += _of_requests(at)
    if sees("wallet.view_topup"):
        needed += _of_payments(at)
    if sees("wallet.view_wallet"):
        needed += _of_wallets()
    needed += _not_tidied(at, sees)
    if sees("accounts.view_servicekey"):
        needed += _of_products()
    if sees("accounts.view_outgoingmail"):
        needed += _of_mails(at)
    if sees("wallet.view_closedday"):
        needed += _of_days(at)
    if sees("wallet.view_closedmonth"):
        needed += _of_payouts(at)
    return sorted(needed, key=lambda line: not line.is_bad)


def _minute(at: datetime) -> str:
    return moment(at.astimezone(UTC).replace(second=0))


def _of_maintenance() -> Iterator[Line]:
    if maintenance.last_known() is None:
        return
    for paused in Maintenance.objects.all():
        since = _minute(paused.since)
        yield Line(
            f"Changes are paused since {since}.",
            "Charges, payments and forms get a 503. An operator ends it with manage.py maintenance end.",
            details=(paused.reason,),
            is_bad=True,
        )


# --- Examinations -----------------------------------------------------------------------------------


def checks() -> list[tuple[Examination, Audit | None]]:
    """Return each kind of audit with its last audit: None if no audit of this kind has run yet."""
    return [(examination, audits.last(examination.kind)) for examination in EXAMINATIONS]


def _of_examination(examination: Examination, at: datetime) -> Iterator[Line]:
    name, command = examination.name, examination.command
    audit = audits.last(examination.kind)
    if audit is None:
        yield Line(f"The {name} has never run.", f"Run {command} on a schedule.")
        return
    is_unfinished = audit.outcome == Audit.Outcome.UNFINISHED
    finished = audits.last_finished(examination.kind) if is_unfinished else audit
    if finished and finished.outcome == Audit.Outcome.FOUND:
        yield FOUND_BY[examination.kind](finished)
    if is_unfinished:
        why = (audit.remark,) if audit.remark else ()
        yield Line(f"The last {name} could not finish.", f"Run {command} again.", row(audit), why)
    if audit.ended_at < at - LATE_AUDIT:
        when = _minute(audit.ended_at)
        yield Line(f"The {name} last ran on {when}.", f"Find out why {command} does not run.", row(audit))


def _violated(audit: Audit) -> Line:
    subjects = _by_law(audit)
    are_all = audit.found_count <= len(audit.findings)
    sentence = f"{count(audit.found_count, 'violation')} of the ledger's laws."
    if are_all:
        sentence = f"{count(len(subjects), 'ledger law')} {pluralize(len(subjects), 'is,are')} violated."
    what_to_do = "Find out the cause before you correct anything: the service itself cannot do this."
    return Line(sentence, what_to_do, row(audit), _named(subjects, are_all=are_all), is_bad=True)


def _disagreeing(audit: Audit) -> Line:
    open_findings = [finding for finding in audit.findings if finding.get("kind") not in REPAIRED]
    subjects: dict[str, list[str]] = {}
    for finding in open_findings:
        kind = str(finding.get("kind"))
        subject = finding.get("stripe_id") or finding.get("session_id")  # Older audits have sessions only.
        subjects.setdefault(HEADINGS.get(kind, kind), []).append(str(subject))
    sentence = f"{count(audit.found_count, 'difference')} between Stripe and the ledger."
    what_to_do = (
        "manage.py reconcile_stripe --apply credits payments and follows refunds. Review the rest manually."
    )
    named = _named(subjects, are_all=audit.found_count <= len(open_findings))
    return Line(sentence, what_to_do, row(audit), named, is_bad=True)


def _tampered(audit: Audit) -> Line:
    named = _named(_by_law(audit), are_all=audit.found_count <= len(audit.findings))
    return Line(
        f"{count(audit.found_count, 'difference')} between the ledger and its seals.",
        "Change nothing and keep a copy of the database. Find out who wrote to it other than the service.",
        row(audit),
        named,
        is_bad=True,
    )


FOUND_BY: dict[str, Callable[[Audit], Line]] = {
    Audit.Kind.LAWS: _violated,
    Audit.Kind.STRIPE: _disagreeing,
    Audit.Kind.SEALS: _tampered,
}


def _not_sealed(at: datetime) -> Iterator[Line]:
    """One look at the last entry that is old enough: it is sealed if the sealing goes on.

    It is the last one by its id, which begins with a time. No index has the order of `created_at`.
    """
    old_enough = Entry.objects.filter(created_at__lt=at - backlog.LATE_SEAL)
    entry = backlog.with_seals(old_enough).order_by("-pk").first()
    if entry is not None and entry.sealed_to < entry.sequence:
        when = _minute(entry.created_at)
        yield Line(
            f"Entries up to {when} are not sealed.",
            "Run manage.py seal_ledger every few minutes.",
            row(entry),
        )


def _by_law(audit: Audit) -> dict[str, list[str]]:
    """Return what violates each law, by the name of the law."""
    subjects: dict[str, list[str]] = {}
    for finding in audit.findings:
        subjects.setdefault(str(finding.get("law")), []).append(str(finding.get("subject")))
    return subjects


def _named(groups: dict[str, list[str]], *, are_all: bool) -> list[str]:
    """Return a sentence for each group, with its first few members.

    `are_all` is false if more members exist than `groups` holds. Then each sentence ends with "others".
    """
    return [f"{name}: {listed(members, and_others=not are_all)}." for name, members in groups.items()]


# --- Events and payments ----------------------------------------------------------------------------


def _of_events(at: datetime) -> Iterator[Line]:
    found, late = backlog.events(at), at - backlog.LATE_EVENT
    if found["failed"]:
        yield Line(
            f"{count(found['failed'], 'Stripe event')} could not be handled.",
            "Read the traceback. Once the cause is fixed, handle each event again.",
            rows(StripeEvent, state__exact="waiting", tries__gte=1),
            is_bad=True,
        )
    if found["parked"]:
        yield Line(
            f"{count(found['parked'], 'Stripe event')} {pluralize(found['parked'], 'needs,need')} review.",
            "Open each one: its page says why, and what to do.",
            rows(StripeEvent, state__exact="parked"),
        )
    if found["kept"]:
        yield Line(
            f"An earlier release only stored {count(found['kept'], 'Stripe event')}.",
            "They are about refunds and disputes. Handle each one again, so that the credits follow.",
            rows(StripeEvent, state__exact="kept"),
        )
    if found["untried"]:  # If all late events have failed, the line about failed events is enough.
        has = pluralize(found["late"], "has,have")
        yield Line(
            f"{count(found['late'], 'Stripe event')} {has} waited for over five minutes.",
            "Stripe delivers again within hours. Handling each one manually is quicker.",
            rows(StripeEvent, state__exact="waiting", received_at__lt=late),
        )


def _of_payments(at: datetime) -> Iterator[Line]:
    late = at - backlog.LATE_PAYMENT
    if pending := backlog.late_payments(at).count():
        yield Line(
            f"{count(pending, 'payment')} {pluralize(pending, 'has,have')} been pending for over an hour.",
            "Some banks take days. Check older ones with Stripe.",
            rows(TopUp, state__exact="pending", created_at__lt=late),
        )


def _of_disputes() -> Iterator[Line]:
    found = backlog.disputes()
    if unanswered := found["unanswered"]:
        due = found["first_due_at"]
        next_one = f"; the next one is on {day_words(day_of(due))}" if due else ""
        yield Line(
            f"{count(unanswered, 'dispute')} {pluralize(unanswered, 'needs,need')} an answer.",
            f"Answer in Stripe's dashboard before the bank's deadline, or the money is lost{next_one}.",
            rows(StripeDispute, status__exact=UNANSWERED),
            is_bad=True,
        )


def _of_requests(at: datetime) -> Iterator[Line]:
    if unanswered := backlog.unanswered_refunds(at).count():
        yield Line(
            f"{count(unanswered, 'refund')} {pluralize(unanswered, 'has,have')} no answer from Stripe.",
            "Open each one and ask Stripe again: the same refund is never made twice.",
            rows(RefundRequest, state__exact="asking"),
        )


def _of_wallets() -> Iterator[Line]:
    found = in_time(backlog.wallets_in_question)
    if not found:
        return
    if found["owing"]:
        yield Line(
            f"{count(found['owing'], 'user')} {pluralize(found['owing'], 'owes,owe')} "
            f"{money.credits(found['owed'])} in total.",
            "Until a top-up has paid the debt, they can spend only the granted credits that exceed it.",
            rows(Wallet, funds=funds.OWING),
        )
    if found["overheld"]:
        has = pluralize(found["overheld"], "has,have")
        yield Line(
            f"{count(found['overheld'], 'user')} {has} more held than they have.",
            "A payment was refunded or disputed. They can't spend until holds end or a top-up comes in.",
            rows(Wallet, funds=funds.OVERHELD),
        )
    if found["frozen"]:
        yield Line(
            f"{count(found['frozen'], 'wallet')} {pluralize(found['frozen'], 'is,are')} frozen.",
            "Charges and holds are refused. What staff did, on each wallet's page, says why.",
            rows(Wallet, frozen__exact=1),
        )


def _not_tidied(at: datetime, sees: Sees) -> Iterator[Line]:
    if sees("wallet.view_hold"):
        yield from _of_holds(at)
    if sees("wallet.view_lot"):
        yield from _of_grants(at)


def _of_holds(at: datetime) -> Iterator[Line]:
    late = at - backlog.LATE_HOLD
    if untidied := backlog.late_holds(at).count():
        yield Line(
            f"{count(untidied, 'hold')} ended over ten minutes ago and {pluralize(untidied, 'is,are')} not "
            "tidied.",
            "Check that manage.py tidy runs. No answer is wrong: time alone decides that a hold has expired.",
            rows(Hold, state=holds.UNTIDIED, expires_at__lt=late),
        )


def _of_grants(at: datetime) -> Iterator[Line]:
    if late := backlog.late_grants(at).count():
        yield Line(
            f"{count(late, 'grant')} ended over ten minutes ago and {pluralize(late, 'is,are')} not written "
            "off.",
            "Check that manage.py tidy runs. No answer is wrong: time alone decides that a grant has ended.",
            rows(Lot, end=grants.LATE),
        )


def _of_products() -> Iterator[Line]:
    stopped = list(StoppedProduct.objects.order_by("stopped_at", "pk").values_list("pk", flat=True))
    if stopped:
        are = pluralize(len(stopped), "is,are")
        yield Line(
            f"{count(len(stopped), 'product')} {are} stopped: {listed(stopped)}.",
            "The keys of a stopped product may charge nothing. Open one of its keys to let it go on.",
            rows(ServiceKey, stopped="yes"),
        )


# --- Mails and days ---------------------------------------------------------------------------------


def _of_mails(at: datetime) -> Iterator[Line]:
    if given_up := backlog.given_up_mails(at).count():
        yield Line(
            f"{count(given_up, 'mail')} of the last week could not be sent.",
            "The last error says whether the cause was the address or the mail server.",
            rows(OutgoingMail, state__exact="failed", when="7d"),
        )
    if waiting := backlog.late_mails(at).count():
        yield Line(
            f"{count(waiting, 'mail')} {pluralize(waiting, 'was,were')} due over an hour ago.",
            "Check that manage.py send_mail --watch runs.",
            rows(OutgoingMail, state__exact="waiting"),
        )
    if unwritten := backlog.unwritten_receipts(at).count():
        yield Line(
            f"{count(unwritten, 'payment')} {pluralize(unwritten, 'has,have')} no receipt after an hour.",
            "manage.py send_mail writes it as soon as it can. Its log says what stops it.",
        )


def _of_days(at: datetime) -> Iterator[Line]:
    for open_days, whose, command, link in (
        (days.open_days, "", "close_days", rows(ClosedDay)),
        (creators_days.open_days, " of creators' records", "close_creators_days", rows(Tip)),
    ):
        if late := [day for day in open_days(now=at) if day < day_of(at - LATE_DAY)]:
            have = pluralize(len(late), "has,have")
            yield Line(
                f"{count(len(late), 'finished day')}{whose} {have} no daily totals, "
                f"from {day_words(late[0])} on.",
                f"Run manage.py {command} every night. Until then the figures are slower, but as exact.",
                link,
            )


def _of_payouts(at: datetime) -> Iterator[Line]:
    until = reading.reads_on_from()
    if until and until < at - backlog.LATE_PAYOUTS:
        since = _minute(until)
        yield Line(
            f"Stripe's fees and payouts are not read since {since}.",
            "Run manage.py read_payouts every night. Until then no month of money is closed.",
            reverse("admin:month_ends"),
        )
    unknown = list((reading.unknown() & reading.waited_for())[:UNKNOWN_SHOWN])
    if unknown:
        yield Line(
            "Stripe does not know a payout that was read before, or answers wrongly about it.",
            "Check that the Stripe key is of the right account and mode. Its month waits for a week.",
            reverse("admin:month_ends"),
            [f"{payout.pk} of {day_words(payout.created_at.date())}" for payout in unknown],
            is_bad=True,
        )
