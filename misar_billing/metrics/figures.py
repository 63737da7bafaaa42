"""Figures that are read from the database when Prometheus asks: what waits, what is owed, what was found.

Each figure uses an index or has a bound, so it takes milliseconds with millions of entries. A process
remembers each for some seconds, so that many readers cost as much as one. All figures together have a time
limit. A figure that took too long is left out, and is tried again when it is due.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Max
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from ulid import ULID

from accounts.models import StoppedProduct
from backoffice.overview import attention, backlog
from wallet.books import audits
from wallet.identifiers import transaction_id
from wallet.models import Audit, Entry, StripeEvent
from wallet.payments.payouts import reading

SECONDS_MAX = 2.0  # For all figures of one reading. Prometheus waits 10 seconds.
# A database that stands still takes time, so it is not asked again at once.
SECONDS_AFTER_A_FAILURE = 5.0
SECONDS_MIN = 0.05  # For a figure that is read last.
# How many rows are counted at most. More mean the same: there is much to do.
COUNTED_MAX = 10_000
UNSEALED_MAX = 1_000
# The ages at which one entry is looked at, to see how far the sealing has come.
AGES = [timedelta(minutes=each) for each in (2, 5, 10, 30, 60, 6 * 60, 24 * 60, 7 * 24 * 60)]


def gauge(name: str, help: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help, value=value)


def labelled(name: str, help: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """Return a metric that has a value for each value of a label."""
    family = GaugeMetricFamily(name, help, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def counted(rows: Any) -> int:
    """Return how many rows a query finds, but not more than COUNTED_MAX."""
    found: int = rows.order_by()[:COUNTED_MAX].count()
    return found


def seconds_between(earlier: datetime | None, at: datetime) -> float:
    """Return how long ago a time is; 0 if there is none."""
    return max(0.0, (at - earlier).total_seconds()) if earlier else 0.0


# --- What is read -------------------------------------------------------------------------------------


def _connections(at: datetime) -> Iterator[GaugeMetricFamily]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' OR backend_type IS NULL"
        )
        now_open, most = cursor.fetchone()
    yield gauge("misar_database_connections", "Connections of clients to the database server.", now_open)
    yield gauge("misar_database_connections_max", "The most connections the server accepts.", most)


def _events(at: datetime) -> Iterator[GaugeMetricFamily]:
    found = backlog.events(at)
    yield labelled(
        "misar_stripe_events",
        "Stripe events that are not done. waiting: not handled yet. failed: those of them that were tried. "
        "parked: staff must decide. kept: stored by an earlier release.",
        "state",
        {state: found[state] for state in ("waiting", "failed", "parked", "kept")},
    )
    yield gauge(
        "misar_webhook_lag_seconds",
        "How long the oldest Stripe event waits that is not handled; 0 if none waits.",
        seconds_between(found["oldest_waiting"], at),
    )
    last = StripeEvent.objects.aggregate(last=Max("received_at"))["last"]
    yield gauge(
        "misar_webhook_last_event_timestamp_seconds",
        "When the last event of Stripe came in, in seconds since 1970; 0 if none has.",
        last.timestamp() if last else 0,
    )


def _money(at: datetime) -> Iterator[GaugeMetricFamily]:
    yield gauge(
        "misar_payments_late",
        "Payments that have been pending for an hour.",
        counted(backlog.late_payments(at)),
    )
    unanswered = backlog.disputes()["unanswered"]
    yield gauge("misar_disputes_unanswered", "Disputes that need an answer at Stripe.", unanswered)
    yield labelled(
        "misar_refund_requests",
        "Refunds of top-ups that staff asked for. unanswered: no answer from Stripe for a minute. refused: "
        "refused by Stripe in the last seven days.",
        "state",
        {
            "unanswered": counted(backlog.unanswered_refunds(at)),
            "refused": counted(backlog.refused_refunds(at)),
        },
    )
    stopped = counted(StoppedProduct.objects.all())
    yield gauge("misar_products_stopped", "Products that staff have stopped from charging.", stopped)


def _wallets(at: datetime) -> Iterator[GaugeMetricFamily]:
    found = backlog.wallets_in_question()
    yield gauge("misar_debt_wallets", "Users who owe credits.", found["owing"])
    yield gauge("misar_debt_credits", "Credits that users owe, together.", found["owed"])
    yield gauge("misar_wallets_overheld", "Users with more credits held than they have.", found["overheld"])
    yield gauge("misar_wallets_frozen", "Wallets that staff have frozen.", found["frozen"])


def _checks(at: datetime) -> Iterator[GaugeMetricFamily]:
    """The last results: of check_ledger, reconcile_stripe, and check_ledger --seals."""
    last = {each.kind.value: audits.last(each.kind) for each in attention.EXAMINATIONS}
    finished = {each.kind.value: audits.last_finished(each.kind) for each in attention.EXAMINATIONS}
    yield labelled(
        "misar_check_findings",
        "What the last finished check found. laws: violated laws of the ledger. stripe: differences from "
        "Stripe. seals: changes of sealed history.",
        "check",
        {kind: audit.found_count if audit else 0 for kind, audit in finished.items()},
    )
    yield labelled(
        "misar_check_unfinished",
        "1 if the last run of the check could not finish.",
        "check",
        {
            kind: float(audit is not None and audit.outcome == Audit.Outcome.UNFINISHED)
            for kind, audit in last.items()
        },
    )
    yield labelled(
        "misar_check_last_finished_timestamp_seconds",
        "When the check last finished, in seconds since 1970; 0 if it never has.",
        "check",
        {kind: audit.ended_at.timestamp() if audit else 0 for kind, audit in finished.items()},
    )
    until = reading.reads_on_from()
    yield gauge(
        "misar_payouts_read_until_timestamp_seconds",
        "Until when Stripe's fees and payouts are read, in seconds since 1970. Before the first run: when "
        "the first top-up was; without top-ups: now.",
        (until or at).timestamp(),
    )


def _late(at: datetime) -> Iterator[GaugeMetricFamily]:
    yield gauge(
        "misar_holds_late",
        "Holds that ended over ten minutes ago and are not tidied; at most 10000 are counted.",
        counted(backlog.late_holds(at)),
    )
    yield gauge(
        "misar_grants_late",
        "Grants that ended over ten minutes ago and are not written off; at most 10000 are counted.",
        counted(backlog.late_grants(at)),
    )


def _mails(at: datetime) -> Iterator[GaugeMetricFamily]:
    yield labelled(
        "misar_mails",
        "Mails. waiting: not sent yet. late: due for over an hour. given_up: refused or failed too often in "
        "the last seven days. unwritten: receipts missing for over an hour. "
        "At most 10000 are counted.",
        "state",
        {
            "waiting": counted(backlog.waiting_mails()),
            "late": counted(backlog.late_mails(at)),
            "given_up": counted(backlog.given_up_mails(at)),
            "unwritten": counted(backlog.unwritten_receipts(at)),
        },
    )


def _sealing(at: datetime) -> Iterator[GaugeMetricFamily]:
    """Look at the newest entries, and at one entry of each age. Each look is one step in an index.

    The sealing goes through all wallets, so the last entry before a time is sealed if the sealing goes on.
    An entry's id begins with its time.
    """
    newest = Entry.objects.order_by("-pk")[:UNSEALED_MAX]
    seen = backlog.with_seals(Entry.objects.filter(pk__in=newest.values("pk")))
    unsealed = sum(sequence > to for sequence, to in seen.values_list("sequence", "sealed_to"))
    yield gauge("misar_unsealed_entries", "Entries among the newest 1000 that are not sealed yet.", unsealed)
    age = timedelta()
    for each in AGES:
        before = Entry.objects.filter(pk__lt=_first_id_of(at - each)).order_by("-pk")
        entry = backlog.with_seals(before).first()
        if entry is None or entry.sequence <= entry.sealed_to:
            break
        age = each
    yield gauge(
        "misar_unsealed_age_seconds",
        "Entries of at least this age are not sealed; 0 if the sealing is at most two minutes late.",
        age.total_seconds(),
    )


def _first_id_of(moment: datetime) -> str:
    """Return the lowest id that an entry of this time can have."""
    prefix = transaction_id().partition("_")[0]
    return f"{prefix}_{str(ULID.from_datetime(moment)).lower()[:10]}"


# --- When it is read ----------------------------------------------------------------------------------


@dataclass
class Figure:
    """Some metrics that are read together, and remembered for so many seconds."""

    name: str
    read: Callable[[datetime], Iterable[GaugeMetricFamily]]
    seconds: float
    metrics: list[GaugeMetricFamily] = field(default_factory=list)
    due_at: float = 0.0


# In this order, so that the time limit leaves out those that read most.
FIGURES = (
    Figure("connections", _connections, 10),
    Figure("events", _events, 10),
    Figure("late", _late, 10),
    Figure("mails", _mails, 10),
    Figure("checks", _checks, 30),
    Figure("money", _money, 30),
    Figure("sealing", _sealing, 30),
    Figure("wallets", _wallets, 300),
)


class Figures:
    """A collector for prometheus_client: yields the figures, and whether the database could be read."""

    def __init__(self, figures: Iterable[Figure] = FIGURES) -> None:
        self._figures = tuple(figures)
        self._lock = threading.Lock()
        self._is_up = False

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._lock:
            self._read_what_is_due()
            up = gauge("misar_database_up", "1 if the figures could be read from the database.", self._is_up)
            known = labelled(
                "misar_figures_known",
                "1 if these figures are shown; 0 if reading them failed or took too long.",
                "figures",
                {figure.name: bool(figure.metrics) for figure in self._figures},
            )
            yield from [up, known, *(metric for figure in self._figures for metric in figure.metrics)]

    def _read_what_is_due(self) -> None:
        due = [figure for figure in self._figures if time.monotonic() >= figure.due_at]
        if not due:
            return
        give_up_at = time.monotonic() + SECONDS_MAX
        try:
            for figure in due:
                self._read(figure, give_up_at)
            self._is_up = True
        except (DatabaseError, InterfaceError):
            self._is_up = False
            for figure in self._figures:  # What was read before may be wrong by now.
                figure.metrics, figure.due_at = [], time.monotonic() + SECONDS_AFTER_A_FAILURE
        finally:
            # This thread reads every few seconds. Between two readings it needs no connection.
            if not connection.in_atomic_block:
                with suppress(DatabaseError, InterfaceError):
                    connection.close()

    def _read(self, figure: Figure, give_up_at: float) -> None:
        """Read a figure. One that takes too long is left out; other errors are raised."""
        at, left = timezone.now(), max(give_up_at - time.monotonic(), SECONDS_MIN)
        figure.metrics, figure.due_at = [], time.monotonic() + figure.seconds
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{left * 1000:.0f}"])
                figure.metrics = list(figure.read(at))
        except OperationalError as error:
            if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
                raise
