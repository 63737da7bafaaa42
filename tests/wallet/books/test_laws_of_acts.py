"""The laws about what staff and commands write, and about prices and plans: each bend of them is named.

The books are broken as only an operator with a superuser's rights could: triggers rest. It is rolled back.
"""

import pytest
from django.db import connection
from django.utils import timezone

from accounts.laws import LAWS as LAWS_OF_ACCOUNTS
from accounts.models import Act
from tests.wallet import by_hand
from tests.wallet.entries import insert_entry, move, sql
from tests.wallet.granted import grant
from tests.wallet.lawless import found, the
from tests.wallet.resting import rest
from wallet.books.laws import acts, prices
from wallet.models import ReconciliationRun, TopUp

SIGNED, RUN = acts.LAWS_OF_WALLETS
WRITTEN, ASKED = acts.LAWS_OF_THE_WHOLE
[PRICE] = prices.LAWS_OF_THE_WHOLE
PLAN = next(iter(LAWS_OF_ACCOUNTS))

pytestmark = pytest.mark.breaks_the_books


@pytest.fixture
def by_staff(books):
    """One adjustment, one refund and one grant of usr_1 by staff: their entries by kind. Triggers rest."""
    by_hand.adjust(user_id="usr_1", credits=5, reason="Goodwill", key="adjusted")
    grant("usr_1", 3, product="", key="granted")
    connection.check_constraints()
    rest()
    assert found() == []
    return {kind: the(kind) for kind in ("adjustment", "refund", "grant")}


# --- Entries ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["adjustment", "refund", "grant"])
@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM accounts_act WHERE form_key = %s",
        "UPDATE accounts_act SET form_key = 'other' WHERE form_key = %s",
        "UPDATE accounts_act SET about = 'usr_2' WHERE form_key = %s",
        "UPDATE accounts_act SET staff_id = 'staff:2' WHERE form_key = %s",
    ],
)
def test_an_entry_by_staff_whose_act_is_gone_or_another(by_staff, kind, change):
    [(key, credits)] = sql("SELECT idempotency_key, credits FROM wallet_entry WHERE id = %s", by_staff[kind])
    sql(change, key)
    assert found() == [(SIGNED, by_staff[kind], f"{kind} of {credits} credits by user:staff:1")]


def test_an_entry_by_staff_without_a_form(by_staff):
    entry = move("usr_1", 1, actor="user:staff:1")
    assert found() == [(SIGNED, entry, "adjustment of 1 credits by user:staff:1")]


def test_an_act_stands_for_no_entry_of_another_user(by_staff):
    entry = move("usr_2", 5, actor="user:staff:1", idempotency_key="adjusted")
    assert found() == [(SIGNED, entry, "adjustment of 5 credits by user:staff:1")]


def test_what_is_older_than_the_acts_needs_none(books):
    rest()
    sql("INSERT INTO wallet_wallet VALUES ('usr_3', 5, 1, now())")
    old = {"created_at": "2020-01-01Z", "actor": "user:staff:1"}
    entry = insert_entry("usr_3", credits=5, balance_after=5, sequence=1, **old)
    assert found() == []
    sql("DELETE FROM django_migrations WHERE name = '0007_acts_of_staff'")  # To hide what came before it.
    assert found() == [(SIGNED, entry, "adjustment of 5 credits by user:staff:1")]


def test_an_adjustment_by_a_command_names_its_run(by_staff):
    run = ReconciliationRun.objects.create(state="finished", since=timezone.now())
    move("usr_1", 1, actor=f"command:reconcile_stripe:{run.pk}")
    assert found() == []
    actors = ["stripe", "", "service:wsk_blog", "command:reconcile_stripe", f"command:x:{run.pk + 1}", "user"]
    entries = [(move("usr_1", 1, actor=actor), actor) for actor in actors]
    assert sorted(found()) == sorted((RUN, entry, f"1 credits by {actor}") for entry, actor in entries)


@pytest.mark.parametrize(
    ("verb", "kind"), [("adjust", "adjustment"), ("give-back", "refund"), ("grant", "grant")]
)
def test_an_act_whose_entry_is_gone(by_staff, verb, kind):
    [(key,)] = sql("SELECT idempotency_key FROM wallet_entry WHERE id = %s", by_staff[kind])
    sql("UPDATE accounts_act SET verb = %s WHERE form_key = %s", verb, key)
    assert found() == []
    sql("DELETE FROM wallet_entry WHERE id = %s", by_staff[kind])
    act = Act.objects.get(form_key=key)
    assert (WRITTEN, str(act.pk), f"{verb} of usr_1 by staff:1") in found()


# --- Refunds of payments ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM accounts_act WHERE form_key = 'refund-2'",
        "UPDATE accounts_act SET row_id = 'top_other' WHERE form_key = 'refund-2'",
        "UPDATE accounts_act SET staff_id = 'staff:2' WHERE form_key = 'refund-2'",
        "UPDATE wallet_refundrequest SET form_key = 'refund-3'",
        "UPDATE wallet_refundrequest SET actor = 'stripe'",
    ],
)
def test_a_refund_of_a_payment_without_its_act(lawless, change):
    topup = TopUp.objects.get(user_id="usr_2")
    requested = by_hand.request_refund(
        topup=topup, amount_cents=100, reason="Asked for", actor=by_hand.STAFF, form_key="refund-2"
    )
    assert found() == []
    sql(change)
    requested.refresh_from_db()
    assert found() == [(ASKED, str(requested.pk), f"100 cents of {topup.pk} by {requested.actor}")]


# --- Prices and plans -------------------------------------------------------------------------------


ARTICLE = "blog.article.generate"
IS = "1 credits for article, Generate an article, t"


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (
            "UPDATE wallet_rate SET credits = 2 WHERE feature = %s",
            f"2 credits{IS[9:]}; its last change says {IS}",
        ),
        ("UPDATE wallet_rate SET unit = 'x' WHERE feature = %s", None),
        ("UPDATE wallet_rate SET label = 'x' WHERE feature = %s", None),
        ("UPDATE wallet_rate SET active = false WHERE feature = %s", None),
        (
            "UPDATE wallet_ratechange SET credits = 2 WHERE feature = %s",
            f"{IS}; its last change says 2 credits{IS[9:]}",
        ),
        ("DELETE FROM wallet_ratechange WHERE feature = %s", "no change says so"),
        ("DELETE FROM wallet_rate WHERE feature = %s", "no such price"),
    ],
)
def test_a_price_that_is_not_what_its_last_change_says(lawless, change, detail):
    sql(change, ARTICLE)
    [(law, subject, found_detail)] = found()
    assert (law, subject) == (PRICE, ARTICLE)
    assert detail in (None, found_detail)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ("UPDATE accounts_plan SET fee_bps = 1 WHERE slug = 'max'", None),
        ("UPDATE accounts_plan SET name = 'x' WHERE slug = 'max'", None),
        (
            "UPDATE accounts_plan SET key_limit = 9 WHERE slug = 'max'",
            "Max, 300 bps, 9 keys; its last change says Max, 300 bps, any keys",
        ),
        ("UPDATE accounts_planchange SET fee_bps = 1 WHERE slug = 'max'", None),
        ("DELETE FROM accounts_planchange WHERE slug = 'max'", "no change says so"),
        ("DELETE FROM accounts_plan WHERE slug = 'max'", "no such plan"),
    ],
)
def test_a_plan_that_is_not_what_its_last_change_says(lawless, change, detail):
    sql(change)
    [(law, subject, found_detail)] = found()
    assert (law, subject) == (PLAN, "max")
    assert detail in (None, found_detail)
