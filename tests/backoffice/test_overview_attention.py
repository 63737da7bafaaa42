"""The front of the back-office: what it says where nothing is there, and what needs attention."""

from datetime import timedelta

import pytest

from accounts.models import OutgoingMail
from monetization.days import closing
from tests.backoffice.overviews import DAY, HOUR, NOW, attention, behind, examine, sentences, text_of
from tests.factories import UserFactory
from tests.monetization.records import clock_at, tip
from tests.wallet.past import wrote
from wallet.books import days
from wallet.models import Audit, PayoutReading, StripeEvent, StripePayout, TopUp
from wallet.seals import sealing

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_noon():
    """The page is asked for at one moment, so that its days are known."""
    with clock_at(NOW):
        yield


@pytest.fixture
def examined():
    """Each examination ran last night, and found nothing."""
    for kind in Audit.Kind:
        examine(kind)


# --- An installation with nothing in it -------------------------------------------------------------


def test_a_fresh_installation_says_what_will_be_here_and_what_to_run(staff):
    said = text_of(staff.get("/admin/"))
    assert "3 things need attention." in said
    assert "The ledger check has never run. Run manage.py check_ledger on a schedule." in said
    assert "No wallet holds any yet." in said
    assert "No credits have moved yet." in said
    assert "No creator recorded a tip in the last 30 days." in said
    assert "Daily totals through None yet" in said


def test_where_nothing_needs_attention_the_page_says_so(staff, examined):
    said = text_of(staff.get("/admin/"))
    assert "Nothing needs attention." in said
    assert "Ledger check Clean 30 Jun, 02:30 3 wallets checked" in said


# --- What needs attention ---------------------------------------------------------------------------


@pytest.mark.usefixtures("examined")
class TestAttention:
    def test_events_by_what_became_of_them_each_with_its_rows(self, staff):
        def event(name, **facts):
            StripeEvent.objects.create(id=name, type="charge.refunded", **{"received_at": NOW - HOUR} | facts)

        for name in ("evt_parked_1", "evt_parked_2"):
            event(name, state="parked", tries=1)
        event("evt_failed", tries=2, received_at=NOW - timedelta(minutes=1))
        event("evt_late")
        event("evt_just_now", received_at=NOW - timedelta(minutes=4))
        event("evt_handled", state="handled", handled_at=NOW)
        event("evt_resolved", state="resolved", handled_at=NOW)
        failed, parked, late = attention()
        assert failed.sentence == "1 Stripe event could not be handled."
        assert parked.sentence == "2 Stripe events need review."
        assert late.sentence == "1 Stripe event has waited for over five minutes."
        found = [{row.pk for row in behind(staff, line.url)} for line in (failed, parked, late)]
        assert found == [{"evt_failed"}, {"evt_parked_1", "evt_parked_2"}, {"evt_late"}]
        assert "3 things need attention." in text_of(staff.get("/admin/"))

    def test_an_event_that_failed_has_one_line(self):
        StripeEvent.objects.create(id="evt_1", type="charge.refunded", tries=1, received_at=NOW - HOUR)
        assert sentences() == ["1 Stripe event could not be handled."]

    def test_payments_that_have_been_pending_for_over_an_hour(self, staff):
        for number, ago in enumerate((2 * HOUR, 3 * HOUR, HOUR / 2)):
            TopUp.objects.create(
                user_id=f"usr_{number}", state="pending", amount_cents=500, created_at=NOW - ago
            )
        TopUp.objects.create(user_id="usr_9", state="expired", amount_cents=500, created_at=NOW - DAY)
        [line] = attention()
        assert line.sentence == "2 payments have been pending for over an hour."
        assert {row.user_id for row in behind(staff, line.url)} == {"usr_0", "usr_1"}

    def test_mails_given_up_in_the_last_week_and_mails_that_are_not_sent(self, staff):
        def mail(fact, ago, **facts):
            OutgoingMail.objects.create(kind="receipt", fact=fact, user=user, created_at=NOW - ago, **facts)

        user = UserFactory.create()
        given_up = {"state": "failed", "given_up_at": NOW}
        mail("receipt:1", DAY, **given_up)
        mail("receipt:2", 8 * DAY, **given_up)
        mail("receipt:3", DAY, to="a@example.com", next_try_at=NOW - 2 * HOUR)
        mail("receipt:4", DAY, to="a@example.com", next_try_at=NOW + HOUR)
        gone, waiting = attention()
        assert gone.sentence == "1 mail of the last week could not be sent."
        assert [row.fact for row in behind(staff, gone.url)] == ["receipt:1"]
        assert waiting.sentence == "1 mail was due over an hour ago."
        assert {row.fact for row in behind(staff, waiting.url)} == {"receipt:3", "receipt:4"}

    def test_days_that_have_been_over_for_two_days_and_are_not_added_up(self):
        wrote(5, "2026-06-26 12:00:00")
        sealing.seal()
        assert sentences() == ["2 finished days have no daily totals, from 26 Jun 2026 on."]
        days.close_days(now=NOW - DAY)
        assert sentences() == []

    def test_payouts_that_are_not_read_for_two_nights(self, staff):
        TopUp.objects.create(user_id="usr_1", state="expired", amount_cents=500, created_at=NOW - 3 * DAY)
        [line] = attention()
        assert line.sentence == "Stripe's fees and payouts are not read since 27 Jun 2026, 00:00."
        assert staff.get(line.url).status_code == 200
        begun = PayoutReading.objects.create(since=NOW - 3 * DAY, until=NOW - 51 * HOUR)
        assert sentences() == ["Stripe's fees and payouts are not read since 28 Jun 2026, 09:30."]
        PayoutReading.objects.create(since=begun.until, until=NOW - 49 * HOUR)
        assert sentences() == []

    def test_payouts_that_stripe_does_not_know(self, staff):
        payout = StripePayout.objects.create(
            id="po_1",
            created_at=NOW - DAY,
            arrives_at=NOW,
            amount=100,
            currency="usd",
            status="paid",
            is_automatic=True,
            unknown_since=NOW - HOUR,
        )
        [line] = attention()
        assert line.sentence.startswith("Stripe does not know a payout")
        assert line.details == ["po_1 of 29 Jun 2026"]
        assert staff.get(line.url).status_code == 200
        payout.unknown_since = NOW - 8 * DAY
        payout.save()
        assert sentences() == []

    def test_creators_days_that_are_not_added_up(self):
        with clock_at(NOW - 4 * DAY):
            tip(UserFactory.create(), 500)
        assert sentences() == [
            "2 finished days of creators' records have no daily totals, from 26 Jun 2026 on."
        ]
        closing.close_days(now=NOW - DAY)
        assert sentences() == []

    def test_entries_that_are_older_than_an_hour_and_not_sealed(self, staff):
        wrote(5, "2026-06-30 11:30:00")
        assert sentences() == []
        wrote(6, "2026-06-30 10:30:00", user_id="usr_2")
        [line] = attention()
        assert line.sentence == "Entries up to 30 Jun 2026, 10:30 are not sealed."
        assert staff.get(line.url).status_code == 200
        sealing.seal()
        assert sentences() == []


@pytest.mark.usefixtures("examined")
def test_violated_laws_are_named_with_their_first_subjects(staff):
    found = [{"law": "Balance", "subject": f"usr_{n}", "detail": "d"} for n in range(5)]
    found.append({"law": "Chain", "subject": "txn_1", "detail": "d"})
    audit = examine(Audit.Kind.LAWS, "found", found, ago=HOUR)
    [line] = attention()
    assert line.sentence == "2 ledger laws are violated."
    assert line.details == ["Balance: usr_0, usr_1, usr_2 and 2 more.", "Chain: txn_1."]
    assert line.is_bad
    assert staff.get(line.url).status_code == 200
    assert line.url.endswith(f"/wallet/audit/{audit.pk}/change/")
    assert "Something found" in text_of(staff.get("/admin/"))


@pytest.mark.usefixtures("examined")
def test_where_stripe_and_the_books_disagree_the_sessions_are_named():
    found = [
        {"kind": "uncredited", "session_id": "cs_1"},
        {"kind": "uncredited", "session_id": "cs_2"},
        {"kind": "parked", "session_id": "cs_3"},
    ]
    examine(Audit.Kind.STRIPE, "found", found, ago=HOUR)
    [line] = attention()
    assert line.sentence == "3 differences between Stripe and the ledger."
    assert line.details == [
        "Paid at Stripe, not credited: cs_1 and cs_2.",
        "The ledger can't follow Stripe without a review: cs_3.",
    ]


def test_what_an_examination_found_stands_until_another_one_has_looked():
    examine(Audit.Kind.LAWS, "found", [{"law": "Chain", "subject": "txn_1"}], ago=20 * HOUR)
    examine(Audit.Kind.LAWS, "unfinished", remark="The disk is full.")
    examine(Audit.Kind.STRIPE)
    examine(Audit.Kind.SEALS)
    violated, could_not = attention()
    assert violated.sentence == "1 ledger law is violated."
    assert could_not.sentence == "The last ledger check could not finish."
    assert could_not.details == ("The disk is full.",)


def test_an_examination_that_is_older_than_26_hours_is_late():
    examine(Audit.Kind.LAWS, ago=27 * HOUR)
    examine(Audit.Kind.STRIPE, ago=25 * HOUR)
    examine(Audit.Kind.SEALS, ago=25 * HOUR)
    assert sentences() == ["The ledger check last ran on 29 Jun 2026, 09:30."]


def test_where_history_differs_from_its_seals_the_wallets_are_named(examined):
    examine(
        Audit.Kind.SEALS,
        "found",
        [{"law": "Entries are as sealed", "subject": "usr_1", "detail": "d"}],
        ago=HOUR,
    )
    [line] = attention()
    assert line.sentence == "1 difference between the ledger and its seals."
    assert line.details == ["Entries are as sealed: usr_1."]
    assert line.is_bad


@pytest.mark.usefixtures("examined")
def test_where_more_was_found_than_is_kept_the_named_are_said_to_be_some():
    found = [{"law": "Balance", "subject": f"usr_{n}"} for n in range(120)]
    examine(Audit.Kind.LAWS, "found", found, ago=HOUR)
    [line] = attention()
    assert line.sentence == "120 violations of the ledger's laws."
    assert line.details == ["Balance: usr_0, usr_1, usr_2 and others."]
