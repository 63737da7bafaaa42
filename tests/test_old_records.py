"""Migrations that carry records over from the releases before, run on such records."""

import importlib

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType

from accounts.models import Act
from tests.factories import StaffFactory
from wallet.models import StripeEvent, Wallet

pytestmark = pytest.mark.django_db

acts_of_staff = importlib.import_module("accounts.migrations.0007_acts_of_staff")
whom_events_name = importlib.import_module("wallet.migrations.0006_whom_stored_events_name")


def logged(words, *, row_id="usr_ada"):
    return LogEntry.objects.create(
        user=StaffFactory.create(),
        content_type=ContentType.objects.get_for_model(Wallet),
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
    acts_of_staff.keep_the_log(apps, None)
    act = Act.objects.get()
    assert (act.told, act.reason, act.staff_id) == (told, reason, line.user_id)
    assert (act.model, act.row_id, act.about) == ("wallet.wallet", "usr_ada", "usr_ada")
    assert act.created_at == line.action_time


def test_stored_events_learn_whom_they_name():
    payloads = {
        "evt_ada": '{"data": {"object": {"metadata": {"user_id": "usr_ada"}}}}',
        "evt_nobody": '{"data": {"object": {"metadata": {}}}}',
        "evt_odd": '{"data": {"object": {"metadata": {"user_id": 7}}}}',
        "evt_malformed": '{"data": {"object": {"metadata": {"user_id": "usr\\u0007"}}}}',
        "evt_no_json": "{",
        "evt_list": "[]",
        "evt_empty": "",
    }
    StripeEvent.objects.bulk_create(
        StripeEvent(id=event_id, type="x", payload=payload) for event_id, payload in payloads.items()
    )
    whom_events_name.name_them(apps, None)
    assert list(StripeEvent.objects.exclude(user_id="").values_list("pk", "user_id")) == [
        ("evt_ada", "usr_ada")
    ]
