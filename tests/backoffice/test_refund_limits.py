"""How much of top-ups staff may refund in 24 hours, by role, also with forms sent at the same time."""

from datetime import timedelta

import pytest

from accounts.actors import actor_of
from backoffice.credits import limits
from tests.backoffice.members import member_of, ready, signed_in
from tests.backoffice.refunds import errors_of, form_of, page_of, send
from tests.crowd import at_once
from tests.wallet import by_hand
from tests.wallet.resting import resting_triggers
from wallet.models import RefundRequest, StripeRefund, TopUp

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def usual_limits(settings):
    settings.STAFF_TOPUP_REFUND_CENTS_A_DAY = {"billing": 3000, "admin": 100_000}


@pytest.fixture
def member():
    return member_of("billing")


@pytest.fixture
def billing(member):
    return signed_in(member)


def words(left):
    return f"You may refund $30.00 of top-ups in 24 hours; {left} of it is left."


def test_up_to_the_limit_and_not_beyond_over_all_top_ups(pay, billing):
    one, two = pay(), pay(user_id="usr_2")
    assert send(billing, one).status_code == 302
    answer = send(billing, two, amount="5.01")
    assert errors_of(answer) == [words("$5.00")]
    assert answer.text.count(words("$5.00")) == 1
    assert send(billing, two, amount="5").status_code == 302
    assert errors_of(send(billing, two, amount="0.01")) == [words("$0.00")]
    assert RefundRequest.objects.count() == 2


def test_the_form_says_how_much_is_left(pay, billing):
    topup = pay()
    assert words("$30.00") in billing.get(page_of(topup)).text
    send(billing, topup, amount="10")
    assert words("$20.00") in billing.get(page_of(topup)).text


def test_colleagues_do_not_count_and_an_admin_has_a_larger_limit(pay, billing):
    topups = [pay(), pay()]
    assert send(billing, topups[0]).status_code == 302
    assert send(signed_in(member_of("billing")), topups[1], amount="10").status_code == 302
    assert send(signed_in(member_of("admin")), topups[1], amount="15").status_code == 302


def test_a_superuser_has_no_limit(pay, staff, settings):
    settings.STAFF_TOPUP_REFUND_CENTS_A_DAY = {}
    assert send(staff, pay(dollars=5000)).status_code == 302


def test_a_role_that_is_not_in_the_setting_may_refund_nothing(pay, billing, settings):
    settings.STAFF_TOPUP_REFUND_CENTS_A_DAY = {"admin": 1000}
    assert errors_of(send(billing, pay())) == ["Your role may not refund top-ups."]
    assert not RefundRequest.objects.exists()


def test_a_refund_that_stripe_refused_or_that_failed_does_not_count(stand_in, pay, member, billing, report):
    refused, failed = pay(), pay()
    stand_in.sandbox.control(f"sessions/{refused.stripe_session_id}/refund")
    assert send(billing, refused).status_code == 200
    assert limits.of_refunds(member) == limits.RefundAllowance(3000, 0)
    stand_in.misbehaves(refunds_pending=True)
    assert send(billing, failed).status_code == 302
    assert limits.of_refunds(member) == limits.RefundAllowance(3000, 2500)
    report(failed)
    assert limits.of_refunds(member) == limits.RefundAllowance(3000, 2500)
    stand_in.sandbox.control(f"refunds/{RefundRequest.objects.get(state='made').stripe_refund_id}/fail")
    report(failed)
    assert StripeRefund.objects.get(payment_intent_id=failed.payment_intent_id).has_ended
    assert limits.of_refunds(member) == limits.RefundAllowance(3000, 0)


@pytest.mark.parametrize(("hours", "counted"), [(23, 1000), (25, 0)])
def test_a_refund_counts_for_24_hours(give, member, hours, counted):
    give("usr_1", 25)
    by_hand.request_refund(
        topup=TopUp.objects.get(), amount_cents=1000, reason="x", actor=actor_of(member), form_key="k"
    )
    with resting_triggers():
        for requested in RefundRequest.objects.all():
            moved = RefundRequest.objects.filter(pk=requested.pk)
            moved.update(created_at=requested.created_at - timedelta(hours=hours))
    assert limits.of_refunds(member) == limits.RefundAllowance(3000, counted)


def test_the_same_form_is_not_counted_twice(pay, member, billing):
    topup, form = pay(), form_of(amount="20")
    for _ in range(3):
        assert billing.post(page_of(topup), form).status_code == 302
    assert limits.of_refunds(member) == limits.RefundAllowance(3000, 2000)


@pytest.mark.django_db(transaction=True)
def test_forms_sent_at_once_do_not_pass_the_limit_together(stand_in, pay, member):
    """Each form refunds $20 of $30 of another user's top-up, so no lock of a top-up puts them in order."""
    topups = [pay(user_id=f"usr_{number}") for number in range(4)]
    calls = [ready(signed_in(member), page_of(topup), form_of(amount="20")) for topup in topups]
    assert sorted(answer.status_code for answer in at_once(calls)) == [200, 200, 200, 302]
    assert limits.of_refunds(member) == limits.RefundAllowance(3000, 2000)
