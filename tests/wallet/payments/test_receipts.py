"""The receipt of a top-up: written with the credit, once, and never in its way."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.db import transaction

from accounts.mail import outbox
from accounts.models import OutgoingMail
from backoffice.overview import attention, backlog
from tests.crowd import at_once
from tests.factories import UserFactory
from tests.monetization.records import clock_at
from tests.wallet.entries import sql
from wallet.books.funds import available_of
from wallet.models import TopUp
from wallet.payments import receipts, settlement

pytestmark = pytest.mark.django_db

ADDRESS = "anna@example.com"
PAID_AT = datetime(2026, 11, 22, 9, 47, tzinfo=UTC)


@pytest.fixture(autouse=True)
def mail_is_on(settings):
    settings.MAIL_ENABLED = True


@pytest.fixture
def anna(db):
    return UserFactory.create(misar_id="usr_anna", email=ADDRESS, name="Anna <b>")


@pytest.fixture
def credit(checkout_event):
    """A paid checkout becomes credits, and its receipt is written beside them."""

    def settle(session_id="cs_test_1", **session):
        event = checkout_event(session_id=session_id, user_id="usr_anna", **session)
        with transaction.atomic():
            settlement.settle(event["data"]["object"], happened_at=PAID_AT)
            topup = TopUp.objects.get(stripe_session_id=session_id)
            receipts.queue(topup)
        return topup

    return settle


def the_mail():
    return OutgoingMail.objects.get()


def lines_of(text):
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def test_a_receipt_tells_what_was_paid_and_what_it_became(anna, give, credit):
    give("usr_anna", 1000)
    topup = credit(amount_total=125_000, payment_intent="pi_3QabcdefghijklmnopqrXY12")
    receipt = the_mail()
    assert receipt.to == ADDRESS
    assert receipt.user == anna
    assert receipt.fact == f"receipt:{topup.pk}"
    assert receipt.subject == "Receipt: $1,250.00 for 1,250 credits"
    assert "Your payment of $1,250.00 became 1,250 credits in your wallet." in receipt.text
    assert lines_of(receipt.text) == {
        "Wallet of": "Anna <b>, Misar ID usr_anna",
        "Balance after": "2,250 credits",
        "Date": "22 November 2026, 09:47 UTC",
        "Bought in": "MisarBlog",
        "Top-up": topup.pk,
        "Stripe payment": "pi_3Qabcdef…opqrXY12",
    }


@pytest.mark.parametrize("part", ["text", "html"])
def test_a_receipt_leads_to_the_wallet_its_statement_and_the_switches(anna, credit, part):
    topup = credit()
    written = getattr(the_mail(), part)
    month = f"{topup.entry.created_at:%Y-%m}"
    for path in ("wallet", f"wallet/statements/{month}", "account"):
        assert f"http://testserver/{path}" in written


@pytest.mark.parametrize(
    "told", ["$25.00", "25 credits", "usr_anna", "22 November 2026, 09:47 UTC", "MisarBlog", "pi_cs_test_1"]
)
def test_the_page_tells_what_the_text_tells(anna, credit, told):
    topup = credit()
    assert told in the_mail().text
    assert told in the_mail().html
    assert topup.pk in the_mail().html


def test_one_credit_is_one_credit(anna, credit):
    credit(amount_total=199)
    assert the_mail().subject == "Receipt: $1.99 for 1 credit"


def test_what_was_paid_is_said_once(anna, credit):
    credit()
    for part in (the_mail().text, the_mail().html.partition("<body>")[2]):
        assert part.count("$25.00") == 1


def test_a_wallet_without_a_name_has_its_misar_id(anna, credit):
    type(anna).objects.update(name="")
    credit()
    assert lines_of(the_mail().text)["Wallet of"] == "Misar ID usr_anna"


def test_a_top_up_from_the_wallets_own_page_was_bought_in_no_product(anna, credit):
    credit(metadata={"type": "wallet_topup", "user_id": "usr_anna", "product": "wallet"})
    assert "Bought in" not in the_mail().text
    assert "Bought in" not in the_mail().html


def test_a_payment_told_of_often_has_one_receipt(anna, credit):
    for _ in range(3):
        credit()
    outbox.send_due(10)
    credit()
    outbox.send_due(10)
    assert len(mail.outbox) == 1


def test_a_credit_that_is_undone_mails_nothing(anna, credit):
    with transaction.atomic():
        credit()
        transaction.set_rollback(True)
    assert available_of("usr_anna") == 0
    assert not OutgoingMail.objects.exists()


def test_an_owner_without_an_address_or_who_never_signed_in_gets_none(credit):
    credit()
    UserFactory.create(misar_id="usr_anna", email="")
    credit(session_id="cs_test_2")
    assert not OutgoingMail.objects.exists()
    assert available_of("usr_anna") == 50


def test_an_owner_who_switched_receipts_off_gets_none(anna, credit):
    outbox.set_switches(anna, set())
    credit()
    assert not OutgoingMail.objects.exists()
    assert available_of("usr_anna") == 25


def test_without_mail_a_receipt_asks_the_database_nothing(anna, give, settings, django_assert_num_queries):
    topup = give("usr_anna", 25).topup
    settings.MAIL_ENABLED = False
    with django_assert_num_queries(0):
        receipts.queue(topup)


def test_a_template_that_is_missing_never_stops_a_credit(anna, credit, settings):
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [], "APP_DIRS": False}]
    assert credit().state == "paid"
    assert available_of("usr_anna") == 25
    assert not OutgoingMail.objects.exists()


def test_an_address_that_is_none_never_stops_a_credit(anna, credit):
    type(anna).objects.update(email="anna\nBcc: eve@example.com")
    assert credit().state == "paid"
    assert not OutgoingMail.objects.exists()


def test_hostile_names_and_products_are_text(anna, credit):
    product = '<img src=x onerror="alert(1)">{{ balance }}'
    metadata = {"type": "wallet_topup", "user_id": "usr_anna", "product": product}
    credit(metadata=metadata, payment_intent="pi_<script>\u202e")
    receipt = the_mail()
    assert lines_of(receipt.text)["Bought in"] == product
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;{{ balance }}" in receipt.html
    for tag in ("<img", "<script", "<b>", "\u202e"):
        assert tag not in receipt.html


def test_the_page_loads_nothing_from_elsewhere_and_carries_no_inline_style(anna, credit):
    credit()
    html = the_mail().html
    for word in ("src=", "<link", "<script", "@import", "url(", "style="):
        assert word not in html
    assert not re.search(r"\son\w+\s*=", html)


# --- Written later ------------------------------------------------------------------------------------

SOON = PAID_AT + timedelta(minutes=5)


def write_missing(at=SOON):
    with clock_at(at):
        return receipts.write_missing()


@pytest.fixture
def unwritten(anna, credit, settings):
    """A payment whose receipt could not be rendered."""
    templates = settings.TEMPLATES
    settings.TEMPLATES = [templates[0] | {"DIRS": [], "APP_DIRS": False}]
    with clock_at(PAID_AT):
        topup = credit()
    settings.TEMPLATES = templates
    assert not OutgoingMail.objects.exists()
    return topup


def test_a_receipt_that_could_not_be_written_is_written_once_later(anna, unwritten):
    assert write_missing() == outbox.Written(1, 0)
    receipt = the_mail()
    assert (receipt.to, receipt.user, receipt.fact) == (ADDRESS, anna, f"receipt:{unwritten.pk}")
    assert receipt.subject == "Receipt: $25.00 for 25 credits"
    assert lines_of(receipt.text)["Balance now"] == "25 credits"
    assert "Balance after" not in receipt.text + receipt.html
    outbox.send_due(10)
    assert write_missing() == outbox.Written(0, 0)
    assert OutgoingMail.objects.count() == 1


def test_a_receipt_that_a_database_error_stopped_is_written_later(anna, credit):
    sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$")
    sql("CREATE TRIGGER refuse BEFORE INSERT ON accounts_outgoingmail FOR EACH ROW EXECUTE FUNCTION refuse()")
    with clock_at(PAID_AT):
        assert credit().state == "paid"
    assert write_missing() == outbox.Written(0, 1)
    sql("DROP TRIGGER refuse ON accounts_outgoingmail")
    assert write_missing() == outbox.Written(1, 0)


def test_an_owner_who_gets_an_address_gets_the_receipt_there(credit):
    with clock_at(PAID_AT):
        credit()
    assert write_missing() == outbox.Written(0, 0)
    anna = UserFactory.create(misar_id="usr_anna", email="")
    UserFactory.create(misar_id="usr_other", email="other@example.com")
    assert write_missing() == outbox.Written(0, 0)
    type(anna).objects.filter(pk=anna.pk).update(email="anna@elsewhere.example")
    assert write_missing() == outbox.Written(1, 0)
    assert the_mail().to == "anna@elsewhere.example"


def test_none_is_written_that_is_not_wanted_and_none_when_receipts_are_on_again(anna, credit):
    outbox.set_switches(anna, set())
    with clock_at(PAID_AT):
        credit()
    assert write_missing() == outbox.Written(0, 0)
    assert the_mail().state == "dropped"
    outbox.set_switches(anna, set(outbox.KINDS))
    assert write_missing() == outbox.Written(0, 0)
    outbox.send_due(10)
    assert mail.outbox == []


def test_none_is_written_long_after_its_payment(unwritten):
    late = PAID_AT + timedelta(days=7)
    assert write_missing(late) == outbox.Written(0, 0)
    assert write_missing(late - timedelta(seconds=1)) == outbox.Written(1, 0)


def test_a_payment_that_is_not_credited_and_a_server_without_mail_have_none(anna, settings):
    TopUp.objects.create(user_id="usr_anna", created_at=PAID_AT)
    assert write_missing() == outbox.Written(0, 0)
    settings.MAIL_ENABLED = False
    assert not receipts.missing(SOON).exists()


def test_a_missing_receipt_needs_attention_an_hour_later(unwritten):
    assert not backlog.unwritten_receipts(PAID_AT + timedelta(hours=1)).exists()
    later = PAID_AT + timedelta(hours=1, seconds=1)
    assert backlog.unwritten_receipts(later).get() == unwritten
    sentences = [line.sentence for line in attention.lines(at=later, sees=lambda permission: True)]
    assert "1 payment has no receipt after an hour." in sentences
    write_missing()
    assert not backlog.unwritten_receipts(later).exists()


@pytest.mark.django_db(transaction=True)
def test_two_processes_write_one_receipt(unwritten):
    with clock_at(SOON):
        at_once([receipts.write_missing] * 4)
    assert OutgoingMail.objects.count() == 1
