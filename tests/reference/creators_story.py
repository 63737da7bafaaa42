"""What a creator's server, and the creator's browser, do with the endpoints under /mail/v1."""

from dataclasses import dataclass
from typing import Any

from accounts.models import User
from monetization import sponsors
from tests.reference.story import Caller, Story

MAIL = "/mail/v1"
MONEY = f"{MAIL}/monetization"
NO_CREDENTIAL = "The request has no credential that counts here"
NO_SCOPE = "The key lacks the scope"
NO_SESSION = "Keys are for the dashboard's session alone"
NO_TOKEN = "The session's CSRF token is missing"
AGAIN = "The same Stripe id again: the first answer, and nothing is recorded twice"
SAME_KEY = "The same Idempotency-Key and body again: the first answer"
KEY_USED = "The Idempotency-Key was used for another body"
KEY = {"Idempotency-Key": "invoice-in_1OaBcDe"}


@dataclass(frozen=True)
class Callers:
    """Who calls: a key with the scope `monetization`, one with another scope, browsers, and a stranger."""

    key: Caller
    contacts_key: Caller
    browser: Caller
    forgetful_browser: Caller  # Without its CSRF token.
    none: Caller


def tips(story: Story, who: Callers) -> None:
    tip = story.operation(
        *("tip", "POST", f"{MONEY}/tip"),
        amount_cents=500,
        currency="USD",
        email="alex@example.com",
        name="Alex",
        message="Love your weekly deep-dives",
        stripe_payment_id="pi_3OaBcDeFgHiJkL",
    )
    tip(who.key, "recorded", "The tip was recorded, with its fee")
    tip(who.key, "replayed", AGAIN)
    invalid: dict[str, Any] = {"amount_cents": 49, "currency": "dollars"}
    tip(who.key, "invalid", "Every wrong field is named", 400, **invalid)
    tip(who.none, "no_credentials", NO_CREDENTIAL, 401)
    tip(who.contacts_key, "missing_scope", NO_SCOPE, 403)
    tip(
        who.key, "recorded_otherwise", "The Stripe id was recorded with another amount", 409, amount_cents=900
    )
    other: dict[str, Any] = {"stripe_payment_id": "pi_3PzYxWvUtSrQpO"}
    tip(who.key, "recorded_with_a_key", "A tip with an Idempotency-Key", headers=KEY, **other)
    tip(who.key, "key_reused", KEY_USED, 409, headers=KEY, **other, amount_cents=900)

    listed = story.operation("tips_list", "GET", f"{MONEY}/tips")
    listed(who.key, "first_page", "The newest tips, and the next page in `Link`", limit=1)
    listed(who.key, "everything", "Every tip on one page")
    listed(who.key, "invalid", "A limit is 1 to 1000", 400, limit=0)
    listed(who.none, "no_credentials", NO_CREDENTIAL, 401)
    listed(who.contacts_key, "missing_scope", NO_SCOPE, 403)


def subscriptions(story: Story, who: Callers) -> None:
    create = story.operation(
        *("subscriptions_create", "POST", f"{MONEY}/subscriptions"),
        subscriber_email="reader@example.com",
        plan="monthly",
        amount_cents=799,
        currency="USD",
        stripe_subscription_id="sub_1OaBcDeFgHiJkL",
    )
    made = create(who.key, "recorded", "The subscription was recorded", 201)["data"]["id"]
    create(who.key, "replayed", AGAIN, 201)
    create(who.key, "invalid", "A field is missing", 400, but="plan")
    create(who.none, "no_credentials", NO_CREDENTIAL, 401)
    create(who.contacts_key, "missing_scope", NO_SCOPE, 403)
    create(
        who.key, "recorded_otherwise", "The Stripe id was recorded at another price", 409, amount_cents=899
    )
    other: dict[str, Any] = {
        "stripe_subscription_id": "sub_1PzYxWvUtSrQpO",
        "subscriber_email": "rosa@example.com",
    }
    create(who.key, "recorded_with_a_key", "One with an Idempotency-Key", 201, headers=KEY, **other)
    create(who.key, "key_reused", KEY_USED, 409, headers=KEY, **other, amount_cents=899)

    listed = story.operation("subscriptions_list", "GET", f"{MONEY}/subscriptions")
    listed(who.key, "first_page", "The newest subscriptions, and the next page in `Link`", limit=1)
    listed(who.key, "invalid", "A limit is 1 to 1000", 400, limit=5000)
    listed(who.none, "no_credentials", NO_CREDENTIAL, 401)
    listed(who.contacts_key, "missing_scope", NO_SCOPE, 403)

    change = story.operation("subscriptions_change", "PATCH", f"{MONEY}/subscriptions/{{}}")
    late: dict[str, Any] = {"status": "past_due", "occurred_at": "2026-06-02T10:00:00Z"}
    change(who.key, "changed", "The subscription as it is now", on=made, status="cancelled")
    change(who.key, "older", "An older change has no effect", on=made, **late)
    change(who.key, "invalid", "Nothing is said to change", 400, on=made)
    change(who.none, "no_credentials", NO_CREDENTIAL, 401, on=made, **late)
    change(who.contacts_key, "missing_scope", NO_SCOPE, 403, on=made, **late)
    unknown = "sub_01jwqz3v8mt5e9c2r7k4x6y0ab"
    change(who.key, "not_found", "You have no such subscription", 404, on=unknown, **late)


def placements(story: Story, who: Callers, creator: User) -> None:
    create = story.operation(
        *("sponsors_create", "POST", f"{MONEY}/sponsors"),
        sponsor_name="Acme Corp",
        logo_url="https://cdn.example.com/acme-logo.png",
        target_url="https://acme.example.com",
        position="header",
        active_from="2026-07-01T00:00:00Z",
        active_until="2026-08-01T00:00:00Z",
        price_cents=29900,
        currency="USD",
    )
    made = create(who.key, "recorded", "The placement was recorded", 201, headers=KEY)["data"]["id"]
    create(who.key, "replayed", SAME_KEY, 201, headers=KEY)
    create(who.key, "invalid", "It ends before it begins", 400, active_until="2026-06-01T00:00:00Z")
    create(who.none, "no_credentials", NO_CREDENTIAL, 401)
    create(who.contacts_key, "missing_scope", NO_SCOPE, 403)
    create(who.key, "key_reused", KEY_USED, 409, headers=KEY, sponsor_name="Globex")
    sponsors.set_one_at_a_time(creator=creator, on=True)
    create(who.key, "position_taken", "Your rule allows one sponsor at a time", 409, sponsor_name="Globex")

    listed = story.operation("sponsors_list", "GET", f"{MONEY}/sponsors")
    listed(who.key, "everything", "Active and upcoming placements")
    listed(who.key, "invalid", "The cursor is not one of this list", 400, cursor="abc")
    listed(who.none, "no_credentials", NO_CREDENTIAL, 401)
    listed(who.contacts_key, "missing_scope", NO_SCOPE, 403)

    cancel = story.operation("sponsors_cancel", "DELETE", f"{MONEY}/sponsors/{{}}")
    cancel(who.none, "no_credentials", NO_CREDENTIAL, 401, on=made)
    cancel(who.contacts_key, "missing_scope", NO_SCOPE, 403, on=made)
    cancel(who.key, "cancelled", "The placement is no longer listed", on=made)
    cancel(who.key, "not_found", "It was cancelled, has ended, or is not yours", 404, on=made)


def stats(story: Story, who: Callers) -> None:
    read = story.operation("monetization_stats", "GET", f"{MONEY}/stats")
    read(who.key, "thirty_days", "The last 30 days, today included", period="30d")
    read(who.key, "invalid", "There is no such period", 400, period="1y")
    read(who.none, "no_credentials", NO_CREDENTIAL, 401)


def keys(story: Story, who: Callers, creator: User) -> None:
    """Makes two keys and revokes them. The plan has room for both, but for a moment."""
    User.objects.filter(pk=creator.pk).update(plan="max")
    create = story.operation("keys_create", "POST", f"{MAIL}/keys")
    asked: dict[str, Any] = {
        "name": "Newsletter",
        "scopes": ["monetization", "read"],
        "expiresAt": "2027-06-01T00:00:00Z",
    }
    made = create(who.browser, "created", "The key, with its secret", 201, **asked)["keyId"]
    create(who.browser, "invalid", "There is no such scope", 400, **asked | {"scopes": ["everything"]})
    User.objects.filter(pk=creator.pk).update(plan="free")
    create(who.browser, "key_limit", "The plan has no room for another key", 403, **asked)
    User.objects.filter(pk=creator.pk).update(plan="max")
    create(who.key, "no_session", NO_SESSION, 401, **asked)
    create(who.forgetful_browser, "no_csrf_token", NO_TOKEN, 403, **asked)

    listed = story.operation("keys_list", "GET", f"{MAIL}/keys")
    listed(who.browser, "everything", "Every key, without its secret")
    listed(who.key, "no_session", NO_SESSION, 401)

    revoke = story.operation("keys_revoke", "DELETE", f"{MAIL}/keys/{{}}")
    revoke(who.key, "no_session", NO_SESSION, 401, on=made)
    revoke(who.forgetful_browser, "no_csrf_token", NO_TOKEN, 403, on=made)
    revoke(who.browser, "revoked", "The key works no more", on=made)
    revoke(who.browser, "not_found", "You have no such key, or it was revoked", 404, on=made)

    named = story.operation("keys_revoke_named", "DELETE", f"{MAIL}/keys")
    second = create(who.browser, "", "", 201, name="Podcast")["keyId"]
    named(who.browser, "revoked", "The key works no more", id=second)
    named(who.browser, "invalid", "The id is missing", 400)
    named(who.key, "no_session", NO_SESSION, 401, id=second)
    named(who.forgetful_browser, "no_csrf_token", NO_TOKEN, 403, id=second)
    named(who.browser, "not_found", "You have no such key, or it was revoked", 404, id=second)
