"""With a third of Stripe's webhooks lost, `reconcile_stripe --apply` reaches the books of a run without loss.

The sandbox sends real webhooks to the service. The same history is played twice, by other users.
"""

import json
import random
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from tests.deployment import eventually
from wallet.books import laws
from wallet.models import Entry, Payment, StripeDispute, StripeEvent, StripeRefund, TopUp, Wallet
from wallet.payments import reported
from wallet.payments.reconciliation import facts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_on_its_way")]

USERS = 30


def reconcile(*options):
    out = StringIO()
    try:
        call_command("reconcile_stripe", "--json", "--since", "1d", *options, stdout=out)
    except SystemExit as end:
        return end.code, json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


class History:
    """The payments of many users, their refunds and their disputes: the same for the same seed."""

    def __init__(self, stand_in, start_topup, seed):
        self.stand_in, self.start_topup = stand_in, start_topup
        self.dice = random.Random(seed)  # noqa: S311 (no secret)

    def play(self, name):
        for number in range(USERS):
            topup = self.start_topup(f"{name}_{number}", 10 + number)
            self.payment(topup.stripe_session_id)
        # Let the service answer every webhook that is not lost.
        eventually(lambda: not any(each["state"] == "waiting" for each in self.stand_in.look("deliveries")))

    def payment(self, session_id):
        ending = self.dice.choice(["pay", "pay", "pay", "pay", "pay_later", "expire", "fail", "leave"])
        if ending == "leave":
            return
        for verb in {"fail": ["pay_later", "fail"]}.get(ending, [ending]):
            self.stand_in.happens(verb, session_id)
        if ending == "pay_later":  # Left alone, the sandbox would settle it in the middle of the test.
            self.stand_in.happens("settle", session_id)
        elif ending != "pay":
            return
        for _ in range(self.dice.choice([0, 1, 2])):
            self.refund(session_id)
        if self.dice.random() < 0.4:
            self.dispute(session_id)

    def refund(self, session_id):
        amount = self.dice.choice([1, 99, 100, 250, 401])
        status = self.dice.choice(["succeeded", "pending", "requires_action"])
        refund = self.control(f"sessions/{session_id}/refund", amount=amount, status=status)
        endings = {
            "succeeded": ["", "fail"],
            "pending": ["", "succeed", "fail"],
            "requires_action": ["", "cancel"],
        }
        if verb := self.dice.choice(endings[status]):
            self.control(f"refunds/{refund['id']}/{verb}")

    def dispute(self, session_id):
        kind = self.dice.choice(["chargeback", "chargeback", "inquiry", "prevented"])
        dispute = self.control(f"sessions/{session_id}/dispute", kind=kind)
        if kind == "inquiry" and self.dice.random() < 0.5:
            self.control(f"disputes/{dispute['id']}/escalate")
            kind = "chargeback"
        if kind == "chargeback" and (verb := self.dice.choice(["", "win", "lose", "win_part"])):
            body = {"amount": 150} if verb == "win_part" else {}
            self.control(f"disputes/{dispute['id']}/{verb}", **body)

    def control(self, path, **body: Any):
        return self.stand_in.sandbox.control(path, **body)


def books_of(name):
    """The books by users and amounts: ids of Stripe and of ours differ from one playing to the next."""
    by_user: dict[str, Any] = {}
    for topup in TopUp.objects.filter(user_id__startswith=name):
        intent = topup.payment_intent_id
        session_id = topup.stripe_session_id or ""
        by_user[topup.user_id.removeprefix(name)] = {
            "state": topup.state,
            "paid": (topup.paid_cents, bool(topup.entry_id), bool(intent)),
            "balance": Wallet.objects.filter(pk=topup.user_id).values_list("balance", flat=True).first(),
            "credits": Entry.objects.of_payment(user_id=topup.user_id, session_id=session_id),
            "left": reported.of_topup(topup).left_of(topup.paid_cents or 0),
            "payments": sorted(
                Payment.objects.filter(pk__in=[session_id, intent]).values_list("state", flat=True)
            ),
            "refunds": sorted(
                StripeRefund.objects.filter(payment_intent_id=intent).values_list("amount_cents", "status")
            ),
            "disputes": sorted(
                (each.status, each.amount_cents, sorted(each.movements.values()))
                for each in StripeDispute.objects.filter(payment_intent_id=intent)
            ),
        }
    return by_user


@pytest.mark.parametrize("seed", [1, 2])
def test_a_third_of_the_webhooks_is_lost_and_the_books_are_the_same(live_server, stand_in, start_topup, seed):
    for name, share in (("all", 0), ("lossy", 0.34)):
        stand_in.misbehaves(drop_webhooks=False, drop_share=share)
        History(stand_in, start_topup, seed).play(name)
    states = [each["state"] for each in stand_in.look("deliveries")]
    assert 0.1 < states.count("dropped") / len(states) < 0.25  # A third of the second half.
    arrived = books_of("all")
    assert books_of("lossy") != arrived

    rows = every_row()
    code, report = reconcile()
    assert code == 1
    # Refunds of a payment that is not credited follow when it is credited.
    subjects = {each["stripe_id"] for each in report["findings"] if each["remark"] != facts.NO_TOPUP}
    assert every_row() == rows

    code, report = reconcile("--apply")
    assert code == 0, report
    assert {each["stripe_id"] for each in report["findings"]} >= subjects
    assert {each["user_id"].partition("_")[0] for each in report["findings"]} == {"lossy"}
    assert books_of("all") == arrived
    assert books_of("lossy") == arrived
    assert laws.violations() == []

    rows = every_row()
    for options in ((), ("--apply",)):
        code, report = reconcile(*options)
        assert (code, report["findings"]) == (0, [])
    assert every_row() == rows


def every_row():
    models = (Entry, TopUp, Payment, StripeRefund, StripeDispute, StripeEvent, Wallet)
    return [list(model.objects.order_by("pk").values()) for model in models]
