"""What products and users do with a wallet: reads, charges, refunds, top-ups and events of Stripe."""

import json
from dataclasses import dataclass
from typing import Any

from tests.conftest import Sandbox, paid_checkout, signed
from tests.reference.story import Caller, Story
from wallet.books import ledger

USER = "usr_demo"
OTHER_USER = "usr_456"
FEATURE = "blog.article.generate"
WALLET = "/io/wallet"
SESSION = "cs_test_a1Kq0vXb3nW8sR2tYcUeLhZ5"
# What many operations answer alike.
NO_RIGHT = "The service key lacks the right"
NO_KEY = "The request has no service key"
NEITHER = "The request has neither a service key nor an access token"
WRONG_KEY = "The service key is unknown, revoked or expired"
NOT_YOURS = "A user asks for another user's"
AGAIN = "The same request again: the first answer, byte for byte"


@dataclass(frozen=True)
class Callers:
    """Who calls: a product with every right, one with keys that may do less, a user, and strangers."""

    blog: Caller
    reads_only: Caller
    charges_only: Caller
    mail_only: Caller  # May charge features that begin with `mail.`.
    wrong: Caller
    none: Caller
    user: Caller


def reads(story: Story, who: Callers) -> None:
    balance = story.operation("wallet_balance", "GET", f"{WALLET}/balance", user_id=USER)
    balance(who.blog, "as_product", "A product reads what a user can spend")
    balance(who.user, "as_user", "A user reads their own balance", but="user_id")
    balance(who.blog, "unknown_user", "A user without a wallet has 0 credits", user_id="usr_new")
    balance(who.blog, "invalid", "A product must name the user", 400, but="user_id")
    balance(who.none, "no_credentials", NEITHER, 401)
    balance(who.wrong, "wrong_credentials", WRONG_KEY, 403)
    balance(who.charges_only, "may_not_read", NO_RIGHT, 403)
    balance(who.user, "not_yours", f"{NOT_YOURS} balance", 403, user_id=OTHER_USER)

    funds = story.operation("wallet_funds", "GET", f"{WALLET}/funds", user_id=USER)
    funds(who.blog, "now", "What the user has now, with a grant and an open hold")
    funds(who.blog, "past", "What the user had at a past time", at="2026-06-02T10:16:00Z")
    funds(who.blog, "invalid", "The time has not come", 400, at="2027-01-01T00:00:00Z")
    funds(who.none, "no_credentials", NEITHER, 401)
    funds(who.charges_only, "may_not_read", NO_RIGHT, 403)
    funds(who.user, "not_yours", f"{NOT_YOURS} funds", 403, user_id=OTHER_USER)

    transactions = story.operation("wallet_transactions", "GET", f"{WALLET}/transactions", user_id=USER)
    page = transactions(who.blog, "first_page", "The newest transactions", limit=3)
    transactions(who.blog, "next_page", "The page after it", limit=3, cursor=page["nextCursor"])
    transactions(who.user, "as_user", "A user reads their own", but="user_id", limit=1)
    transactions(who.blog, "invalid", "The cursor is not one of this list", 400, cursor="abc")
    transactions(who.none, "no_credentials", NEITHER, 401)
    transactions(who.charges_only, "may_not_read", NO_RIGHT, 403)
    transactions(who.user, "not_yours", f"{NOT_YOURS} transactions", 403, user_id=OTHER_USER)


def rates(story: Story, who: Callers) -> None:
    table = story.operation("wallet_rates", "GET", f"{WALLET}/rates")
    table(who.none, "table", "Every active rate")


def charges(story: Story, who: Callers) -> None:
    """Charges and quotes. The user begins with 42 credits."""
    deduct = story.operation("wallet_deduct", "POST", f"{WALLET}/deduct", user_id=USER, feature=FEATURE)
    key: dict[str, Any] = {"idempotency_key": "article:my-post"}
    deduct(who.blog, "allowed", "The credits were taken", count=3, **key)
    deduct(who.blog, "replayed", AGAIN, count=3, **key)
    deduct(who.blog, "denied", "The user has too few credits: nothing was taken", count=500)
    deduct(who.blog, "invalid", "A field is not what it must be", 400, count="3")
    deduct(who.blog, "unknown_feature", "The feature has no active rate", 400, feature="blog.article.sing")
    deduct(who.none, "no_credentials", NO_KEY, 403)
    deduct(who.wrong, "wrong_credentials", WRONG_KEY, 403)
    deduct(who.reads_only, "may_not_charge", NO_RIGHT, 403)
    deduct(who.mail_only, "feature_not_allowed", "The service key is for other features", 403)
    deduct(who.blog, "key_reused", "The key was used for another count", 409, count=4, **key)

    quote = story.operation("wallet_quote", "POST", f"{WALLET}/quote", user_id=USER, feature=FEATURE)
    quote(who.blog, "allowed", "A charge would be made", count=2)
    quote(who.blog, "denied", "The user has too few credits", count=500)
    quote(who.blog, "invalid", "A field is out of range", 400, count=0)
    quote(who.blog, "unknown_feature", "The feature has no active rate", 400, feature="blog.article.sing")
    quote(who.none, "no_credentials", NO_KEY, 403)
    quote(who.reads_only, "may_not_charge", NO_RIGHT, 403)
    quote(who.mail_only, "feature_not_allowed", "The service key is for other features", 403)


def batches(story: Story, who: Callers) -> None:
    batch = story.operation("wallet_deduct_batch", "POST", f"{WALLET}/deduct/batch")

    def item(key: str, **fields: object) -> dict[str, object]:
        return {"user_id": USER, "feature": FEATURE, "idempotency_key": key, **fields}

    batch(
        who.blog,
        "charged",
        "Two charges were made, each with its own answer",
        items=[item("article:first"), item("article:second", count=2)],
    )
    batch(
        who.blog,
        "mixed",
        "One charge was made before, one is denied, one is refused",
        items=[
            item("article:first"),
            item("article:third", count=500),
            item("article:fourth", feature="blog.article.sing"),
        ],
    )
    batch(who.blog, "invalid", "A batch has 1 to 500 charges", 400, items=[])
    batch(who.none, "no_credentials", NO_KEY, 403, items=[item("article:fifth")])
    batch(who.reads_only, "may_not_charge", NO_RIGHT, 403, items=[item("article:fifth")])


def refunds(story: Story, who: Callers) -> None:
    """Gives the charge `article:my-post` back, in two parts."""
    refund = story.operation("wallet_refund", "POST", f"{WALLET}/refund", user_id=USER)
    charge: dict[str, Any] = {"charge_key": "article:my-post"}
    key: dict[str, Any] = {"idempotency_key": "undo:my-post"}
    part: dict[str, Any] = charge | key | {"credits": 1, "reason": "One picture could not be drawn."}
    refund(who.blog, "part", "A part of a charge was given back", **part)
    refund(who.blog, "replayed", AGAIN, **part)
    refund(who.blog, "invalid", "Two fields name the charge", 400, **part, hold_id="hold_77")
    refund(who.none, "no_credentials", NO_KEY, 403, **part)
    refund(who.charges_only, "may_not_refund", NO_RIGHT, 403, **part)
    refund(
        *(who.blog, "not_found", "Your product has no such charge of this user", 404),
        charge_key="article:another",
        idempotency_key="undo:another",
    )
    refund(who.blog, "key_reused", "The key was used for other credits", 409, **charge, **key, credits=2)
    over: dict[str, Any] = {"idempotency_key": "undo:more", "credits": 3}
    refund(who.blog, "nothing_left", "Less is left of the charge", 409, **charge, **over)
    refund(who.blog, "rest", "All that is left was given back", **charge, idempotency_key="undo:the-rest")
    deduct = story.operation("wallet_deduct", "POST", f"{WALLET}/deduct", user_id=USER, feature=FEATURE)
    deduct(
        *(who.blog, "key_ended", "The charge of this key was given back in full", 409),
        count=3,
        idempotency_key="article:my-post",
    )


def frozen(story: Story, who: Callers) -> None:
    """A frozen wallet refuses charges."""
    ledger.set_frozen(USER, frozen=True)
    deduct = story.operation("wallet_deduct", "POST", f"{WALLET}/deduct", user_id=USER, feature=FEATURE)
    deduct(who.blog, "frozen", "Staff froze the wallet: nothing was taken")
    ledger.set_frozen(USER, frozen=False)


def topups(story: Story, who: Callers, sandbox: Sandbox) -> None:
    topup = story.operation(
        *("wallet_topup_session", "POST", f"{WALLET}/topup-session"),
        user_id=USER,
        amountDollars=25,
        product="blog",
        returnUrl="/settings/credits",
    )
    topup(who.blog, "opened", "Send the user to this address to pay")
    topup(who.blog, "invalid", "Less than the least top-up", 400, amountDollars=5)
    topup(who.none, "no_credentials", NO_KEY, 403)
    topup(who.reads_only, "may_not_topup", NO_RIGHT, 403)
    sandbox.control("settings", api_failure=500)
    topup(who.blog, "stripe_out_of_reach", "Stripe does not answer: nothing was charged", 503)
    sandbox.control("settings", api_failure=None)


def webhooks(story: Story, who: Callers) -> None:
    """Stripe says that the user has paid for 25 credits."""
    receive = story.operation("wallet_webhook", "POST", f"{WALLET}/webhook")
    event = paid_checkout(SESSION, "evt_1RVm2QKb8sXo4TzY0cNwLpAe", user_id=USER)
    second = int(story.clock.now.timestamp())
    event["created"] = event["data"]["object"]["created"] = second
    body = json.dumps(event)
    signature = signed(body)
    story.show(signature, f"t={second},v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd")
    receive(who.none, "stored", "The event was stored", raw=body, headers={"Stripe-Signature": signature})
    receive(
        *(who.none, "invalid", "The signature is not one of Stripe", 400),
        raw=body,
        headers={"Stripe-Signature": "t=1,v1=0"},
    )
