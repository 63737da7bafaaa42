"""The lists and actions for creators' records. Actions use the same domain functions as the API."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils import timezone

from accounts.models import Act, PlanChange
from monetization import sponsors, subscriptions, tips
from monetization.models import Earner, Erasure, Refund, Subscription, Tip
from tests.factories import UserFactory

NIGHT = datetime(2026, 12, 8, tzinfo=UTC)
MODELS = ["earner", "sponsor", "subscription", "subscriptionevent", "tip", "refund", "erasure"]


@pytest.fixture
def earner(db):
    return UserFactory.create()


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


def run_action(staff, page, row, **fields):
    """Open the page of a staff action and send its form."""
    url = reverse(f"admin:monetization_{page}", args=[quote(row.pk)])
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
            url = reverse(f"admin:monetization_{name}_{page}", args=[quote(row.pk)])
            assert staff.post(url, {"gross_cents": "1", "post": "yes"}).status_code == 403


def test_a_refund_is_recorded_with_a_reason_and_the_fee_goes_back(staff, tip):
    assert run_action(staff, "tip_refund", tip, amount_cents="333").status_code == 302
    made = Refund.objects.get()
    assert (made.amount_cents, made.fee_returned_cents, made.reason) == (333, 17, "asked by mail")
    assert made.actor.startswith("user:staff:")
    assert "asked by mail" in Act.objects.get().reason


def test_a_refund_beyond_the_tip_is_refused_on_the_form(staff, tip):
    answer = run_action(staff, "tip_refund", tip, amount_cents="1000")
    assert answer.status_code == 200
    assert "999 of this tip are left" in answer.text
    assert not Refund.objects.exists()


def test_the_same_refund_form_sent_twice_refunds_once(staff, tip):
    url = reverse("admin:monetization_tip_refund", args=[tip.pk])
    form = {"reason": "twice", "key": staff.get(url).context["form"].initial["key"], "amount_cents": "100"}
    for _ in range(2):
        staff.post(url, form)
    assert Tip.objects.get().refunded_cents == 100


def test_a_change_of_status_leaves_an_event(staff, subscription):
    assert run_action(staff, "subscription_status", subscription, status="cancelled").status_code == 302
    assert Subscription.objects.get().status == "cancelled"
    assert [event.kind for event in subscription.events.order_by("pk")] == ["created", "cancelled"]


def test_a_reader_is_erased_and_the_act_does_not_name_them(staff, tip, subscription):
    assert run_action(staff, "tip_erase-reader", tip).status_code == 302
    assert Tip.objects.get().name == ""
    assert "alex" not in Subscription.objects.get().subscriber_email
    assert Erasure.objects.get().tips == 1
    assert "alex" not in Act.objects.get().reason.lower()


def test_a_plan_is_changed_and_every_setting_is_kept(staff):
    url = reverse("admin:accounts_plan_set", args=["pro"])
    shown = staff.get(url).context["form"].initial
    assert (shown["name"], shown["fee_bps"], shown["key_limit"]) == ("Pro", 400, 5)
    form = {"name": "Pro", "fee_bps": "350", "key_limit": "", "reason": "agreed", "key": "k"}
    assert staff.post(url, form).status_code == 302
    assert Act.objects.get().told == "Pro: fee from 4.00% to 3.50%; API keys from 5 to any number."
    kept = PlanChange.objects.filter(slug="pro").order_by("pk")
    assert [change.fee_bps for change in kept] == [400, 350]
    assert kept[1].actor.startswith("user:staff:")


def test_a_fee_above_100_percent_is_refused_on_the_form(staff):
    url = reverse("admin:accounts_plan_set", args=["pro"])
    form = {"name": "Pro", "fee_bps": "10001", "key_limit": "5", "reason": "agreed", "key": "k"}
    assert "less than or equal to 10000" in staff.post(url, form).text
    assert PlanChange.objects.filter(slug="pro").count() == 1


def test_a_user_is_moved_to_another_plan_with_a_reason(staff, earner):
    url = reverse("admin:accounts_user_plan", args=[quote(earner.pk)])
    key = staff.get(url).context["form"].initial["key"]
    assert staff.post(url, {"plan": "max", "reason": "upgraded", "key": key}).status_code == 302
    earner.refresh_from_db()
    assert earner.plan_id == "max"
    assert Act.objects.get().told == "Moved from Free (fee 5.00%) to Max (fee 3.00%)."
    again = staff.post(url, {"plan": "max", "reason": "upgraded", "key": "another"})
    assert "nothing would change" in again.text


def test_a_plan_is_added_once(staff):
    form = {"slug": "team", "name": "Team", "fee_bps": "250", "key_limit": "20", "reason": "new", "key": "k"}
    assert staff.post(reverse("admin:accounts_plan_add"), form).status_code == 302
    assert Act.objects.get().told == "Made Team: fee 2.50%, API keys 20."
    again = staff.post(reverse("admin:accounts_plan_add"), form | {"key": "k2", "fee_bps": "100"})
    assert "There is a plan team already" in again.text
    assert PlanChange.objects.filter(slug="team").count() == 1


def test_staff_switch_a_creators_rule_and_see_what_overlaps(staff, earner):
    now = timezone.now()
    facts: dict[str, Any] = {
        "logo_url": "https://a.example/l.png",
        "target_url": "https://a.example",
        "currency": "USD",
    }
    for name in ("Acme", "Globex"):
        period: dict[str, Any] = {"active_from": now, "active_until": now + timedelta(days=7)}
        placed = sponsors.place(creator=earner, position="header", sponsor_name=name, **period, **facts)
    row = Earner.objects.get()
    page = staff.get(reverse("admin:monetization_earner_change", args=[quote(row.pk)]))
    assert "Acme and Globex in the header" in page.text
    assert "Acme and Globex in the header" in run_action(staff, "earner_rule", row, on="on").text
    sponsors.cancel(creator=earner, sponsor_id=placed.pk)
    assert run_action(staff, "earner_rule", row, on="on").status_code == 302
    assert Earner.objects.get().one_sponsor_at_a_time is True


@pytest.mark.parametrize(
    ("ends", "last"), [(NIGHT, "7 Dec 2026"), (NIGHT + timedelta(hours=9.5), "8 Dec 2026, 09:30")]
)
def test_placements_are_shown_by_days_as_their_creators_see_them(staff, earner, ends, last):
    placed = sponsors.place(
        creator=earner,
        position="header",
        sponsor_name="Acme",
        active_from=datetime(2026, 12, 1, tzinfo=UTC),
        active_until=ends,
        logo_url="https://a.example/l.png",
        target_url="https://a.example",
        currency="USD",
    )
    row = re.compile(rf"1 Dec 2026</(td|dd)>.*?{re.escape(last)}</\1>", re.DOTALL)
    for page in (
        reverse("admin:monetization_sponsor_changelist"),
        reverse("admin:monetization_sponsor_change", args=[quote(placed.pk)]),
    ):
        assert row.search(staff.get(page).text), page


def test_a_full_refund_sent_twice_refunds_once(staff, tip):
    url = reverse("admin:monetization_tip_refund", args=[tip.pk])
    form = {"reason": "twice", "key": staff.get(url).context["form"].initial["key"], "amount_cents": ""}
    assert [staff.post(url, form).status_code for _ in range(2)] == [302, 302]
    assert Refund.objects.count() == 1
    assert staff.get(url).status_code == 404


def test_a_change_by_staff_holds_though_another_hosts_clock_was_ahead(staff, subscription):
    ahead = timezone.now() + timedelta(minutes=4)
    Subscription.objects.filter(pk=subscription.pk).update(status_at=ahead)
    answer = run_action(staff, "subscription_status", subscription, status="cancelled")
    assert answer.status_code == 302
    assert Subscription.objects.get(pk=subscription.pk).status == "cancelled"
