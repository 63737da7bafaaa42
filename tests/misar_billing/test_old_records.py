"""Migrations that carry records over from the releases before, run on such records."""

import importlib

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.migrations.state import ProjectState

from accounts.models import Act, ApiKey, ServiceKey
from monetization import tips
from tests.crowd import second_connection
from tests.factories import StaffFactory, UserFactory
from tests.wallet.resting import resting_triggers
from wallet.models import Entry, StripeEvent, Wallet

pytestmark = pytest.mark.django_db

acts_of_staff = importlib.import_module("accounts.migrations.0007_acts_of_staff")
whom_events_name = importlib.import_module("wallet.migrations.0006_whom_stored_events_name")


def keep_the_log():
    with connection.schema_editor() as editor:
        acts_of_staff.keep_the_log(apps, editor)


def logged(words, *, row_id="usr_ada", model=Wallet):
    return LogEntry.objects.create(
        user=StaffFactory.create(),
        content_type=ContentType.objects.get_for_model(model),
        object_id=row_id,
        object_repr=row_id,
        action_flag=CHANGE,
        change_message=words,
    )


@pytest.mark.parametrize(
    ("words", "told", "reason"),
    [
        ("Adjusted by +5. Reason: asked by mail (form ab12)", "Adjusted by +5.", "asked by mail"),
        ("Adjusted by +5. Reason: two\nlines (really) (form ab12)", "Adjusted by +5.", "two\nlines (really)"),
        ("Issued blog (0123…).", "Issued blog (0123…).", ""),
        ('[{"changed": {"fields": ["Credits"]}}]', '[{"changed": {"fields": ["Credits"]}}]', ""),
        ("", "", ""),
    ],
)
def test_a_line_of_the_old_log_becomes_an_act(words, told, reason):
    line = logged(words)
    keep_the_log()
    act = Act.objects.get()
    assert (act.told, act.reason, act.staff_id) == (told, reason, line.user_id)
    assert (act.model, act.row_id, act.about) == ("wallet.wallet", "usr_ada", "usr_ada")
    assert act.created_at == line.action_time


def test_an_act_on_a_row_is_about_the_user_whose_row_it_is(give):
    ada = UserFactory.create(misar_id="usr_ada")
    entry = give("usr_ada", 5)
    payload = '{"data": {"object": {"metadata": {"user_id": "usr_ada"}}}}'
    tip = tips.record(
        creator=ada, amount_cents=500, email="fan@example.com", stripe_payment_id="pi_1", name="Fan"
    )
    rows = [
        entry,
        entry.topup,
        StripeEvent.objects.create(id="evt_1", type="x", payload=payload),
        tip,
        ApiKey.objects.create(owner=ada, name="mine", prefix="msk_1", digest="0", scopes=[]),
    ]
    for row in rows:
        logged("Done.", row_id=str(row.pk), model=type(row))
    keep_the_log()
    assert list(Act.objects.order_by("pk").values_list("row_id", "about")) == [
        (str(row.pk), "usr_ada") for row in rows
    ]


@pytest.mark.parametrize("model", [Entry, ApiKey, StripeEvent, ServiceKey])
def test_an_act_on_a_row_that_is_gone_or_has_no_owner_is_about_no_user(model):
    logged("Done.", row_id="gone", model=model)
    keep_the_log()
    assert Act.objects.get().about == ""


def test_stored_events_learn_whom_they_name():
    payloads = {
        "evt_ada": '{"data": {"object": {"metadata": {"user_id": "usr_ada"}}}}',
        "evt_nobody": '{"data": {"object": {"metadata": {}, "payment_intent": "pi_1"}}}',
        "evt_no_metadata": '{"data": {"object": {"metadata": 7}}}',
        "evt_odd": '{"data": {"object": {"metadata": {"user_id": 7}}}}',
        "evt_malformed": '{"data": {"object": {"metadata": {"user_id": "usr\\u0007"}}}}',
        "evt_no_json": "{",
        "evt_list": "[]",
        "evt_empty": "",
    }
    StripeEvent.objects.bulk_create(
        StripeEvent(id=event_id, type="x", payload=payload) for event_id, payload in payloads.items()
    )
    with resting_triggers():  # A later migration made them.
        whom_events_name.name_them(apps, None)
    assert list(StripeEvent.objects.exclude(user_id="").values_list("pk", "user_id")) == [
        ("evt_ada", "usr_ada")
    ]
    paid = StripeEvent.objects.exclude(payment_intent_id="")
    assert list(paid.values_list("pk", "payment_intent_id")) == [("evt_nobody", "pi_1")]


@pytest.mark.django_db(transaction=True)
def test_events_are_named_in_short_transactions_so_that_others_can_have_them_meanwhile():
    payload = '{"data": {"object": {"metadata": {"user_id": "usr_ada"}}}}'
    count = 2 * whom_events_name.AT_A_TIME + 1
    StripeEvent.objects.bulk_create(
        StripeEvent(id=f"evt_{n:05}", type="x", payload=payload) for n in range(count)
    )
    had = []

    def redeliver_the_first(execute, query, params, many, context):
        if query.startswith("SELECT") and "wallet_stripeevent" in query:
            with second_connection() as other, other.cursor() as cursor:
                cursor.execute("SELECT user_id FROM wallet_stripeevent ORDER BY id LIMIT 1 FOR UPDATE NOWAIT")
                had.append(cursor.fetchone()[0])
        return execute(query, params, many, context)

    migration = whom_events_name.Migration("0006_whom_stored_events_name", "wallet")
    with (
        connection.schema_editor(atomic=migration.atomic) as editor,
        connection.execute_wrapper(redeliver_the_first),
    ):
        migration.apply(ProjectState.from_apps(apps), editor)
    assert had == ["", "usr_ada", "usr_ada", "usr_ada"]
    assert StripeEvent.objects.filter(user_id="usr_ada").count() == count
