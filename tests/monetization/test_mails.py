"""What creators are told by mail: each tip once, each subscription that becomes past due, and no more."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.db import transaction

from accounts.mail import outbox
from accounts.models import OutgoingMail, User
from monetization import mails, tips
from monetization.errors import AlreadyRecorded
from monetization.models import Subscription, Tip
from monetization.privacy import erasure, placeholders
from tests.crowd import at_once, patiently
from tests.monetization.conftest import SUBSCRIPTIONS, TIP
from tests.monetization.records import (
    MESSAGE,
    NAME,
    NEIGHBOURS,
    READER,
    change,
    clock_at,
    give,
    subscribe,
    tables_with,
    tip,
)

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 22, 9, 47, tzinfo=UTC)
HOSTILE = '<img src=x onerror="alert(1)">{{ net }}'


@pytest.fixture(autouse=True)
def mail_is_on(settings):
    settings.MAIL_ENABLED = True
    mail.outbox = []


def the_mail():
    return OutgoingMail.objects.get()


def told():
    """The facts of all mails that still wait."""
    return set(OutgoingMail.objects.filter(state="waiting").values_list("fact", flat=True))


def lines_of(text):
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def late(creator, **facts):
    """A subscription that has just become past due."""
    return change(subscribe(creator, **facts), status="past_due")


# --- A tip ------------------------------------------------------------------------------------------


def test_a_tip_is_told_to_its_creator_with_what_is_left_of_it(creator):
    with clock_at(AT):
        made = tip(creator, 123_456, name="Åsa", email="asa@example.com", stripe_payment_id="pi_1")
    found = the_mail()
    assert (found.to, found.user, found.fact) == (creator.email, creator, f"tip_received:{made.pk}")
    assert found.subject == "A tip of 1,234.56 USD from Åsa"
    assert found.text.startswith("Åsa gave you a tip of 1,234.56 USD.\n")
    assert lines_of(found.text) == {
        "Tip": "1,234.56 USD",
        "Platform fee (5%)": "61.73 USD",
        "After platform fee": "1,172.83 USD",
        "Date": "22 November 2026, 09:47 UTC",
        "Tip ID": made.pk,
        "Stripe payment": "pi_1",
    }
    assert "wrote" not in found.text


@pytest.mark.parametrize(
    "words", ["1,234.56 USD", "61.73 USD", "1,172.83 USD", "09:47 UTC", "Åsa", "pi_1", "Love it", "(5%)"]
)
def test_the_page_tells_what_the_text_tells(creator, words):
    with clock_at(AT):
        tip(creator, 123_456, name="Åsa", message="Love it", stripe_payment_id="pi_1")
    assert words in the_mail().text
    assert words in the_mail().html


@pytest.mark.parametrize("name", ["علی‌رضا", "👩‍🚀 Ada", "Ann 🩷", "李\u3000小龍", "홍길동"])
def test_a_name_in_a_mail_is_the_name_that_the_api_keeps(creator, name):
    tip(creator, name=name, message=f"From {name}")
    found = the_mail()
    assert found.subject == f"A tip of 5.00 USD from {name}"
    assert found.text.startswith(f"{name} gave you a tip")
    assert f"> From {name}\n" in found.text
    assert name in found.html
    outbox.send_due(10)
    assert mail.outbox[0].subject == found.subject


def test_a_name_in_a_subject_is_cut_between_two_characters(creator):
    tip(creator, name="x" * 57 + "👩‍🚀" + "y" * 20)
    assert the_mail().subject == f"A tip of 5.00 USD from {'x' * 57}…"


def test_a_tip_may_be_anonymous(creator):
    tip(creator)
    assert the_mail().subject == "A tip of 5.00 USD from a reader"
    assert the_mail().text.startswith("A reader gave you a tip")
    assert "Stripe" not in the_mail().text
    assert "<h1>A reader gave you a tip</h1>" in the_mail().html


def test_a_message_is_quoted_line_by_line_as_the_readers(creator):
    tip(creator, message="Love it!\n\nTip: 900 USD\u2028-- \r\nMisar Billing")
    assert (
        "The reader wrote:\n\n> Love it!\n> \n> Tip: 900 USD\n> --\n> Misar Billing\n\nThe tip:"
        in the_mail().text
    )
    assert lines_of(the_mail().text)["Tip"] == "5.00 USD"
    assert "<blockquote>Love it!<br><br>Tip: 900 USD<br>--<br>Misar Billing</blockquote>" in the_mail().html


def test_hostile_names_and_messages_are_text(creator):
    tip(creator, name=HOSTILE, message=f"</blockquote>{HOSTILE}\u202e", stripe_payment_id="pi_<script>")
    found = the_mail()
    assert f"{HOSTILE} gave you a tip" in found.text
    assert "&lt;/blockquote&gt;&lt;img src=x onerror=&quot;alert(1)&quot;&gt;{{ net }}" in found.html
    for tag in ("<img", "<script", "\u202e"):
        assert tag not in found.html
    assert "\u202e" not in found.text


def test_a_name_cannot_begin_a_line_of_its_own_nor_fill_the_subject(creator):
    tip(creator, name="Åsa\r\nBcc: eve@example.com\u2028" + "x" * 150)
    found = the_mail()
    assert re.fullmatch(r"A tip of 5\.00 USD from Åsa Bcc: eve@example\.com x+…", found.subject)
    assert len(found.subject) < 90
    assert found.text.splitlines()[0].startswith("Åsa Bcc: eve@example.com xxx")
    outbox.send_due(10)
    assert mail.outbox[0].recipients() == [creator.email]


def test_the_readers_address_is_in_no_mail_of_a_tip(creator):
    give(creator)
    for part in (the_mail().subject, the_mail().text, the_mail().html):
        assert READER not in part


@pytest.mark.parametrize("part", ["text", "html"])
def test_a_mail_leads_to_what_it_tells_of_and_to_the_switches(creator, part):
    the_tip, the_subscription = tip(creator), late(creator)
    written = {found.kind: getattr(found, part) for found in OutgoingMail.objects.all()}
    ends = "\n" if part == "text" else '"'
    assert f"http://testserver/dashboard/tips/{the_tip.pk}{ends}" in written["tip_received"]
    assert (
        f"http://testserver/dashboard/subscriptions/{the_subscription.pk}{ends}"
        in written["subscription_past_due"]
    )
    for each in written.values():
        assert "http://testserver/account" in each


@pytest.mark.parametrize("make", [give, late])
def test_the_page_loads_nothing_from_elsewhere_and_carries_no_inline_style(creator, make):
    make(creator)
    html = the_mail().html
    for word in ("src=", "<link", "<script", "@import", "url(", "style="):
        assert word not in html
    assert not re.search(r"\son\w+\s*=", html)


# --- Once -------------------------------------------------------------------------------------------


def test_a_payment_told_of_often_is_one_mail(creator):
    for _ in range(3):
        tip(creator, stripe_payment_id="pi_1")
    outbox.send_due(10)
    tip(creator, stripe_payment_id="pi_1")
    with pytest.raises(AlreadyRecorded):
        tip(creator, 600, stripe_payment_id="pi_1")
    outbox.send_due(10)
    assert len(mail.outbox) == 1


def test_a_replay_at_the_api_is_one_mail(creator, api):
    body = {"amount_cents": 500, "name": "Alex"}
    for _ in range(3):
        assert api.post(TIP, body, headers={"Idempotency-Key": "order-1"}).status_code == 200
    assert OutgoingMail.objects.count() == 1
    api.post(TIP, body)
    assert OutgoingMail.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_one_payment_from_many_callers_at_once_is_one_mail(creator):
    at_once([lambda: patiently(lambda: tip(creator, stripe_payment_id="pi_1"))] * 12)
    assert OutgoingMail.objects.count() == 1


def test_a_tip_that_is_undone_mails_nothing(creator):
    with transaction.atomic():
        tip(creator)
        transaction.set_rollback(True)
    assert not Tip.objects.exists()
    assert not OutgoingMail.objects.exists()


# --- A subscription past due ------------------------------------------------------------------------


def test_a_subscription_that_becomes_past_due_is_told_to_its_creator(creator):
    with clock_at(AT):
        found = late(creator, email="Bob@x.co", plan="gold monthly", stripe_subscription_id="sub_1")
    written = the_mail()
    assert (written.to, written.user) == (creator.email, creator)
    assert written.subject == "A subscription of 7.99 USD is past due"
    assert lines_of(written.text) == {
        "Subscriber": "Bob@x.co",
        "Plan": "gold monthly",
        "Amount": "7.99 USD",
        "Past due since": "22 November 2026, 09:47 UTC",
        "Subscription": found.pk,
        "Stripe subscription": "sub_1",
    }
    for words in ("Bob@x.co", "gold monthly", "7.99 USD", "22 November 2026, 09:47 UTC", found.pk, "sub_1"):
        assert words in written.html


@pytest.mark.parametrize(("plan", "counts"), [("monthly", True), ("gold", False)])
def test_it_is_said_to_be_at_risk_where_it_is_in_a_figure(creator, plan, counts):
    late(creator, plan=plan)
    for part in (the_mail().text, the_mail().html):
        assert ("as at risk" in part) is counts


def test_an_erased_reader_is_named_by_nothing(creator):
    found = subscribe(creator, READER)
    erasure.erase(READER, actor="user:staff:1")
    change(found, status="past_due")
    text = the_mail().text
    assert lines_of(text)["Subscriber"] == "a reader who was erased"
    assert placeholders.STAND_IN_DOMAIN not in text + the_mail().html


def test_only_becoming_past_due_is_told_and_each_time(creator):
    found = subscribe(creator)
    change(found, plan="annual", amount_cents=7900)
    change(found, status="active")
    assert not OutgoingMail.objects.exists()
    change(found, status="past_due")
    change(found, status="past_due")
    change(found, plan="monthly", amount_cents=900)
    assert OutgoingMail.objects.count() == 1
    change(found, status="active")
    change(found, status="past_due")
    change(found, status="cancelled")
    assert OutgoingMail.objects.count() == 2


def test_a_message_that_came_too_late_is_not_mailed(creator):
    found = subscribe(creator)
    change(found, status="active")
    change(found, status="past_due", occurred_at=AT - timedelta(days=400))
    assert Subscription.objects.get().status == "active"
    assert not OutgoingMail.objects.exists()


def test_a_change_at_the_api_mails_its_creator(creator, api):
    found = subscribe(creator)
    for _ in range(2):
        assert api.patch(f"{SUBSCRIPTIONS}/{found.pk}", {"status": "past_due"}).status_code == 200
    assert the_mail().kind == "subscription_past_due"


def test_a_hostile_plan_and_address_are_text(creator):
    late(creator, plan=f"{HOSTILE}\nTo: eve", email="o'<b>@example.com")
    assert lines_of(the_mail().text)["Plan"] == f"{HOSTILE} To: eve"
    assert "<img" not in the_mail().html
    assert "o&#x27;&lt;b&gt;@example.com" in the_mail().html


# --- Switched off, or failing alone ---------------------------------------------------------------------


def test_each_kind_can_be_switched_off(creator):
    outbox.set_switches(creator, {"receipt", "subscription_past_due"})
    tip(creator)
    late(creator)
    assert the_mail().kind == "subscription_past_due"
    outbox.set_switches(creator, {"receipt", "tip_received"})
    tip(creator)
    late(creator)
    assert sorted(each.kind for each in OutgoingMail.objects.all()) == [
        "subscription_past_due",
        "tip_received",
    ]


@pytest.mark.parametrize("address", ["", "anna\nBcc: eve@example.com", "no address"])
def test_a_creator_without_a_usable_address_earns_all_the_same(creator, address):
    User.objects.filter(pk=creator.pk).update(email=address)
    creator.refresh_from_db()
    assert tip(creator).net_cents == 475
    assert late(creator).status == "past_due"
    assert not OutgoingMail.objects.exists()


def test_a_template_that_is_missing_stops_neither(creator, settings):
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [], "APP_DIRS": False}]
    tip(creator)
    late(creator)
    assert Tip.objects.exists()
    assert Subscription.objects.get().status == "past_due"
    assert not OutgoingMail.objects.exists()


def test_without_mail_a_tip_asks_the_database_nothing_for_it(creator, settings, django_assert_num_queries):
    made = tip(creator)
    settings.MAIL_ENABLED = False
    with django_assert_num_queries(0):
        mails.tell_of_tip(creator, made)


# --- Hidden and erased ------------------------------------------------------------------------------


def test_a_message_hidden_before_its_mail_went_out_never_goes_out(creator):
    made = tip(creator, message="Rude words")
    other = tip(creator, message="Kind words")
    tips.hide_message(creator=creator, tip_id=made.pk, hidden=True)
    assert told() == {f"tip_received:{other.pk}"}
    assert "accounts_outgoingmail" not in tables_with("Rude words")


def test_nothing_of_an_erased_reader_waits_to_be_sent(creator, stranger):
    give(creator)
    give(stranger)
    late(creator, email=READER.upper())
    assert len(told()) == 3
    assert "accounts_outgoingmail" in tables_with(READER)
    erasure.erase(READER, actor="operator")
    assert told() == set()
    assert tables_with(READER, NAME, MESSAGE) == set()
    outbox.send_due(10)
    assert mail.outbox == []


def test_a_mail_that_quotes_an_erased_address_is_dropped_from_any_writer(creator):
    tip(creator, name="Write to Bob@X.co", message="please")
    tip(creator, name="x" * 55 + " bob@x.co", message="please")
    tip(creator, message="bob@x.co or\nBOB@x.co!")
    kept = [tip(creator, message=f"Greetings from {neighbour}") for neighbour in NEIGHBOURS]
    erasure.erase(READER, actor="operator")
    assert told() == {f"tip_received:{each.pk}" for each in kept}
    assert not OutgoingMail.objects.exclude(state="waiting").exclude(text="", html="", subject="")


@pytest.mark.parametrize("address", ["o'brien@x.co", "a&b@x.co", "a+b@x.co"])
def test_an_address_that_html_writes_otherwise_is_found(creator, address):
    tip(creator, message=f"I am {address}, hello")
    late(creator, email=address)
    OutgoingMail.objects.update(subject="", text="")
    erasure.erase(address, actor="operator")
    assert told() == set()


def test_the_mails_of_other_readers_go_out(creator):
    give(creator)
    other = tip(creator, email="jacob@x.co", name="Jacob")
    erasure.erase(READER, actor="operator")
    outbox.send_due(10)
    (sent,) = mail.outbox
    assert sent.subject == "A tip of 5.00 USD from Jacob"
    assert other.pk in sent.body


def test_a_mail_that_is_already_sent_does_not_stand_in_the_way_of_an_erasure(creator):
    give(creator)
    outbox.send_due(10)
    erasure.erase(READER, actor="operator")
    assert the_mail().state == "sent"
