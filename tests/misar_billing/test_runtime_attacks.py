"""What the role that serves cannot do to the books by SQL, one attack a case.

The roles are exactly as `manage.py database_roles` makes them. Each attack runs as the runtime role, and the
deferred laws are checked at its end, as at a COMMIT.
"""

from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import Error, connection
from django.utils import timezone

from accounts import plans
from accounts.api_keys import issue, revoke
from accounts.models import Act, User
from accounts.service_keys import issue_service_key, revoke_service_key
from monetization import subscriptions, tips
from monetization.models import Erasure
from tests.factories import StaffFactory, UserFactory
from tests.wallet.books.guards import in_a_transaction
from tests.wallet.entries import sql
from wallet.models import (
    Audit,
    ClosedDay,
    DayTotal,
    ReconciliationRun,
    RefundRequest,
    StripeEvent,
    TopUp,
)
from wallet.prices import rates

HISTORY = (
    *("wallet_entry", "wallet_lotmove", "wallet_holdpart", "wallet_giveback", "wallet_ratechange"),
    *("accounts_planchange", "monetization_subscriptionevent", "monetization_erasure"),
)
NEVER_REMOVED = (
    *HISTORY,
    *("wallet_wallet", "wallet_hold", "wallet_lot", "wallet_grantedmonth", "wallet_topup", "wallet_payment"),
    *("wallet_striperefund", "wallet_stripedispute", "wallet_refundrequest", "wallet_stripeevent"),
    *("wallet_audit", "wallet_closedday", "wallet_daytotal", "wallet_reconciliationrun", "wallet_rate"),
    *("monetization_closedday", "monetization_daytotal"),
    *("wallet_outoforderentry", "accounts_act", "accounts_user", "accounts_plan", "accounts_servicekey"),
    *("accounts_apikey", "monetization_tip", "monetization_refund", "monetization_subscription"),
    *("wallet_seal", "wallet_tableseal", "accounts_redaction", "auth_group", "auth_group_permissions"),
)
# An entry after the last one of usr_1, whose wallet moves with it.
ENTRY = """
UPDATE wallet_wallet SET balance = balance + {credits}, entries_count = entries_count + 1
       WHERE user_id = 'usr_1';
INSERT INTO wallet_entry (id, wallet_id, sequence, kind, credits, balance_after, held,
       feature, count, product,
                          idempotency_key, stripe_session_id, actor, reason, effective_at, created_at)
SELECT 'txn_forged', user_id, entries_count, '{kind}', {credits}, balance, held,
       {feature}, '', '{key}', '', '{actor}', '',
       {effective_at}, {created_at} FROM wallet_wallet WHERE user_id = 'usr_1'
"""


def entry(kind: str = "adjustment", credits: int = 5, **facts: str) -> str:
    """Return the SQL of a whole entry, with its wallet."""
    feature = "'blog.article.generate', 1" if kind == "deduct" else "'', NULL"
    usual = {"key": "k", "actor": "user:staff:1", "created_at": "now()", "effective_at": "now()"}
    return ENTRY.format(**(usual | {"kind": kind, "credits": credits, "feature": feature} | facts))


# Within the text of an actor.
LAST_RUN = "' || (SELECT max(id) FROM wallet_reconciliationrun) || '"
OPENED = (
    "INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at) VALUES ('usr_new', 0, 0, now());"
)
DENIED = [
    # The books.
    "UPDATE wallet_entry SET credits = 1",
    "UPDATE wallet_wallet SET user_id = 'usr_9' WHERE user_id = 'usr_1'",
    "UPDATE wallet_wallet SET created_at = now()",
    "UPDATE wallet_lot SET credits = 1000",
    "UPDATE wallet_lot SET expires_at = 'infinity'",
    "UPDATE wallet_hold SET credits = 1",
    "INSERT INTO wallet_outoforderentry VALUES (1, 'usr_1')",
    # What only commands write.
    "INSERT INTO wallet_closedday VALUES ('2030-01-01', 0, now())",
    "UPDATE wallet_closedday SET entries = 0",
    "INSERT INTO wallet_daytotal (day_id, product, kind, credits, entries) VALUES"
    " ('2026-01-01', '', 'grant', 9, 1)",
    "UPDATE wallet_daytotal SET credits = 0",
    "INSERT INTO monetization_closedday VALUES ('2030-01-01', now())",
    "UPDATE monetization_closedday SET day = day + 1",
    "INSERT INTO monetization_daytotal (creator_id, currency, day, tips, gross_cents, fee_cents, refunds,"
    " refunded_cents, fee_returned_cents, subscriptions, events, yearly_cents_delta, payers_delta)"
    " VALUES ('usr_1', 'USD', '2026-01-01', 1, 9, 0, 0, 0, 0, 0, 0, 0, 0)",
    "UPDATE monetization_daytotal SET tips = 0",
    "INSERT INTO wallet_audit (kind, outcome, seen_count, found_count, findings, remark,"
    " started_at, ended_at)"
    " VALUES ('laws', 'clean', 9, 0, '[]', '', now(), now())",
    "UPDATE wallet_audit SET outcome = 'clean', found_count = 0",
    "INSERT INTO wallet_reconciliationrun SELECT * FROM wallet_reconciliationrun",
    "UPDATE wallet_reconciliationrun SET state = 'finished'",
    # Payments.
    "UPDATE wallet_topup SET user_id = 'usr_2'",
    "UPDATE wallet_topup SET amount_cents = 1",
    "UPDATE wallet_topup SET created_at = now()",
    "UPDATE wallet_payment SET stripe_id = 'pi_2'",
    "UPDATE wallet_stripeevent SET type = 'charge.refunded'",
    "UPDATE wallet_stripeevent SET id = 'evt_2'",
    "UPDATE wallet_stripeevent SET received_at = now()",
    "UPDATE wallet_refundrequest SET amount_cents = 1",
    "UPDATE wallet_refundrequest SET actor = 'user:staff:2'",
    # Keys and people.
    "UPDATE accounts_servicekey SET digest = repeat('0', 64)",
    "UPDATE accounts_servicekey SET product = 'mail'",
    "UPDATE accounts_servicekey SET prefix = 'wsk_x'",
    "UPDATE accounts_apikey SET digest = repeat('0', 64)",
    "UPDATE accounts_apikey SET owner_id = 'usr_2'",
    "UPDATE accounts_user SET is_superuser = true",
    "UPDATE accounts_user SET misar_id = 'usr_8' WHERE misar_id = 'usr_2'",
    "INSERT INTO auth_group_permissions (group_id, permission_id) VALUES (1, 1)",
    "UPDATE auth_group SET name = 'admins'",
    "INSERT INTO accounts_user_user_permissions (user_id, permission_id) VALUES ('usr_1', 1)",
    "INSERT INTO django_migrations (app, name, applied) VALUES ('wallet', '9999', now())",
    "UPDATE accounts_act SET staff_id = 'usr_1'",
    "UPDATE accounts_act SET form_key = 'k'",
    "UPDATE accounts_act SET created_at = now()",
    # Keys that the database numbers: after the last number, no other row could follow.
    "INSERT INTO accounts_act (id) VALUES (9223372036854775807)",
    "INSERT INTO accounts_act (id) VALUES (-5)",
    "INSERT INTO wallet_ratechange (id) VALUES (9223372036854775807)",
    "INSERT INTO accounts_planchange (id) VALUES (9223372036854775807)",
    "INSERT INTO monetization_subscriptionevent (id) VALUES (9223372036854775807)",
    "INSERT INTO monetization_erasure (id) VALUES (9223372036854775807)",
    "SELECT accounts_redacts()",
    # Creators' records.
    "UPDATE monetization_tip SET gross_cents = 1",
    "UPDATE monetization_subscription SET creator_id = 'usr_2'",
    "UPDATE monetization_refund SET amount_cents = 1",
    # Seals.
    "INSERT INTO wallet_seal SELECT * FROM wallet_seal",
    "INSERT INTO wallet_tableseal SELECT * FROM wallet_tableseal",
    "INSERT INTO accounts_redaction SELECT * FROM accounts_redaction",
    # The database itself.
    "ALTER TABLE wallet_entry DISABLE TRIGGER ALL",
    "DROP TRIGGER wallet_entry_is_history ON wallet_entry",
    "ALTER TABLE wallet_entry DROP CONSTRAINT wallet_entry_leaves_what_is_held",
    "DROP INDEX wallet_entry_key_once",
    "SET session_replication_role = replica",
    "CREATE TABLE accounts_act_2 (id int)",
    "CREATE TEMP TABLE wallet_entry (wallet_id text)",
    "CREATE OR REPLACE FUNCTION wallet_is_history() RETURNS trigger LANGUAGE sql AS ''",
    "CREATE RULE nothing AS ON UPDATE TO wallet_wallet DO INSTEAD NOTHING",
    "SELECT setval('wallet_ratechange_id_seq', 1)",
    *(f"UPDATE {table} SET {{column}} = {{column}}" for table in HISTORY),
    *(f"DELETE FROM {table}" for table in NEVER_REMOVED),
    *(f"TRUNCATE {table} CASCADE" for table in NEVER_REMOVED),
]

DATED = [
    "INSERT INTO wallet_ratechange (feature, label, credits, unit, active, actor, created_at)"
    " SELECT feature, label, credits, unit, active, 'user:staff:1', {date} FROM wallet_rate"
    " WHERE feature = 'mail.send'",
    "INSERT INTO accounts_planchange (slug, name, fee_bps, actor, created_at)"
    " VALUES ('free', 'Free', 500, 'user:staff:1', {date})",
    "INSERT INTO monetization_subscriptionevent (subscription_id, creator_id, kind, status, plan,"
    " amount_cents, currency, yearly_cents_delta, occurred_at, created_at) SELECT id, creator_id, 'changed',"
    " status, plan, 500, currency, 0, now(), {date} FROM monetization_subscription",
    "INSERT INTO monetization_refund (id, tip_id, creator_id, amount_cents, fee_returned_cents, currency,"
    " key, actor, reason, created_at) SELECT 'ref_2', id, creator_id, 100, 0, currency, 'k', 'user:usr_1',"
    " '', {date} FROM monetization_tip",
    "INSERT INTO monetization_erasure (actor, tips, subscriptions, created_at)"
    " VALUES ('user:staff:1', 0, 0, {date})",
    "INSERT INTO monetization_tip (id, creator_id, gross_cents, fee_cents, net_cents, fee_bps, plan,"
    " currency, refunded_cents, fee_returned_cents, email, reader, name, message, created_at)"
    " VALUES ('tip_2', 'usr_1', 500, 25, 475, 500, 'free', 'USD', 0, 0, '', '', '', '', {date})",
    "INSERT INTO monetization_subscription (id, creator_id, subscriber_email, reader, plan, interval,"
    " amount_cents, currency, yearly_cents, status, created_at) VALUES ('sub_2', 'usr_1', 'a@b.co', 'a@b.co',"
    " 'x', 'unknown', 5, 'USD', 0, 'active', {date})",
]

# Each attack, and the law that refuses it.
AGAINST_LAWS = {
    "wallet_entry_has_its_act": [
        entry(),
        entry(credits=-5),
        entry(actor="operator"),
        entry(actor="stripe"),
        entry(actor="command:reconcile_stripe:999999"),
        entry(actor=f"command:reconcile_stripe:{LAST_RUN}"),
        entry(actor=f"command:x:{LAST_RUN}"),
        entry(key="used-before"),
        entry("grant"),
    ],
    "wallet_entry_is_of_now": [
        OPENED + entry("reinstatement", created_at="'2025-01-01'").replace("usr_1", "usr_new"),
        entry("deduct", -1, actor="service:wsk", effective_at="'2025-01-01'"),
        entry("deduct", -1, actor="service:wsk", effective_at="'2099-01-01'"),
        entry("deduct", -1, actor="service:wsk", created_at="'2099-01-01'", effective_at="'2099-01-01'"),
        entry("clawback", -1, actor="stripe", effective_at="'2099-01-01'"),
        entry("clawback", -1, actor="stripe", effective_at="'-infinity'"),
        entry("expiry", -1, actor="time", effective_at="'2025-01-01'"),
    ],
    "wallet_rate_is_its_last_change": [
        "UPDATE wallet_rate SET credits = 1000 WHERE feature = 'mail.send'",
        "INSERT INTO wallet_rate (feature, label, credits, unit, active) VALUES ('x.y', 'X', 1, 'x', true)",
        "INSERT INTO wallet_ratechange (feature, label, credits, unit, active, actor, created_at)"
        " VALUES ('mail.send', 'X', 9, 'x', true, 'user:staff:1', now())",
        "WITH changed AS (UPDATE wallet_rate SET credits = 9 WHERE feature = 'mail.send' RETURNING *)"
        " INSERT INTO wallet_ratechange (feature, label, credits, unit, active, actor, created_at)"
        " SELECT feature, label, credits, unit, active, 'operator', now() FROM changed",
    ],
    "accounts_plan_is_its_last_change": [
        "UPDATE accounts_plan SET fee_bps = 0 WHERE slug = 'free'",
        "INSERT INTO accounts_planchange (slug, name, fee_bps, actor, created_at)"
        " VALUES ('free', 'Free', 0, 'user:staff:1', now())",
    ],
    "accounts_access_has_its_act": [
        "INSERT INTO accounts_user_groups (user_id, group_id) SELECT 'usr_1', id FROM auth_group LIMIT 1",
        "DELETE FROM accounts_user_groups",
        "UPDATE accounts_user SET is_staff = true WHERE misar_id = 'usr_1'",
        "UPDATE accounts_user SET plan_id = 'enterprise' WHERE misar_id = 'usr_1'",
        "INSERT INTO accounts_user (misar_id, password, is_superuser, email, name, is_staff,"
        " is_active, created_at,"
        " plan_id) VALUES ('staff:new', '', false, '', '', true, true, now(), 'free')",
    ],
    "makes superusers": [
        "INSERT INTO accounts_user (misar_id, password, is_superuser, email, name, is_staff,"
        " is_active, created_at,"
        " plan_id) VALUES ('staff:new', '', true, '', '', true, true, now(), 'free')",
    ],
    "wallet_topup is history": [
        "UPDATE wallet_topup SET paid_cents = 1",
        "UPDATE wallet_topup SET paid_at = '2025-01-01'",
        "UPDATE wallet_topup SET state = 'failed', entry_id = NULL",
        "UPDATE wallet_topup SET stripe_session_id = 'cs_other'",
        "UPDATE wallet_topup SET payment_intent_id = 'pi_other'",
    ],
    "wallet_stripeevent_keeps_its_payload": [
        "UPDATE wallet_stripeevent SET payload = ''",
        "UPDATE wallet_stripeevent SET payload = '(erased)'",
        "UPDATE wallet_stripeevent SET payload = replace(payload, '2500', '9900')",
        # The amount is changed under an erasure.
        "UPDATE wallet_stripeevent SET payload = replace(replace(payload, 'a@b.co',"
        " '(erased)'), '2500', '9900')",
        "UPDATE wallet_stripeevent SET payload = replace(replace(payload, 'a@b.co',"
        " '(erased)'), 'paid', 'unpaid')",
    ],
    "wallet_stripeevent is history": [
        "UPDATE wallet_stripeevent SET state = 'waiting' WHERE state = 'resolved'"
    ],
    "wallet_payment_is_decided_once": [
        "UPDATE wallet_payment SET user_id = 'usr_2' WHERE state = 'credited'"
    ],
    "wallet_refundrequest_has_its_act": [
        "INSERT INTO wallet_refundrequest (id, topup_id, amount_cents, reason, actor, form_key, state,"
        " stripe_refund_id, remark, created_at) SELECT 'rrq_2', id, 100, '', 'user:staff:1',"
        " 'k', 'asking', '', '',"
        " now() FROM wallet_topup LIMIT 1",
    ],
    "wallet_refundrequest is history": ["UPDATE wallet_refundrequest SET reason = 'other words'"],
    "monetization_tip_is_its_refunds": [
        "UPDATE monetization_tip SET refunded_cents = 0",
        "UPDATE monetization_tip SET fee_returned_cents = 0",
    ],
    " has no act": [
        "INSERT INTO monetization_refund (id, tip_id, creator_id, amount_cents,"
        " fee_returned_cents, currency, key,"
        " actor, reason, created_at) SELECT 'ref_2', id, creator_id, 100, 0, currency, 'k',"
        " 'user:staff:1', '', now()"
        " FROM monetization_tip",
    ],
    "monetization_subscription_is_its_events": [
        "UPDATE monetization_subscription SET yearly_cents = 0",
        "INSERT INTO monetization_subscriptionevent (subscription_id, creator_id, kind,"
        " status, plan, amount_cents,"
        " currency, yearly_cents_delta, occurred_at, created_at) SELECT id, creator_id,"
        " 'changed', status, plan, 1,"
        " currency, 1, now(), now() FROM monetization_subscription",
    ],
    "is dated": [
        statement.format(date=f"now() {away}")
        for statement in DATED
        for away in ("- interval '61 minutes'", "+ interval '61 minutes'")
    ],
    "accounts_apikey is history": [
        "UPDATE accounts_apikey SET revoked_at = NULL WHERE revoked_at IS NOT NULL",
        "UPDATE accounts_apikey SET revoked_at = 'infinity' WHERE revoked_at IS NOT NULL",
    ],
    "accounts_servicekey is history": [
        "UPDATE accounts_servicekey SET revoked_at = NULL WHERE revoked_at IS NOT NULL"
    ],
    "wallet_moves_with_an_entry": ["UPDATE wallet_wallet SET balance = balance + 1"],
}


@pytest.fixture
def books(deliver, checkout_event, as_service, article_rate) -> None:
    """Rows in every table that an attack is about."""
    customer = {"customer_details": {"email": "a@b.co", "name": "A"}}
    for number in (1, 2):
        deliver(checkout_event(session_id=f"cs_{number}", user_id=f"usr_{number}", **customer))
    assert as_service.deduct(idempotency_key="a").json()["allowed"] is True
    StripeEvent.objects.create(id="evt_resolved", type="x", state=StripeEvent.State.RESOLVED)
    staff, creator = StaffFactory.create(misar_id="staff:1"), UserFactory.create(misar_id="usr_1")
    UserFactory.create(misar_id="usr_2")
    staff.groups.set(Group.objects.filter(name="admin"))
    act(staff, form_key="used-before")
    RefundRequest.objects.create(
        topup=TopUp.objects.earliest("pk"), amount_cents=100, reason="r", actor="user:staff:1", form_key="f"
    )
    ClosedDay.objects.create(day=date(2026, 1, 1), entries=0)
    DayTotal.objects.create(day_id=date(2026, 1, 1), kind="grant", credits=1, entries=1)
    Audit.objects.create(kind="laws", outcome="found", seen_count=1, found_count=1, started_at=timezone.now())
    ReconciliationRun.objects.create(since=timezone.now())
    issue(owner=creator, name="key", scopes=["read"], within_limit=False)
    revoked, _ = issue(owner=creator, name="lost", scopes=["read"], within_limit=False)
    revoke(owner=creator, key_id=revoked.pk)
    revoke_service_key(issue_service_key(product="lost")[0])
    tip = tips.record(creator=creator, amount_cents=1000, currency="USD", email="c@d.co")
    tips.refund(creator=creator, tip_id=tip.pk, amount_cents=500, key="r", actor="user:usr_1", reason="r")
    subscriptions.record(
        creator=creator, subscriber_email="c@d.co", plan="Monthly", amount_cents=500, currency="USD"
    )
    Erasure.objects.create(actor="user:staff:1", tips=0, subscriptions=0)
    rates.set_rate(feature="mail.send", label="Send", credits=2, unit="email", actor="operator")
    plans.set_plan(slug="free", name="Free", fee_bps=500, key_limit=1, actor="operator")
    connection.check_constraints()  # What the owner has written is checked as the owner.


def act(staff: User, **fields: Any) -> Act:
    """An act of long ago."""
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    return Act.objects.create(staff=staff, verb="adjust", label="Adjust", created_at=long_ago, **fields)


def attack(statement: str) -> BaseException | None:
    """Run SQL as it would be at its COMMIT, in a savepoint. Return the error of the database, if any."""
    try:
        in_a_transaction(partial(sql, statement))
    except Error as error:
        return error.__cause__
    return None


@pytest.mark.breaks_the_books  # Some rows of the books are made without their entries.
@pytest.mark.django_db
def test_nothing_that_is_denied_can_be_done(roles, acting_as, books):
    # One test: making the roles and the books takes longer than all attacks.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attrelid::regclass::text, min(attname) FROM pg_attribute"
            " WHERE attnum > 0 AND NOT attisdropped GROUP BY 1"
        )
        columns = dict(cursor.fetchall())
    done = []
    with acting_as("runtime"):
        for statement in DENIED:
            table = statement.split()[1]
            error = attack(statement.replace("{column}", columns.get(table, "")))
            if not isinstance(error, psycopg.errors.InsufficientPrivilege):
                done.append((statement, str(error)))
    assert done == []


@pytest.mark.breaks_the_books
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("law", "number"), [(law, n) for law, all_of in AGAINST_LAWS.items() for n in range(len(all_of))]
)
def test_a_law_refuses(roles, acting_as, books, law, number):
    with acting_as("runtime"):
        assert law in str(attack(AGAINST_LAWS[law][number]))


@pytest.mark.breaks_the_books
@pytest.mark.django_db
def test_the_clock_of_a_host_may_be_off(roles, acting_as, books):
    with acting_as("runtime"):
        for away in ("- interval '50 minutes'", "+ interval '50 minutes'"):
            assert attack(DATED[2].format(date=f"now() {away}")) is None
            assert attack(DATED[4].format(date=f"now() {away}")) is None


@pytest.mark.breaks_the_books
@pytest.mark.django_db
def test_the_owner_too_brings_no_revoked_key_back(books):
    assert "accounts_apikey is history" in str(
        attack("UPDATE accounts_apikey SET revoked_at = NULL WHERE revoked_at IS NOT NULL")
    )


@pytest.mark.breaks_the_books
@pytest.mark.django_db
def test_the_number_of_a_refund_is_the_sequences(roles, acting_as, books):
    forged = (
        "INSERT INTO monetization_refund (id, tip_id, creator_id, amount_cents, fee_returned_cents, currency,"
        " key, actor, reason, created_at, number) SELECT 'ref_2', id, creator_id, 100, 0, currency, 'k',"
        " 'user:usr_1', '', now(), {number} FROM monetization_tip"
    )
    with acting_as("runtime"):
        for number in ("9223372036854775807", "-5", "NULL"):
            sql(f"SAVEPOINT forged; {forged.format(number=number)}")
            [(given,)] = sql("SELECT number FROM monetization_refund WHERE id = 'ref_2'")
            assert 0 < given < 1_000_000
            sql("ROLLBACK TO forged")


@pytest.mark.breaks_the_books
@pytest.mark.django_db
def test_an_operator_numbers_no_row_and_adjusts_by_its_runs_alone(roles, acting_as, books):
    with acting_as("operator"):
        for table in ("wallet_audit", "wallet_reconciliationrun"):
            error = attack(f"INSERT INTO {table} (id) VALUES (9223372036854775807)")
            assert isinstance(error, psycopg.errors.InsufficientPrivilege), table
        now = "clock_timestamp()"  # The run began in this test's transaction.
        for actor in (f"command:x:{LAST_RUN}", f"command:reconcile_stripe:{LAST_RUN}1"):
            assert "has no act" in str(attack(entry(actor=actor, created_at=now)))
        by_its_run = entry(actor=f"command:reconcile_stripe:{LAST_RUN}", created_at=now)
        later = "UPDATE wallet_reconciliationrun SET started_at = now() + interval '1 hour';"
        assert "has no act" in str(attack(later + by_its_run))
        assert attack(by_its_run) is None
