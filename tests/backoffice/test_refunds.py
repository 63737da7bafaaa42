"""Staff refund a top-up through Stripe: the form, its limits, and what becomes of a request."""

import secrets

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from accounts.models import Act
from tests.factories import StaffFactory, enter
from tests.wallet.conftest import forget_the_client, new_gateway, stand_in, start_topup  # noqa: F401
from wallet.books import ledger
from wallet.models import Entry, RefundRequest, StripeRefund

pytestmark = pytest.mark.django_db


def member_of(role):
    member = StaffFactory.create(is_superuser=False)
    member.groups.set(Group.objects.filter(name=role))
    return member


def signed_in(member):
    client = Client()
    enter(client, member)
    return client


def page_of(topup, name="refund"):
    return reverse(f"admin:wallet_topup_{name}", args=[quote(topup.pk)])


def send(client, topup, **fields):
    return client.post(page_of(topup), {"reason": "asked by mail", "key": secrets.token_hex(8)} | fields)


@pytest.fixture
def billing():
    return signed_in(member_of("billing"))


@pytest.fixture
def pay(stand_in, start_topup, deliver):  # noqa: F811
    """A user buys credits and Stripe's events about it arrive."""

    def paid(user_id="usr_1", dollars=25):
        topup = start_topup(user_id, dollars)
        stand_in.happens("pay", topup.stripe_session_id)
        report(stand_in, topup, deliver)
        topup.refresh_from_db()
        return topup

    return paid


def report(stand_in, topup, deliver):  # noqa: F811
    """Deliver all events that Stripe has about a top-up; those that arrived before do nothing."""
    for event in stand_in.events(topup.stripe_session_id):
        assert deliver(event).status_code == 200


def charge(credits, user_id="usr_1"):
    return ledger.debit(
        user_id=user_id, credits=credits, kind=Entry.Kind.DEDUCT, actor="service:wsk_test", product="blog"
    )


def errors_of(answer):
    return answer.context["form"].non_field_errors()


def test_a_refund_is_asked_for_and_the_books_follow_stripes_report(stand_in, pay, billing, deliver):  # noqa: F811
    topup = pay()
    answer = send(billing, topup, amount="10")
    assert answer.status_code == 302
    requested = RefundRequest.objects.get()
    assert (requested.state, requested.amount_cents, requested.topup_id) == ("made", 1000, topup.pk)
    assert ledger.balance_of("usr_1") == 25
    page = billing.get(reverse("admin:wallet_topup_change", args=[topup.pk]))
    assert "Stripe refunds $10.00." in page.text
    assert Act.objects.get().told == "Asked Stripe to refund $10.00."
    report(stand_in, topup, deliver)
    assert ledger.balance_of("usr_1") == 15
    assert StripeRefund.objects.get().pk == requested.stripe_refund_id
    page = billing.get(reverse("admin:wallet_topup_change", args=[topup.pk]))
    assert "Refunded $10.00" in page.text
    assert "Refunded $10.00" in billing.get(reverse("admin:one_user", args=["usr_5F1"])).text
