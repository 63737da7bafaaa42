"""The demonstration's refunded and disputed payments: written by the real verbs, and agreeing with Stripe."""

import pytest
from django.core.management import call_command

from accounts.models import OutgoingMail, User
from demo import reversed_payments
from demo.year_of_data import RATES
from tests.html import browser_of, table, words
from tests.wallet.conftest import forget_the_client
from wallet.books.funds import available_of
from wallet.models import Entry
from wallet.prices import rates

pytestmark = pytest.mark.django_db


@pytest.fixture
def seeded(sandbox, settings, monkeypatch):
    """The three users' histories, in our database and at the sandbox's Stripe."""
    forget_the_client()
    sandbox.control("reset")
    settings.MAIL_ENABLED = True
    monkeypatch.setenv("DATA_DIR", str(sandbox.data_dir))
    for feature, label, credits, unit in RATES:
        rates.set_rate(feature=feature, label=label, credits=credits, unit=unit, actor="sandbox")
    reversed_payments.seed()
    yield
    sandbox.control("reset")
    forget_the_client()


def story_of(user_id):
    kinds = ("topup", "clawback", "reinstatement")
    entries = Entry.objects.of_user(user_id).filter(kind__in=kinds).order_by("sequence")
    return [(entry.kind, entry.credits) for entry in entries]


def test_each_user_has_a_story_of_their_own(seeded):
    assert story_of("usr_mara") == [("topup", 50), ("clawback", -20)]
    assert story_of("usr_lena") == [("topup", 25), ("clawback", -25), ("reinstatement", 25)]
    assert story_of("usr_oskar") == [("topup", 25), ("clawback", -25)]
    balances = [available_of(user_id) for user_id in ("usr_mara", "usr_lena", "usr_oskar")]
    assert balances == [14, 11, -18]


@pytest.mark.django_db(transaction=True)
def test_stripe_and_the_books_agree(seeded):
    call_command("reconcile_stripe", "--since", "60d")  # Exits if it finds something.


def test_a_second_run_changes_nothing(seeded):
    before = list(Entry.objects.order_by("pk").values_list("pk", flat=True))
    reversed_payments.seed()
    assert list(Entry.objects.order_by("pk").values_list("pk", flat=True)) == before


def test_the_debtors_page_and_mail_say_what_happened(seeded):
    shown = words(browser_of(User.objects.get(pk=reversed_payments.DEBTOR)).get("/wallet"))
    assert "You owe 18 credits." in shown
    assert "Your bank disputed your payment of $25.00" in shown
    [mail] = OutgoingMail.objects.all()
    assert (mail.to, mail.subject) == ("oskar@example.com", "Payment disputed: 25 credits taken back")


def test_the_others_histories_say_what_happened(seeded):
    def told(user_id):
        page = browser_of(User.objects.get(pk=user_id)).get("/wallet?kind=payments")
        return [row[0] for row in table(page, "history_title")]

    assert told("usr_mara") == ["Payment refunded"]
    assert told("usr_lena") == ["Dispute resolved, credits returned", "Payment disputed"]
