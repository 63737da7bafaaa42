"""The figures that are read from the database, when they are read, and without a database."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from ulid import ULID

from accounts.models import OutgoingMail, Right
from misar_billing.metrics import figures
from misar_billing.metrics.figures import FIGURES, Figure, Figures, gauge
from tests.conftest import paid_checkout, product
from tests.misar_billing.metrics.exposed import Exposed, forget_what_was_read
from wallet.books import ledger
from wallet.models import Audit, Entry, Hold, PayoutReading, StripeEvent, TopUp
from wallet.seals import sealing

pytestmark = pytest.mark.django_db


def test_each_metric_has_our_prefix_and_a_help_text(as_service):
    as_service.get("/io/wallet/rates")
    shown = Exposed()
    assert shown.content_type.startswith("text/plain; version=0.0.4")
    assert len(shown.families) > 30
    for family in shown.families:
        assert family.name.startswith("misar_")
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
    assert all(shown.value("misar_figures_known", figures=figure.name) == 1 for figure in FIGURES)


def test_events_that_wait_or_are_parked(deliver):
    deliver(paid_checkout("cs_1", currency="eur"))
    at = timezone.now()
    common = {"type": "checkout.session.completed", "payload": "{}"}
    StripeEvent.objects.create(id="evt_w", state="waiting", received_at=at - timedelta(hours=2), **common)
    StripeEvent.objects.create(id="evt_f", state="waiting", received_at=at, tries=1, **common)
    shown = Exposed()
    states = {
        state: shown.value("misar_stripe_events", state=state) for state in ("waiting", "failed", "parked")
    }
    assert states == {"waiting": 2, "failed": 1, "parked": 1}
    assert 7200 <= shown.value("misar_webhook_lag_seconds") < 7800
    assert abs(shown.value("misar_webhook_last_event_timestamp_seconds") - at.timestamp()) < 600


@pytest.mark.breaks_the_books
def test_debt(give):
    give("usr_1", 5)
    ledger.claw_back(user_id="usr_1", credits=12, actor="stripe", stripe_session_id="cs_1")
    shown = Exposed()
    assert (shown.value("misar_debt_wallets"), shown.value("misar_debt_credits")) == (1, 7)


def test_checks_that_found_something_or_could_not_look():
    at = timezone.now()
    first = {"seen_count": 1, "started_at": at - timedelta(hours=3)}
    Audit.objects.create(
        kind="laws", outcome="found", found_count=2, ended_at=at - timedelta(hours=2), **first
    )
    Audit.objects.create(kind="laws", outcome="unfinished", found_count=0, ended_at=at, **first)
    shown = Exposed()
    assert shown.value("misar_check_findings", check="laws") == 2
    assert shown.value("misar_check_unfinished", check="laws") == 1
    finished = shown.value("misar_check_last_finished_timestamp_seconds", check="laws")
    assert abs(at.timestamp() - finished - 7200) < 1
    assert shown.value("misar_check_last_finished_timestamp_seconds", check="seals") == 0


def test_until_when_payouts_are_read():
    def shown() -> float:
        return Exposed().value("misar_payouts_read_until_timestamp_seconds")

    at = timezone.now()
    assert abs(at.timestamp() - shown()) < 600  # There is nothing to read.
    TopUp.objects.create(user_id="usr_1", amount_cents=500, created_at=at - timedelta(days=9))
    forget_what_was_read()
    assert 8 * 86_400 < at.timestamp() - shown() < 10 * 86_400
    PayoutReading.objects.create(since=at - timedelta(days=9), until=at - timedelta(days=2))
    forget_what_was_read()
    assert abs(at.timestamp() - shown() - 2 * 86_400) < 1


def test_holds_and_grants_that_are_late(give, article_rate):
    give("usr_1", 5)
    caller = product("chat", rights=[Right.CHARGE, Right.GRANT])
    assert caller.hold(ttl_seconds=900).status_code == 200
    ends_at = f"{timezone.now() + timedelta(minutes=15):%Y-%m-%dT%H:%M:%SZ}"
    assert caller.grant(expires_at=ends_at).status_code == 200
    for minutes, late in ((20, 0), (26, 1)):
        reading = figures._late(timezone.now() + timedelta(minutes=minutes))
        assert [family.samples[0].value for family in reading] == [late, late]


def test_mails():
    at = timezone.now()

    def mail(fact: str, **facts: object) -> None:
        OutgoingMail.objects.create(kind="receipt", fact=fact, **facts)

    mail("receipt:1", to="ada@example.com", next_try_at=at)
    mail("receipt:2", to="ada@example.com", next_try_at=at - timedelta(hours=2))
    mail("receipt:3", state="failed", given_up_at=at)
    shown = Exposed()
    kinds = ("waiting", "late", "given_up", "unwritten")
    states = {state: shown.value("misar_mails", state=state) for state in kinds}
    assert states == {"waiting": 2, "late": 1, "given_up": 1, "unwritten": 0}
    assert "ada@example.com" not in shown.text


def test_entries_that_are_not_sealed(give):
    now = timezone.now()
    give("usr_1", 1)
    assert Exposed().value("misar_unsealed_entries") == 1
    assert Exposed().value("misar_unsealed_age_seconds") == 0
    entry = Entry.objects.get()
    old = ULID.from_datetime(now - timedelta(minutes=45))
    # The time of an entry is in its id. Seen three quarters of an hour later:
    reading = figures._sealing(now + timedelta(minutes=45))
    assert [family.samples[0].value for family in reading] == [1, 1800]
    assert figures._first_id_of(now - timedelta(minutes=45)) < entry.pk
    assert figures._first_id_of(now - timedelta(minutes=45))[4:] == str(old).lower()[:10]
    sealing.seal()
    later = list(figures._sealing(now + timedelta(minutes=45)))
    assert [family.samples[0].value for family in later] == [0, 0]


def test_what_was_read_is_remembered(as_service):
    Exposed()
    with CaptureQueriesContext(connection) as captured:
        list(Figures().collect())
    assert len(captured) == 0
    forget_what_was_read()
    with CaptureQueriesContext(connection) as captured:
        list(Figures().collect())
    assert 0 < len(captured) < 70


def slow(at):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")
    yield gauge("misar_never", "Never.", 1)


def gone(at):
    raise OperationalError("the connection is lost")


def values(collector: Figures) -> dict[str, float]:
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in collector.collect()
        for sample in family.samples
    }


def test_a_figure_that_takes_too_long_is_left_out_and_the_others_are_there(monkeypatch):
    monkeypatch.setattr(figures, "SECONDS_MAX", 0.05)
    quick = Figure("quick", lambda at: [gauge("misar_quick", "Quick.", 2)], 10)
    found = values(Figures([Figure("slow", slow, 10), quick]))
    assert found == {
        "misar_database_up": 1,
        "misar_figures_knownslow": 0,
        "misar_figures_knownquick": 1,
        "misar_quick": 2,
    }


def test_without_a_database_it_says_so_and_shows_no_old_figure():
    quick = Figure("quick", lambda at: [gauge("misar_quick", "Quick.", 2)], 0)
    collector = Figures([quick, Figure("gone", lambda at: [], 0)])
    assert values(collector)["misar_quick"] == 2
    collector._figures[1].read = gone
    found = values(collector)
    assert found["misar_database_up"] == 0
    assert "misar_quick" not in found
    assert quick.due_at > 0  # It is not asked again at once.


def test_figures_are_counted_up_to_a_bound(monkeypatch, give, article_rate):
    monkeypatch.setattr(figures, "COUNTED_MAX", 2)
    give("usr_1", 9)
    caller = product("chat")
    for key in range(3):
        caller.hold(key=str(key))
    assert figures.counted(Hold.objects.all()) == 2
