"""The back-office of monetization: money is looked at, and changed by the same verbs as the API."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from accounts.models import PlanChange
from monetization import subscriptions, tips
from monetization.models import Erasure, Refund, Subscription, Tip
from tests.factories import UserFactory

MODELS = ["sponsor", "subscription", "subscriptionevent", "tip", "refund", "erasure"]


@pytest.fixture
def earner(db):
    return UserFactory()


@pytest.fixture
def tip(earner):
    return tips.record(
        creator=earner, amount_cents=999, email="Alex@example.com", name="Alex", stripe_payment_id="pi_1"
    )


@pytest.fixture
def subscription(earner):
    return subscriptions.record(
        creator=earner, subscriber_email="alex@example.com", plan="monthly", amount_cents=799, currency="USD"
    )


def verb(staff, page, row, **fields):
    """Open the page of a verb and send its form."""
    url = reverse(f"admin:monetization_{page}", args=[row.pk])
    key = staff.get(url).context["form"].initial["key"]
    return staff.post(url, {"reason": "asked by mail", "key": key} | fields)


@pytest.mark.parametrize("model", MODELS)
def test_every_list_opens_and_nothing_can_be_added(staff, tip, subscription, model):
    assert staff.get(reverse(f"admin:monetization_{model}_changelist")).status_code == 200
    assert staff.post(reverse(f"admin:monetization_{model}_add"), {}).status_code == 403


@pytest.mark.parametrize("term", ["pi_1", "alex@example.com"])
def test_a_stripe_id_and_an_address_find_a_tip(staff, tip, term):
    page = staff.get(reverse("admin:monetization_tip_changelist"), {"q": term})
    assert page.context["cl"].result_count == 1


def test_no_row_can_be_edited_or_deleted(staff, tip, subscription):
    for name, row in (("tip", tip), ("subscription", subscription)):
        for page in ("change", "delete"):
            url = reverse(f"admin:monetization_{name}_{page}", args=[row.pk])
            assert staff.post(url, {"gross_cents": "1", "post": "yes"}).status_code == 403


def test_a_refund_is_recorded_with_a_reason_and_the_fee_goes_back(staff, tip):
    assert verb(staff, "tip_refund", tip, amount_cents="333").status_code == 302
    made = Refund.objects.get()
    assert (made.amount_cents, made.fee_returned_cents, made.reason) == (333, 17, "asked by mail")
    assert made.actor.startswith("user:staff:")
    assert "asked by mail" in LogEntry.objects.get().change_message


def test_a_refund_beyond_the_tip_is_refused_on_the_form(staff, tip):
    answer = verb(staff, "tip_refund", tip, amount_cents="1000")
    assert answer.status_code == 200
    assert "999 of this tip are left" in answer.text
    assert not Refund.objects.exists()


def test_the_same_refund_form_sent_twice_refunds_once(staff, tip):
    url = reverse("admin:monetization_tip_refund", args=[tip.pk])
    form = {"reason": "twice", "key": staff.get(url).context["form"].initial["key"], "amount_cents": "100"}
    for _ in range(2):
        staff.post(url, form)
    assert Tip.objects.get().refunded_cents == 100


def test_a_status_is_changed_by_the_verb_and_leaves_an_event(staff, subscription):
    assert verb(staff, "subscription_status", subscription, status="cancelled").status_code == 302
    assert Subscription.objects.get().status == "cancelled"
    assert [event.kind for event in subscription.events.order_by("pk")] == ["created", "cancelled"]


def test_a_reader_is_erased_and_the_log_does_not_say_who(staff, tip, subscription):
    assert verb(staff, "tip_erase-reader", tip).status_code == 302
    assert Tip.objects.get().name == ""
    assert "alex" not in Subscription.objects.get().subscriber_email
    assert Erasure.objects.get().tips == 1
    assert "alex" not in LogEntry.objects.get().change_message.lower()


def test_a_plan_is_set_through_its_verb_and_every_setting_is_kept(staff):
    url = reverse("admin:accounts_plan_change", args=["pro"])
    staff.post(url, {"name": "Pro", "fee_bps": "350", "key_limit": "5"})
    kept = PlanChange.objects.filter(slug="pro").order_by("pk")
    assert [change.fee_bps for change in kept] == [400, 350]
    assert kept.last().actor.startswith("user:staff:")


def test_a_fee_above_the_whole_is_refused_on_the_form(staff):
    url = reverse("admin:accounts_plan_change", args=["pro"])
    assert staff.post(url, {"name": "Pro", "fee_bps": "10001", "key_limit": "5"}).status_code == 200
    assert PlanChange.objects.filter(slug="pro").count() == 1


def test_a_user_is_moved_to_another_plan_with_a_reason(staff, earner):
    url = reverse("admin:accounts_user_plan", args=[earner.pk])
    key = staff.get(url).context["form"].initial["key"]
    assert staff.post(url, {"plan": "max", "reason": "upgraded", "key": key}).status_code == 302
    earner.refresh_from_db()
    assert earner.plan_id == "max"
