"""A reader's address in the words of staff and of Stripe: out of each of them, and no other address."""

import json

import pytest
from django.contrib.admin.models import LogEntry

from monetization import readers, tips
from monetization.models import Refund
from tests.monetization.records import (
    NAME,
    NEIGHBOURS,
    READER,
    give,
    hear_of,
    hear_of_text,
    refused,
    subscribe,
    tables_with,
    write_to_the_log,
)
from wallet.models import StripeEvent

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("bob@x.co asked", "(erased) asked"),
        ("Asked by Bob@X.CO.", "Asked by (erased)."),
        ("<bob@x.co>, 'bob@x.co', (BOB@x.co)", "<(erased)>, '(erased)', ((erased))"),
        ("mailto:bob@x.co\nbob@x.co", "mailto:(erased)\n(erased)"),
        ("bob@x.co/jacob@x.co", "(erased)/jacob@x.co"),
        ('[{"changed": {"fields": ["bob@x.co"]}}]', '[{"changed": {"fields": ["(erased)"]}}]'),
        ('["b\\u006fb@x.co"]', '["(erased)"]'),
        *((neighbour, neighbour) for neighbour in NEIGHBOURS),
        ("bob at x.co", "bob at x.co"),
        ("bobbox.co bob@xaco", "bobbox.co bob@xaco"),
    ],
)
def test_an_address_is_taken_out_of_what_staff_wrote_and_no_other(creator, words, left):
    write_to_the_log(words, creator)
    readers.erase(READER, actor="operator")
    assert LogEntry.objects.get().change_message == left


def test_an_address_with_signs_of_patterns_in_it_is_taken_literally(creator):
    write_to_the_log("a.b+c_d@x-y.co axb+c_d@x-y.co a.b+cxd@x-y.co", creator)
    readers.erase("a.b+c_d@x-y.co", actor="operator")
    assert LogEntry.objects.get().change_message == "(erased) axb+c_d@x-y.co a.b+cxd@x-y.co"


@pytest.mark.parametrize(
    "payload",
    [
        '{"email": "bob@x.co"}',
        '{\n  "email": "BOB@X.CO"\n}',
        '{"email": "bob\\u0040x.co"}',
        '{"email": "\\u0062\\u006f\\u0062@x.co"}',
        '{"email": "\\u0042ob@x.co"}',
        '{"note": "from\\nbob@x.co\\tto you"}',
        '{"note": "\\"bob@x.co\\""}',
        '{"bob@x.co": 1}',
        '{"list": [{"deep": ["bob@x.co"]}]}',
        '{"email": "bob@x.co", "lone": "\\ud800", "nothing": "\\u0000", "big": 12345678901234567890}',
        "bob@x.co {not json",
    ],
)
def test_an_address_is_taken_out_of_stripes_events_however_it_is_written(payload):
    event = hear_of_text(payload)
    readers.erase(READER, actor="operator")
    event.refresh_from_db()
    assert "(erased)" in event.payload
    assert "x.co" not in event.payload
    if "not json" not in payload:
        left, before = json.loads(event.payload), json.loads(payload)
        assert len(left) == len(before)
        for name in ("lone", "nothing", "big"):
            assert left.get(name) == before.get(name)


def test_the_name_told_in_one_breath_with_the_address_goes_too():
    person = {"email": "Bob@x.co", "name": NAME, "phone": "+1", "address": {"city": "Balboa"}, "tax_ids": []}
    other = {"email": "jacob@x.co", "name": "Jacob", "phone": "+2", "address": None}
    event = hear_of({"object": {"customer_details": person, "billing_details": other, "name": "A product"}})
    readers.erase(READER, actor="operator")
    event.refresh_from_db()
    assert json.loads(event.payload)["data"]["object"] == {
        "customer_details": {
            "email": "(erased)",
            "name": None,
            "phone": None,
            "address": None,
            "tax_ids": [],
        },
        "billing_details": other,
        "name": "A product",
    }


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_other_events_stay_as_they_came_to_the_byte(neighbour):
    payload = json.dumps({"email": neighbour, "ä": "\u00e9\\u0040"}, indent=3)
    event = hear_of_text(payload)
    readers.erase(READER, actor="operator")
    event.refresh_from_db()
    assert event.payload == payload


def test_an_address_beyond_ascii_is_found_too(creator):
    subscribe(creator, "bob@bücher.example")
    escaped = hear_of({"email": "Bob@bücher.example"})
    plain = hear_of({"email": "bob@BÜCHER.example"}, ensure_ascii=False)
    readers.erase("bob@bücher.example", actor="operator")
    for event in (escaped, plain):
        event.refresh_from_db()
        assert json.loads(event.payload)["data"]["email"] == "(erased)"
    assert tables_with("bücher") == set()


def test_an_address_goes_from_remarks_tracebacks_and_reasons_of_refunds(creator):
    StripeEvent.objects.create(pk="evt_1", type="x", remark="Of bob@x.co", traceback="'bob@x.co'\n")
    given = give(creator)
    tips.refund(
        tip_id=given.pk, amount_cents=100, reason="bob@x.co asked", key="form-1", actor="user:staff:1"
    )
    readers.erase(READER, actor="operator")
    event, back = StripeEvent.objects.get(), Refund.objects.get()
    assert (event.remark, event.traceback) == ("Of (erased)", "'(erased)'\n")
    assert (back.reason, back.amount_cents, back.fee_returned_cents) == ("(erased) asked", 100, 5)
    refused("monetization_refund is history", "UPDATE monetization_refund SET reason = 'nicer'")
