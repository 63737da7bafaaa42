"""A reader's address in the words of staff and of Stripe: out of each of them, and no other address."""

import json

import pytest

from accounts.models import Act
from monetization import tips
from monetization.models import FirstAnswer, Refund
from monetization.privacy import erasure
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
    erasure.erase(READER, actor="operator")
    assert Act.objects.get().told == left


def test_an_address_with_signs_of_patterns_in_it_is_taken_literally(creator):
    write_to_the_log("a.b+c_d@x-y.co axb+c_d@x-y.co a.b+cxd@x-y.co", creator)
    erasure.erase("a.b+c_d@x-y.co", actor="operator")
    assert Act.objects.get().told == "(erased) axb+c_d@x-y.co a.b+cxd@x-y.co"


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
    erasure.erase(READER, actor="operator")
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
    erasure.erase(READER, actor="operator")
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
    erasure.erase(READER, actor="operator")
    event.refresh_from_db()
    assert event.payload == payload


def test_an_address_beyond_ascii_is_found_too(creator):
    subscribe(creator, "bob@bücher.example")
    escaped = hear_of({"email": "Bob@bücher.example"})
    plain = hear_of({"email": "bob@BÜCHER.example"}, ensure_ascii=False)
    erasure.erase("bob@bücher.example", actor="operator")
    for event in (escaped, plain):
        event.refresh_from_db()
        assert json.loads(event.payload)["data"]["email"] == "(erased)"
    assert tables_with("bücher") == set()


@pytest.mark.parametrize(
    ("address", "words", "left"),
    [
        ("a@straße.example", "a@strasse.example a%40strasse.example", None),
        ("a@straße.example", "a@STRAẞE.example, A@xn--strae-oqa.example", "(erased), (erased)"),
        ("zoe+tag@x.co", "https://x.co/?e=zoe+tag%40x.co&f=1", "https://x.co/?e=(erased)&f=1"),
        (
            "zoe+tag@x.co",
            "Zoe%2Btag%40x.co zoe%2Btag@x.co zoe&#43;tag&#64;x.co",
            "(erased) (erased) (erased)",
        ),
        ("o'neil@x.co", "o&#x27;neil@x.co O%27neil%40x.co", "(erased) (erased)"),
        ("zoe@example.com", "zoe@\uff45xample.com mailto%3Azoe%40example.com", "(erased) mailto%3A(erased)"),
        ("\u017fam@x.co", "sam@x.co", None),
        ("a/b@x.co", '{"email": "a\\/b@x.co"}', '{"email": "(erased)"}'),
        ('"a!b"@x.co', '{"email": "\\"a!b\\"@x.co"}', '{"email": "(erased)"}'),
    ],
)
def test_all_spellings_of_a_mailbox_go_and_another_mailbox_stays(creator, address, words, left):
    write_to_the_log(words, creator)
    FirstAnswer.objects.create(creator=creator, endpoint="tip", key=words, digest="x", row_id="", answer="{}")
    erasure.erase(address, actor="operator")
    assert Act.objects.get().told == (words if left is None else left)
    assert (FirstAnswer.objects.get().key == words) is (left is None)


def test_an_address_goes_from_remarks_tracebacks_and_reasons_of_refunds(creator):
    StripeEvent.objects.create(pk="evt_1", type="x", remark="Of bob@x.co", traceback="'bob@x.co'\n")
    given = give(creator)
    tips.refund(
        tip_id=given.pk, amount_cents=100, reason="bob@x.co asked", key="form-1", actor="user:staff:1"
    )
    erasure.erase(READER, actor="operator")
    event, back = StripeEvent.objects.get(), Refund.objects.get()
    assert (event.remark, event.traceback) == ("Of (erased)", "'(erased)'\n")
    assert (back.reason, back.amount_cents, back.fee_returned_cents) == ("(erased) asked", 100, 5)
    refused("monetization_refund is history", "UPDATE monetization_refund SET reason = 'nicer'")


def test_what_stands_beside_any_kind_of_address_goes_too():
    told = {
        "customer_email": READER,
        "customer_name": NAME,
        "customer_phone": "+1 555",
        "charge": {"receipt_email": READER, "shipping": {"name": NAME, "address": {"city": "Lund"}}},
        "url": "https://pay.example/?prefilled_email=bob%40x.co",
        "neighbour": {"email": NEIGHBOURS[0], "name": "Jacob"},
    }
    StripeEvent.objects.create(id="evt_1", type="charge.refunded", state="kept", payload=json.dumps(told))
    erasure.erase(READER, actor="test")
    left = StripeEvent.objects.get().payload
    assert READER not in left
    assert "bob%40x.co" not in left
    assert NAME not in left
    assert "Lund" not in left
    assert NEIGHBOURS[0] in left
    assert "Jacob" in left


def test_an_address_in_an_anonymous_tip_or_a_key_is_no_address_kept(creator):
    given = tips.record(
        creator=creator, amount_cents=500, email="", name=READER, message=f"from {READER}, thanks"
    )
    FirstAnswer.objects.create(
        creator=creator, endpoint="tip", key=f"tip:{READER}", digest="x", row_id=given.pk, answer="{}"
    )
    erasure.erase(READER, actor="test")
    assert tables_with(READER) == set()


def test_a_long_reason_full_of_the_address_is_erased_all_the_same(creator):
    given = give(creator)
    tips.refund(tip_id=given.pk, amount_cents=1, reason=("b@x.co " * 72)[:500], key="k", actor="staff")
    erasure.erase("b@x.co", actor="test")
    assert "b@x.co" not in Refund.objects.get().reason
