"""A database in which every text and every amount is as long as the service accepts.

The texts are words without a place to break: of W, the widest Latin letter, of wide characters and emoji, of
a script that is written from right to left, and of characters that join to one, which no browser breaks.
"""

import json
import time
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts import api_keys, plans, service_keys, users
from accounts.models import ApiKey, Plan, User
from backoffice.actions import acts
from backoffice.credits import actions
from demo.made_up_past import clock_at
from monetization import sponsors, subscriptions, tips
from monetization.free_slots import links
from monetization.models import Sponsor, Subscription, Tip
from monetization.privacy import erasure
from tests.conftest import Caller
from tests.factories import StaffFactory
from tests.wallet import by_hand
from wallet.books import audits, days, ledger
from wallet.charges import budgets
from wallet.grants import granting
from wallet.grants.caps import Caps
from wallet.models import Audit, Entry, TopUp, Wallet
from wallet.payments import refund_requests
from wallet.prices import rates

LETTERS = ("ضغط", "龘🎉", "ᄀ", "W")  # The newest row of a list, which is opened, has the widest letters.
DAYS_BACK_MAX = 40  # So that last month and this month have entries.


def long(length: int, letters: str = "W") -> str:
    """A word of this length."""
    return (letters * length)[:length]


def joined(letters: str, length: int) -> str:
    """A word of letters that join to one grapheme cluster, which no browser breaks, between two others."""
    return f"x{long(length, letters)}x"


def address(length: int = 254) -> str:
    """An e-mail address of this length."""
    return f"{long(length - len('@example.com'))}@example.com"


def url(length: int = 2048) -> str:
    """A web address of this length, with the longest host name."""
    host = ".".join([long(63), long(63), long(63), long(61)])
    start = f"https://{host}/"
    return start + long(length - len(start))


MISAR_ID = f"usr_{long(251)}"
FEATURE = long(100)
PRODUCT = long(40)  # Of a service key.
TOPUP_PRODUCT = long(100)
CURRENCIES = "USD EUR GBP CHF JPY KWD ISK CLP SEK NOK DKK PLN CZK HUF RON BGN".split()


class LongestValues:
    """The rows, and the people to whom they belong."""

    def __init__(self, deliver: Any, checkout_event: Any) -> None:
        self.now = timezone.now()
        self.forms = 0
        self.staff = StaffFactory.create(misar_id=f"staff:{long(249)}", name=long(200), email=address())
        StaffFactory.create(misar_id=f"staff:{long(248)}2", name=long(200), email=address())
        self.actor = f"user:{self.staff.pk}"
        self.fill_prices_and_plans()
        for letters, misar_id in zip(LETTERS, self.misar_ids, strict=True):
            owner = users.arrive(misar_id=misar_id, name=long(200, letters), email=address())
            plans.assign(user=owner, plan=Plan.objects.get(pk=long(40)))
            self.fill_wallet(misar_id)
        ledger.set_frozen(self.misar_ids[0], frozen=True)
        self.creator = User.objects.get(pk=MISAR_ID)
        self.fill_dashboard()
        self.fill_payments(deliver, checkout_event)
        self.refund_a_part(deliver)
        self.dispute_a_payment(deliver)
        self.fill_acts()
        days.close_days(now=timezone.now())
        for kind in Audit.Kind:
            with audits.examination(kind, on_trouble=print) as audit:
                audit.seen_count = audit.found_count = 10**15
                audit.findings = [
                    {"law": long(100), "subject": MISAR_ID, "kind": long(100), "session_id": long(255)}
                ]
        empty = [model.__name__ for model in admin.site._registry if not model._default_manager.exists()]
        assert not empty, f"there is no row of {empty}"

    @property
    def misar_ids(self) -> list[str]:
        return [f"usr_{long(251, letters)}" for letters in LETTERS]

    @property
    def keys(self) -> dict[str, str]:
        """The path of a row below /dashboard/, by the first part of it."""
        rows = {
            "sponsors": self.sponsor,
            "subscriptions": Subscription.objects.latest("pk"),
            "tips": self.tip,
            "keys": ApiKey.objects.latest("created_at"),
        }
        return {name: f"{name}/{row.pk}" for name, row in rows.items()}

    @property
    def joined(self) -> dict[str, Tip | Sponsor | Subscription]:
        """The rows with letters that join, by the name of their kind."""
        return {
            "tip": Tip.objects.get(message__startswith="xᄀ"),
            "sponsor": Sponsor.objects.get(sponsor_name__startswith="xक"),
            "subscription": Subscription.objects.get(plan__startswith="x\u0600"),
        }

    def fill_prices_and_plans(self) -> None:
        setting: dict[str, Any] = {"credits": 10**9, "actor": self.actor}
        for number, letters in enumerate(LETTERS):
            feature = long(99, letters) + str(number)
            rates.set_rate(feature=feature, label=long(200, letters), unit=long(100, letters), **setting)
        rates.set_rate(feature=FEATURE, label=long(200), unit=long(100), **setting)
        plans.set_plan(
            slug=long(40),
            name=long(80),
            fee_bps=10_000,
            key_limit=2_147_483_647,
            actor=self.actor,
        )
        Group.objects.create(name=long(150))
        stopped, _ = service_keys.issue_service_key(product=long(39), feature_prefixes=[long(100)] * 3)
        service_keys.stop_product(stopped.product)

    def fill_wallet(self, user_id: str) -> None:
        """Credits of the size that a bigint holds, and charges of 10^15 each."""
        _, secret = service_keys.issue_service_key(product=PRODUCT, feature_prefixes=[long(100)] * 3)
        product = Caller({"x-wallet-service-key": secret})
        for days_ago in (DAYS_BACK_MAX, 2, 0):
            key = self.form_key()
            by_hand.sign(actor=self.actor, key=key, about=user_id)
            with clock_at(self.now - timedelta(days=days_ago)):
                ledger.credit(
                    user_id=user_id,
                    credits=2 * 10**15,
                    kind=Entry.Kind.ADJUSTMENT,
                    actor=self.actor,
                    idempotency_key=key,
                    product=PRODUCT,
                    reason=long(500),
                )
                charge = product.deduct(
                    user_id, feature=FEATURE, count=10**6, idempotency_key=f"{days_ago:02}{long(253)}"
                )
                assert charge.json()["allowed"], charge.content
        self.hold_credits(user_id, product)
        newest = Entry.objects.of_user(user_id).filter(kind=Entry.Kind.DEDUCT)[0]
        by_hand.give_back(entry=newest, credits=7, reason=long(500), key=self.form_key(), actor=self.actor)
        self.grant_and_limit(user_id)

    def grant_and_limit(self, user_id: str) -> None:
        """A grant of the product and one of staff, and budgets of which far more is spent than they allow."""
        for product, letters in ((PRODUCT, "W"), ("", "龘🎉")):
            by_hand.grant(
                user_id=user_id,
                credits=granting.CREDITS_MAX,
                expires_at=self.now + timedelta(days=1800),
                reason=long(200, letters),
                key=self.form_key(),
                product=product,
                actor=self.actor,
                caps=Caps(10**9, 10**15) if product else None,
            )
        for set_by, product in (("user", ""), ("user", PRODUCT), ("product", PRODUCT)):
            budgets.set_budget(
                user_id=user_id,
                set_by=set_by,
                product=product,
                period="month",
                credits=budgets.CREDITS_MAX,
            )

    def hold_credits(self, user_id: str, product: Caller) -> None:
        """A hold that was captured, and an open one."""
        for name in ("captured", "open"):
            body = {"user_id": user_id, "feature": FEATURE, "count": 10**6, "ttl_seconds": 604_800}
            answer = product.post("/io/wallet/holds", body | {"idempotency_key": f"{name}{long(240)}"})
            assert answer.json()["allowed"], answer.content
            if name == "captured":
                path = f"/io/wallet/holds/{answer.json()['holdId']}/capture"
                assert product.post(path, {"user_id": user_id}).status_code == 200

    def fill_dashboard(self) -> None:
        """What a creator's server records through the API."""
        _, secret = api_keys.issue(
            owner=self.creator, name=long(80), scopes=list(api_keys.SCOPES), within_limit=False
        )
        server = Caller({"Authorization": f"Bearer {secret}"})
        server.client.get(f"/v1/{long(300)}", headers=server.headers | {"X-Request-ID": long(128)})

        def record(path: str, **body: Any) -> dict[str, Any]:
            answer = server.post(f"/v1/monetization/{path}", body)
            assert answer.status_code in (200, 201), answer.content
            return answer.json()

        erased = {"amount_cents": 50, "email": "erased@example.com", "name": long(200)}
        record("tip", **erased)
        erasure.erase("erased@example.com", actor=self.actor)
        for currency in CURRENCIES:
            record("tip", amount_cents=100_000, currency=currency)
        # Other letters that join. An id may not contain them all.
        words = {"name": joined("👩\u200d", 198), "message": joined("ᄀ", 498)}
        record("tip", amount_cents=50, email="a@example.com", **words)
        record(
            "sponsors",
            sponsor_name=joined("क्", 198),
            logo_url="https://example.com/logo.png",
            target_url="https://example.com/",
            position="inline",
            active_from=self.now.isoformat(),
            active_until=(self.now + timedelta(days=1)).isoformat(),
            price_cents=50,
            currency="USD",
        )
        record(
            "subscriptions",
            subscriber_email="a@example.com",
            plan=joined("\u0600", 98),
            amount_cents=50,
            currency="USD",
            stripe_subscription_id="sub_joined",
        )
        for number, letters in enumerate(LETTERS):
            record(
                "tip",
                amount_cents=100_000,
                name=long(200, letters),
                email=address(254 - number),
                message=long(500, letters),
                stripe_payment_id=f"pi_{number}{long(251)}",
            )
            for position in ("header", "footer", "inline"):
                record(
                    "sponsors",
                    sponsor_name=long(200, letters),
                    logo_url=url(),
                    target_url=url(),
                    position=position,
                    active_from=(self.now + timedelta(days=1 + number)).isoformat(),
                    active_until=(self.now + timedelta(days=2 + 9 * number)).isoformat(),
                    price_cents=99_999_999,
                    currency="JPY" if number == 1 else "USD",
                )
            record(
                "subscriptions",
                subscriber_email=address(254 - number),
                plan="Yearly " + long(93, letters),
                amount_cents=99_999_999,
                currency="USD",
                stripe_subscription_id=f"sub_{number}{long(250)}",
            )
        self.sponsor = sponsors.place(
            creator=self.creator,
            sponsor_name=long(200),
            logo_url=url(),
            target_url=url(),
            position="footer",
            active_from=self.now - timedelta(days=1),
            active_until=self.now + timedelta(days=90),
            price_cents=99_999_999,
            currency="USD",
        )
        self.free_slots_token = links.token_of(links.make(creator=self.creator, title=long(100)))
        newest: dict[str, Any] = {"creator": self.creator}
        late = Subscription.objects.latest("pk")
        subscriptions.change(subscription_id=late.pk, status="past_due", plan=f"Weekly {long(93)}", **newest)
        self.tip = Tip.objects.latest("pk")
        for key in ("1", "2"):
            tips.refund(
                tip_id=self.tip.pk,
                amount_cents=33_333,
                reason=long(500),
                key=key + long(254),
                actor=self.actor,
            )

    def fill_payments(self, deliver: Any, checkout_event: Any) -> None:
        """An open checkout, two payments that were credited, two for staff, and a foreign event."""
        product = Caller({"x-wallet-service-key": service_keys.issue_service_key(product=PRODUCT)[1]})
        body = {
            "user_id": MISAR_ID,
            "amountDollars": 100_000,
            "product": TOPUP_PRODUCT,
            "returnUrl": "/wallet",
        }
        answer = product.post("/io/wallet/topup-session", body)
        assert answer.status_code == 200, answer.content
        payment: dict[str, Any] = {
            "user_id": MISAR_ID,
            "amount_total": 10_000_000,
            "metadata": {"type": "wallet_topup", "user_id": MISAR_ID, "product": TOPUP_PRODUCT},
        }
        for number, currency in enumerate(("usd", "eur", "jpy", "usd")):
            event = checkout_event(
                session_id=f"cs_test_{number}{long(246)}",
                event_id=f"evt_{number}{long(250)}",
                payment_intent=f"pi_{number}{long(251)}",
                currency=currency,
                **payment,
            )
            assert deliver(event).status_code == 200
        other = {"id": f"evt_9{long(250)}", "object": "event", "type": long(255), "created": int(time.time())}
        assert deliver(json.loads(json.dumps(other | {"data": {"object": {}}}))).status_code == 200

    def refund_a_part(self, deliver: Any) -> None:
        """Staff asked for a refund, and Stripe reports another one, with a status and a reason of its own."""
        topup = TopUp.objects.get(payment_intent_id=f"pi_0{long(251)}")
        key = self.form_key()
        refund_requests.request(
            topup=topup,
            amount_cents=5_000_000,
            accepted_debt=10**15,
            reason=long(500),
            key=key,
            actor=self.actor,
        )
        by_hand.sign(actor=self.actor, key=key, model="wallet.topup", row_id=topup.pk)
        refund = {
            "id": f"re_{long(252)}",
            "object": "refund",
            "amount": 100,
            "charge": f"ch_{long(252)}",
            "created": int(time.time()),
            "currency": "usd",
            "payment_intent": topup.payment_intent_id,
            "reason": long(100),
            "status": long(50),
        }
        event = {"id": f"evt_7{long(250)}", "object": "event", "created": int(time.time()), "livemode": False}
        of_a_refund = {"type": "refund.created", "data": {"object": refund}}
        assert deliver(event | of_a_refund).status_code == 200

    def dispute_a_payment(self, deliver: Any) -> None:
        """The bank takes the money of the first payment that was credited."""
        now = int(time.time())
        taken = {"id": f"txn_{long(251)}", "amount": -10_000_000, "currency": "usd"}
        dispute = {
            "id": f"dp_{long(252)}",
            "object": "dispute",
            "amount": 10_000_000,
            "balance_transactions": [taken],
            "charge": f"ch_{long(252)}",
            "created": now,
            "currency": "usd",
            "livemode": False,
            "payment_intent": f"pi_0{long(251)}",
            "reason": long(100),
            "status": "needs_response",
        }
        event = {"id": f"evt_8{long(250)}", "object": "event", "created": now, "livemode": False}
        of_a_dispute = {"type": "charge.dispute.funds_withdrawn", "data": {"object": dispute}}
        assert deliver(event | of_a_dispute).status_code == 200

    def form_key(self) -> str:
        """Return the key of another form, as long as it can be. Each form has its own act."""
        self.forms += 1
        return f"{self.forms:03}{long(61)}"

    def fill_acts(self) -> None:
        wallet = Wallet.objects.get(pk=MISAR_ID)
        form_data = {"credits": 100_000, "reason": long(500), "key": long(64)}
        acts.perform(
            staff=self.staff,
            permission="wallet.adjust_wallet",
            page="wallet",
            verb="adjust",
            label="Adjust the balance",
            reason=long(500),
            form_key=long(64),
            form_data={},
            run=lambda: acts.Done(wallet, actions.adjust(wallet, form_data, self.staff), wallet.pk),
        )
