"""The mail about a clawback or a reinstatement: in plain words, once for each entry, never in its way."""

import re

import pytest
from django.utils import timezone
from django.utils.dateformat import format as in_words
from django.utils.html import escape

from accounts.mail import outbox
from accounts.models import OutgoingMail
from tests.factories import UserFactory
from tests.wallet.granted import grant
from tests.wallet.lives import Life
from wallet.books.funds import available_of
from wallet.models import Entry

pytestmark = pytest.mark.django_db

ANNA = "usr_anna"
WHERE_TO = "the card or account you paid with"
CANNOT_CHARGE = "Until this is paid, Misar products can't charge you. Your next top-up pays it first."


@pytest.fixture(autouse=True)
def mail_is_on(settings):
    settings.MAIL_ENABLED = True


@pytest.fixture
def anna(db):
    return UserFactory.create(misar_id=ANNA, email="anna@example.com", name="Anna <b>")


@pytest.fixture
def pays(stand_in, deliver, anna):
    """Anna pays for credits."""

    def pay(dollars=25):
        return Life(stand_in, deliver, user_id=ANNA, dollars=dollars)

    return pay


@pytest.fixture
def spends(article_rate, as_service):
    def spend(credits):
        assert as_service.deduct(ANNA, count=credits).json()["allowed"] is True

    return spend


def mails():
    return list(OutgoingMail.objects.filter(kind="reversal").order_by("created_at"))


def lines_of(text):
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def today():
    return in_words(timezone.now(), "j F Y")


def refund_a_part(life):
    life.refunds(10)


def refund_all(life):
    life.refunds(25)


def refund_later(life):
    life.refunds(10, status="pending")


def ask_where_to(life):
    life.refunds(10, status="requires_action")


def fail_a_refund(life):
    life.happens(f"refunds/{life.refunds(10)}/fail")


def cancel_a_refund(life):
    life.happens(f"refunds/{life.refunds(10, status='pending')}/cancel")


def dispute(life):
    life.is_disputed()


def dispute_a_part(life):
    life.is_disputed(10)


def win(life):
    life.happens(f"disputes/{life.is_disputed()}/win")


def win_a_part(life):
    life.happens(f"disputes/{life.is_disputed()}/win_part", amount=900)


PAYMENT = "our payment of $25.00 from {day}"
TAKEN = "Its credits are already taken back."
NEWS = [
    (
        refund_a_part,
        "Payment refunded: 10 credits taken back",
        f"$10.00 of y{PAYMENT} was refunded to {WHERE_TO}.",
    ),
    (refund_all, "Payment refunded: 25 credits taken back", f"Y{PAYMENT} was refunded to {WHERE_TO}."),
    (
        refund_later,
        "Refund on its way: 10 credits taken back",
        f"A refund of $10.00 of y{PAYMENT} is on its way to {WHERE_TO}. {TAKEN}",
    ),
    (
        ask_where_to,
        "Refund on its way: 10 credits taken back",
        f"A refund of $10.00 of y{PAYMENT} is waiting for you: "
        f"Stripe has asked you by mail where to send it. {TAKEN}",
    ),
    (
        fail_a_refund,
        "Refund failed, credits returned: 10 credits",
        f"The refund of $10.00 of y{PAYMENT} failed: the money did not reach {WHERE_TO}.",
    ),
    (
        cancel_a_refund,
        "Refund cancelled, credits returned: 10 credits",
        f"The refund of $10.00 of y{PAYMENT} was cancelled, so the payment stands.",
    ),
    (
        dispute,
        "Payment disputed: 25 credits taken back",
        f"Your bank disputed y{PAYMENT} and took the money back.",
    ),
    (
        dispute_a_part,
        "Payment disputed: 10 credits taken back",
        f"Your bank disputed $10.00 of y{PAYMENT} and took the money back.",
    ),
    (
        win,
        "Dispute resolved, credits returned: 25 credits",
        f"The dispute about y{PAYMENT} is resolved: your bank returned $25.00 to us.",
    ),
    (
        win_a_part,
        "Dispute resolved, credits returned: 9 credits",
        f"The dispute about y{PAYMENT} is resolved: your bank returned $9.00 to us.",
    ),
]


@pytest.mark.parametrize(("happens", "subject", "sentence"), NEWS, ids=[each[0].__name__ for each in NEWS])
def test_it_says_what_happened_to_the_money(pays, happens, subject, sentence):
    life = pays()
    happens(life)
    newest = mails()[-1]
    assert newest.subject == subject
    for part in (newest.text, newest.html):
        assert sentence.format(day=today()) in part
    assert newest.to == "anna@example.com"
    assert newest.fact == f"reversal:{Entry.objects.of_user(ANNA)[0].pk}"
    assert len(mails()) == Entry.objects.filter(kind__in=["clawback", "reinstatement"]).count()


def test_it_names_the_payment_and_the_balance(pays, give):
    give(ANNA, 1000)
    life = pays()
    life.refunds(10)
    [newest] = mails()
    facts = lines_of(newest.text)
    assert re.fullmatch(r"pi_\w{8}…\w{8}", facts.pop("Stripe payment"))
    assert facts.pop("Date").startswith(today())
    assert facts == {
        "Taken back": "10 credits",
        "Wallet of": "Anna <b>, Misar ID usr_anna",
        "Balance after": "1,015 credits",
        "Payment": f"$25.00, {today()}",
        "Top-up": life.topup.pk,
    }
    assert "owe" not in newest.text
    assert "Your wallet:\nhttp://testserver/wallet\n" in newest.text


def test_a_debt_is_named_with_what_it_means_and_how_to_pay_it(pays, spends):
    life = pays()
    spends(20)
    life.is_disputed()
    [newest] = mails()
    assert f"You owe 20 credits. {CANNOT_CHARGE}" in newest.text
    assert "Pay what you owe:\nhttp://testserver/wallet\n" in newest.text
    assert f"<strong>You owe 20 credits.</strong> {escape(CANNOT_CHARGE)}" in newest.html
    assert re.search(r'<a class="button" href="http://testserver/wallet">Pay what you owe</a>', newest.html)


def test_a_debt_beside_a_grant_is_told_with_what_can_be_spent(pays, spends):
    """Credits of grants never pay a debt. They are spent first, so the debt comes from what was paid."""
    life = pays()
    spends(20)
    grant(ANNA, 30)
    life.is_disputed()
    [newest] = mails()
    told = "Granted credits don't pay this; 10 of them can be spent now. Your next top-up pays it first."
    assert f"You owe 20 credits. {told}" in newest.text
    assert f"<strong>You owe 20 credits.</strong> {escape(told)}" in newest.html
    assert "Balance after: 10 credits" in newest.text


def test_credits_that_return_and_leave_a_debt_say_so(pays, spends):
    first, second = pays(), pays(10)
    spends(30)
    first.is_disputed()
    lost = second.refunds(10)
    second.happens(f"refunds/{lost}/fail")
    newest = mails()[-1]
    assert available_of(ANNA) == -20
    assert f"You still owe 20 credits. {CANNOT_CHARGE}" in newest.text


def test_credits_that_return_and_settle_a_debt_say_so(pays, spends):
    life = pays()
    spends(20)
    life.happens(f"disputes/{life.is_disputed()}/win")
    newest = mails()[-1]
    assert "You no longer owe anything, so Misar products can charge you again." in newest.text
    assert "You no longer owe anything" in newest.html
    assert "Returned: 25 credits" in newest.text


def test_credits_that_return_and_leave_nothing_promise_no_charge(pays, spends):
    life = pays()
    spends(25)
    life.happens(f"disputes/{life.is_disputed()}/win")
    assert "You no longer owe anything.\n" in mails()[-1].text


def test_a_refund_and_a_dispute_before_their_top_up_are_not_told_apart(stand_in, deliver, anna):
    session_id = stand_in.paid_session(user_id=ANNA)
    stand_in.sandbox.control(f"sessions/{session_id}/refund", amount=500)
    stand_in.sandbox.control(f"sessions/{session_id}/dispute", amount=700)
    for event in stand_in.events(session_id)[::-1]:
        assert deliver(event).status_code == 200
    [newest] = mails()
    assert available_of(ANNA) == 13
    assert newest.subject == "Payment refunded or disputed: 12 credits taken back"
    assert f"Your payment of $25.00 from {today()} was refunded or disputed." in newest.text


def test_a_refund_before_its_top_up_is_told(stand_in, deliver, anna):
    session_id = stand_in.paid_session(user_id=ANNA)
    stand_in.sandbox.control(f"sessions/{session_id}/refund", amount=500)
    for event in stand_in.events(session_id)[::-1]:
        deliver(event)
    [newest] = mails()
    assert f"$5.00 of your payment of $25.00 from {today()} was refunded" in newest.text


def test_of_two_refunds_each_is_told(pays):
    life = pays()
    life.refunds(10)
    life.refunds(5)
    assert [mail.subject for mail in mails()] == [
        "Payment refunded: 10 credits taken back",
        "Payment refunded: 5 credits taken back",
    ]
    assert "$5.00 of your payment" in mails()[1].text


def test_a_refund_and_a_dispute_of_one_payment_are_told_apart(pays):
    life = pays()
    life.refunds(10)
    life.is_disputed(15)
    assert [mail.subject for mail in mails()] == [
        "Payment refunded: 10 credits taken back",
        "Payment disputed: 15 credits taken back",
    ]


def test_a_refund_that_only_its_charge_reports_is_a_refund(stand_in, deliver, anna):
    life = Life(stand_in, deliver, user_id=ANNA)
    stand_in.sandbox.control(f"sessions/{life.session_id}/refund", amount=500)
    for event in stand_in.events(life.session_id):
        if event["type"] == "charge.refunded":
            deliver(event)
    [newest] = mails()
    assert newest.subject == "Payment refunded: 5 credits taken back"
    assert f"Money of your payment of $25.00 from {today()} was refunded to {WHERE_TO}." in newest.text


def test_the_ids_and_reasons_that_staff_read_are_not_in_it(pays):
    life = pays()
    life.is_disputed()
    [newest] = mails()
    reason = Entry.objects.of_user(ANNA)[0].reason
    assert reason.startswith("Dispute ")
    for part in (newest.subject, newest.text, newest.html):
        assert reason not in part
        assert "dp_" not in part


def test_events_that_come_often_send_one_mail(pays):
    life = pays()
    life.refunds(10)
    life.hear()
    life.hear()
    assert len(mails()) == 1


def test_a_user_without_an_address_or_with_the_switch_off_gets_none(pays, anna):
    outbox.set_switches(anna, set(outbox.KINDS) - {"reversal"})
    life = pays()
    life.refunds(10)
    type(anna).objects.update(email="", mails_off=[])
    life.refunds(5)
    assert mails() == []
    assert available_of(ANNA) == 10


def test_a_user_who_never_signed_in_gets_none(stand_in, deliver):
    Life(stand_in, deliver, user_id="usr_stranger").refunds(10)
    assert available_of("usr_stranger") == 15
    assert mails() == []


def test_a_template_that_is_missing_never_stops_a_clawback(pays, settings):
    life = pays()
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [], "APP_DIRS": False}]
    life.refunds(10)
    assert available_of(ANNA) == 15
    assert mails() == []


def test_hostile_names_are_text(pays):
    pays().refunds(10)
    [newest] = mails()
    assert "Anna &lt;b&gt;" in newest.html
    assert "<b>" not in newest.html


# --- The receipt of a top-up that pays a debt ---------------------------------------------------------


def newest_receipt():
    return OutgoingMail.objects.filter(kind="receipt").order_by("created_at").last()


def test_a_receipt_says_how_much_paid_a_debt(pays, spends):
    life = pays()
    assert "owe" not in newest_receipt().text
    spends(15)
    life.is_disputed()
    pays()
    for part in (newest_receipt().text, newest_receipt().html):
        assert "15 of 25 credits paid what you owed; your balance is 10." in part


def test_a_receipt_of_less_than_the_debt_says_what_is_still_owed(pays, spends):
    life = pays()
    spends(15)
    life.is_disputed()
    pays(10)
    words = "All of it paid what you owed, and you still owe 5 credits. Your next top-up pays this first."
    assert words in newest_receipt().text
    assert words in newest_receipt().html


def test_a_receipt_of_exactly_the_debt_says_so(pays, spends):
    life = pays()
    spends(25)
    life.is_disputed()
    pays()
    assert "All 25 credits paid what you owed; your balance is 0." in newest_receipt().text
