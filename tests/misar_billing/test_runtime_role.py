"""The service works with the database roles that `manage.py database_roles` makes, each for its own part.

These tests commit, because the laws for the runtime role are checked at a COMMIT.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, ProgrammingError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys, buyers, key_requests
from accounts.buyers import Buyer
from accounts.mail import outbox
from accounts.models import Act, Plan, Right, User
from monetization import subscriptions, tips
from monetization.models import Erasure
from monetization.privacy import erasure
from tests.accounts.signing_in.test_staff_sign_in import PASSWORD, SIGN_IN
from tests.backoffice.members import signed_in
from tests.codes import code_of
from tests.conftest import product
from tests.factories import StaffFactory, UserFactory
from tests.html import browser_of
from tests.monetization.conftest import STATS
from tests.wallet.past import topped_up
from wallet.models import (
    Audit,
    Entry,
    FeatureTotal,
    MonthMoney,
    MonthTotal,
    PayoutReading,
    Rate,
    StripeEvent,
    StripeMovement,
    Wallet,
)
from wallet.payments.payouts import money

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def staff_member(transactional_db: None) -> User:
    return StaffFactory.create(misar_id="staff:ada")


@pytest.fixture
def browser(staff_member: User) -> Client:
    """A browser of a signed-in staff member."""
    return signed_in(staff_member)


def send(browser: Client, page: str, row: Any = None, **fields: Any) -> Act:
    """Send the form of a staff action. Return its act."""
    url = reverse(f"admin:{page}", args=[quote(row)] if row is not None else [])
    form = {"reason": "asked by mail", "key": secrets.token_hex(8)} | fields
    answer = browser.post(url, form)
    assert answer.status_code == 302, answer.context["form"].errors
    return Act.objects.latest("pk")


def test_products_charge_and_stripe_pays(roles, acting_as, deliver, checkout_event, article_rate):
    rights = [Right.READ, Right.CHARGE, Right.REFUND, Right.TOPUP, Right.GRANT]
    blog = product("blog", rights=rights)
    event = checkout_event()
    with acting_as("runtime"):
        assert deliver(event).status_code == 200
        assert StripeEvent.objects.get().state == "handled"
        assert blog.deduct(idempotency_key="a").json()["allowed"] is True
        assert blog.refund(transaction_id=Entry.objects.get(kind="deduct").pk).status_code == 200
        assert blog.grant().status_code in (200, 201)
        held = blog.hold(count=2).json()["holdId"]
        assert blog.end(held, "capture", count=1).status_code == 200
        held = blog.hold(key="chat:78").json()["holdId"]
        assert blog.end(held, "void").status_code == 200
        assert blog.budget(100).status_code in (200, 201)
        assert blog.get("/io/wallet/balance", user_id="usr_1").status_code == 200
        call_command("tidy", stdout=StringIO())
    assert sorted(set(Entry.objects.values_list("kind", flat=True))) == [
        *("capture", "deduct", "grant", "refund", "topup"),
    ]


def test_staff_act_in_the_back_office(roles, acting_as, browser, give, as_service, article_rate):
    give("usr_1", 50)
    UserFactory.create(misar_id="usr_1")
    as_service.deduct(idempotency_key="a")
    charge, rate = Entry.objects.get(kind="deduct"), Rate.objects.get(feature=article_rate)
    end = f"{timezone.now() + timedelta(days=30):%Y-%m-%d}"
    granted = {"credits": "5", "expires_at_0": end, "expires_at_1": "00:00:00", "shown_reason": "Welcome"}
    priced = {"label": "Send", "credits": "3", "unit": "article", "active": "on"}
    support = Group.objects.get(name="support")
    with acting_as("runtime"):
        send(browser, "wallet_wallet_adjust", "usr_1", credits="5")
        send(browser, "wallet_entry_give-back", charge.pk, credits="1")
        send(browser, "wallet_wallet_freeze", "usr_1")
        send(browser, "wallet_rate_set", rate.pk, **(seen(browser, "wallet_rate_set", rate.pk) | priced))
        send(browser, "wallet_rate_add", feature="blog.new", **priced)
        plan = seen(browser, "accounts_plan_set", "pro") | {"fee_bps": "350"}
        send(browser, "accounts_plan_set", "pro", **plan)
        send(browser, "accounts_user_plan", "usr_1", plan="max")
        access = seen(browser, "accounts_user_access", "usr_1") | {"is_staff": "on", "groups": [support.pk]}
        send(browser, "accounts_user_access", "usr_1", **access)
        send(browser, "wallet_wallet_grant", "usr_1", **granted)
    assert User.objects.get(pk="usr_1").groups.get() == support
    assert Plan.objects.get(pk="pro").fee_bps == 350
    assert Entry.objects.filter(kind="adjustment", actor="user:staff:ada").count() == 1


HIDDEN = ("reason", "key", "seen", "basis")  # What a browser sends anew each time.


def seen(browser: Client, page: str, row: Any) -> dict[str, Any]:
    """Return what the form of a setting shows, as a browser sends it back."""
    form = browser.get(reverse(f"admin:{page}", args=[quote(row)])).context["form"]
    shown = {name: form[name].value() for name in form.fields if name not in HIDDEN}
    return {name: value for name, value in shown.items() if value not in (None, False)}


def test_creators_records_and_the_erasure_of_a_reader(
    roles, acting_as, browser, deliver, checkout_event, settings
):
    settings.MAIL_ENABLED = True
    creator = UserFactory.create(misar_id="usr_creator")
    event = checkout_event(customer_details={"email": "alex@example.com", "name": "Alex", "phone": None})
    with acting_as("runtime"):
        deliver(event)
        tip = tips.record(creator=creator, amount_cents=1000, currency="USD", email="alex@example.com")
        tips.refund(creator=creator, tip_id=tip.pk, amount_cents=100, key="k", actor="user:usr_creator")
        mine = subscriptions.record(
            creator=creator,
            subscriber_email="alex@example.com",
            plan="Monthly",
            amount_cents=500,
            currency="USD",
        )
        subscriptions.change(creator=creator, subscription_id=mine.pk, status="past_due")
        api_keys.issue(owner=creator, name="key", scopes=["read"])
        send(browser, "monetization_tip_refund", tip.pk, amount_cents="100")
        send(browser, "monetization_tip_erase-reader", tip.pk)
        outbox.prune()
    assert Erasure.objects.get().tips == 1
    assert "alex@example.com" not in StripeEvent.objects.get().payload
    assert json.loads(StripeEvent.objects.get().payload)["data"]["object"]["amount_total"] == 2500


def test_users_enter_a_buyer_and_read_the_requests_of_their_keys(roles, acting_as):
    dana = UserFactory.create()
    user = browser_of(dana)
    with acting_as("runtime"):
        for name in ("Acme", "Acme Ltd"):
            answer = user.post("/account/buyer", {"name": f"{name} ada@example.com"})
            assert answer.status_code == 302
        erasure.erase("ada@example.com", actor="operator")
        assert buyers.buyer_of(dana.pk) == Buyer("Acme Ltd (erased)")
        user.post("/account/buyer", {})
        assert buyers.buyer_of(dana.pk) == Buyer()
        key, secret = api_keys.issue(owner=dana, name="mine", scopes=["read"])
        Client().get(STATS, headers={"Authorization": f"Bearer {secret}"})
        assert key_requests.recent(key).count() == 1
        assert user.post(f"/dashboard/keys/{key.pk}").status_code == 302
        assert not key_requests.recent(key).exists()
        assert key_requests.forget_old() == 0


def test_staff_sign_in(roles, acting_as, staff_member):
    staff_member.set_password(PASSWORD)
    staff_member.save()
    client = Client()
    with acting_as("runtime"):
        client.post(SIGN_IN, {"login": "staff:ada", "password": "wrong"})
        client.post(SIGN_IN, {"login": "staff:ada", "password": PASSWORD})
        client.post("/sign-in/code", {"code": code_of()})
        assert client.get("/admin/").status_code == 200
        assert client.get("/health").status_code == 200


def test_an_operator_runs_the_commands(roles, acting_as, give):
    last_month = timezone.now() - timedelta(days=32)
    with transaction.atomic():
        topped_up(5, last_month)
    give("usr_1", 5)
    facts = {"category": "charge", "currency": "usd", "amount": 500, "fee": 45}
    StripeMovement.objects.create(id="txn_1", created_at=last_month, **facts)
    PayoutReading.objects.create(since=last_month, until=timezone.now())
    with acting_as("operator"):
        call_command("close_days", stdout=StringIO())
        call_command("close_creators_days", again=datetime(2026, 1, 1, tzinfo=UTC).date(), stdout=StringIO())
        call_command("close_days", again=datetime(2026, 1, 1, tzinfo=UTC).date(), stdout=StringIO())
        assert money.close()
        call_command("check_ledger", stdout=StringIO())
    assert FeatureTotal.objects.exists()
    assert MonthTotal.objects.exists()
    assert MonthMoney.objects.exists()
    assert Audit.objects.get().outcome == "clean"


def test_an_auditor_checks_the_ledger_and_reads_no_address(roles, acting_as, give):
    give("usr_1", 5)
    out, err = StringIO(), StringIO()
    refused = [
        *(
            "accounts_user.email",
            "accounts_user.password",
            "monetization_tip.email",
            "monetization_tip.message",
        ),
        *("monetization_subscription.subscriber_email", "wallet_stripeevent.payload"),
        *("accounts_servicekey.digest", "accounts_apikey.digest", "django_session.session_data"),
        *("mfa_authenticator.data", "accounts_outgoingmail.to", "accounts_keyuse.digest"),
    ]
    with acting_as("auditor"):
        call_command("check_ledger", stdout=out, stderr=err)
        for name in refused:
            table, column = name.split(".")
            with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
                cursor.execute(f'SELECT "{column}" FROM {table}')
        with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
            cursor.execute("UPDATE wallet_wallet SET balance = 0")
    assert "Every law holds." in out.getvalue()
    assert "could not be written down" in err.getvalue()
    assert not Audit.objects.exists()


def test_the_runtime_role_writes_no_audit(roles, acting_as, give):
    give("usr_1", 5)
    out, err = StringIO(), StringIO()
    with acting_as("runtime"):
        call_command("check_ledger", stdout=out, stderr=err)
    assert "could not be written down" in err.getvalue()
    assert not Audit.objects.exists()


def adjust(user_id: str, key: str) -> None:
    """Adjust by 5 credits, by SQL, as a form with this key would."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE wallet_wallet SET balance = balance + 5, entries_count = entries_count + 1"
            " WHERE user_id = %s",
            [user_id],
        )
        cursor.execute(
            "INSERT INTO wallet_entry (id, wallet_id, sequence, kind, credits, balance_after, held, feature,"
            " product, idempotency_key, stripe_session_id, actor, reason, effective_at, created_at)"
            " SELECT 'txn_' || %s, user_id, entries_count, 'adjustment', 5, balance, held, '', '', %s, '',"
            " 'user:staff:ada', '', now(), now() FROM wallet_wallet WHERE user_id = %s",
            [user_id, key, user_id],
        )


ACT = (
    "INSERT INTO accounts_act (staff_id, verb, label, model, row_id, about, told, reason, form_key,"
    " content, created_at) VALUES ('staff:ada', 'adjust', 'Adjust', 'wallet.wallet', 'usr_1', 'usr_1',"
    " 'words', '', 'k', '', now())"
)


def write_act() -> None:
    with connection.cursor() as cursor:
        cursor.execute(ACT)


@contextmanager
def another_connection(role: str) -> Iterator[Any]:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(f"SET ROLE {role}")
            yield cursor
    finally:
        other.close()


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_an_act_of_a_savepoint_counts(roles, acting_as, staff_member, give, depth):
    give("usr_1", 5)
    with acting_as("runtime"), transaction.atomic(), ExitStack() as savepoints:
        adjust("usr_1", "k")
        for _ in range(depth):
            savepoints.enter_context(transaction.atomic())
        write_act()
    assert Wallet.objects.get().balance == 10


def test_an_act_before_the_entry_counts_too(roles, acting_as, staff_member, give):
    """Also if other transactions begin between the two savepoints."""
    give("usr_1", 5)
    with acting_as("runtime"), another_connection(roles.runtime) as other, transaction.atomic():
        with transaction.atomic():
            write_act()
        other.execute("SELECT pg_current_xact_id()")
        with transaction.atomic():
            adjust("usr_1", "k")
    assert Wallet.objects.get().balance == 10


def test_an_act_that_was_rolled_back_does_not_count(roles, acting_as, staff_member, give):
    give("usr_1", 5)

    def forge() -> None:
        with transaction.atomic():
            with transaction.atomic():
                write_act()
                transaction.set_rollback(True)
            adjust("usr_1", "k")

    with acting_as("runtime"), pytest.raises(IntegrityError, match="has no act"):
        forge()


def test_an_act_about_one_user_is_none_about_another(roles, acting_as, staff_member, give):
    give("usr_1", 5)
    give("usr_2", 5)

    def forge() -> None:
        with transaction.atomic():
            write_act()
            adjust("usr_1", "k")
            adjust("usr_2", "k")

    with acting_as("runtime"), pytest.raises(IntegrityError, match=r"txn_usr_2 .* has no act"):
        forge()


@pytest.mark.breaks_the_books  # The act is of no entry.
@pytest.mark.parametrize("number_first", [True, False])
@pytest.mark.parametrize("change", ["", "told = told", "told = '(erased)'"])
def test_an_act_of_another_transaction_does_not_count(
    roles, acting_as, staff_member, give, change, number_first
):
    """An act that another transaction commits meanwhile, with a higher number than this one or a lower."""
    give("usr_1", 5)

    def forge(other: Any) -> None:
        other.execute("BEGIN")
        if not number_first:
            other.execute("SELECT pg_current_xact_id()")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")
            other.execute(ACT)
            other.execute("COMMIT")
            assert Act.objects.exists()
            if change:
                cursor.execute(f"UPDATE accounts_act SET {change}")
            adjust("usr_1", "k")

    refused = (OperationalError, "is younger") if change else (IntegrityError, "has no act")
    with (
        acting_as("runtime"),
        another_connection(roles.runtime) as other,
        pytest.raises(refused[0], match=refused[1]),
    ):
        forge(other)
    assert Wallet.objects.get().balance == 5


@pytest.mark.breaks_the_books  # The act is of no entry.
@pytest.mark.parametrize("written", ["2026-01-01", "2099-01-01"])
@pytest.mark.parametrize("change", ["", "told = told", "told = '(erased)'"])
def test_an_old_act_does_not_count(roles, acting_as, staff_member, give, written, change):
    """Whatever date the owner has given it: its number is behind, and that is no error."""
    give("usr_1", 5)
    at = datetime.fromisoformat(written).replace(tzinfo=UTC)
    Act.objects.create(
        staff=staff_member,
        verb="adjust",
        label="Adjust",
        about="usr_1",
        form_key="k",
        told="w",
        created_at=at,
    )

    def forge() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            if change:
                cursor.execute(f"UPDATE accounts_act SET {change}")
            adjust("usr_1", "k")

    with (
        acting_as("runtime"),
        pytest.raises((IntegrityError, OperationalError), match=r"has no act|is younger"),
    ):
        forge()
    assert Wallet.objects.get().balance == 5


def test_an_entry_cannot_be_dated_before_its_transaction(roles, acting_as, give):
    """Not even to the time of the entry before it, which an earlier day may have."""
    give("usr_1", 5)
    forged = (
        "UPDATE wallet_wallet SET balance = balance - 1, entries_count = entries_count + 1;"
        "INSERT INTO wallet_entry (id, wallet_id, sequence, kind, credits, balance_after,"
        " held, feature, count,"
        " product, idempotency_key, stripe_session_id, actor, reason, effective_at, created_at)"
        " SELECT 'txn_forged', user_id, entries_count, 'deduct', -1, balance, held, 'x', 1, 'blog', 'k', '',"
        " 'service:wsk_1', '', now(), now() - interval '1 hour' FROM wallet_wallet"
    )
    # The entry before it is two hours old, as the owner alone can write it.
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE wallet_entry SET created_at = now() - interval '2 hours'")
        cursor.execute("SET session_replication_role = origin")
    with acting_as("runtime"), pytest.raises(IntegrityError, match="is dated"), connection.cursor() as cursor:
        cursor.execute(forged)
