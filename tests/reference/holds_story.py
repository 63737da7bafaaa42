"""What products do with holds, grants and budgets of a user."""

from typing import Any

from accounts.models import ServiceKey
from tests.reference.story import Story
from tests.reference.wallet_story import (
    AGAIN,
    FEATURE,
    NEITHER,
    NO_KEY,
    NO_RIGHT,
    NOT_YOURS,
    OTHER_USER,
    USER,
    WALLET,
    Callers,
)
from wallet.charges import budgets, debits, holds
from wallet.grants import granting

NO_HOLD = "Your product has no such hold of this user"
NO_GRANT = "Your product has no such grant of this user"
UNKNOWN_HOLD = "hold_01jwqz3v8mt5e9c2r7k4x6y0ab"
UNKNOWN_GRANT = "grant_01jwqz3v8mt5e9c2r7k4x6y0ab"
TTL = 900


def held(story: Story, who: Callers) -> None:
    """Makes holds and ends them in each way."""
    hold = story.operation("wallet_hold", "POST", f"{WALLET}/holds", user_id=USER, feature=FEATURE)
    key: dict[str, Any] = {"idempotency_key": "chat:77"}
    work = hold(who.blog, "held", "The credits are set aside", count=8, ttl_seconds=TTL, **key)["holdId"]
    hold(who.blog, "replayed", AGAIN, count=8, ttl_seconds=TTL, **key)
    hold(who.blog, "denied", "The user has too few credits", count=500, idempotency_key="chat:78")
    hold(who.blog, "invalid", "A hold needs a key", 400)
    hold(
        *(who.blog, "unknown_feature", "The feature has no active rate", 400),
        feature="blog.article.sing",
        idempotency_key="chat:78",
    )
    hold(who.none, "no_credentials", NO_KEY, 403, **key)
    hold(who.wrong, "wrong_credentials", "The service key is unknown, revoked or expired", 403, **key)
    hold(who.reads_only, "may_not_charge", NO_RIGHT, 403, **key)
    hold(who.mail_only, "feature_not_allowed", "The service key is for other features", 403, **key)
    hold(who.blog, "key_reused", "The key was used for another count", 409, count=9, **key)

    capture = story.operation("wallet_hold_capture", "POST", f"{WALLET}/holds/{{}}/capture", user_id=USER)
    capture(who.blog, "captured", "5 of 8 units were charged, the rest was released", on=work, count=5)
    capture(who.blog, "replayed", AGAIN, on=work, count=5)
    capture(who.blog, "hold_captured", "It was captured with another count", 409, on=work, count=4)

    _ended_otherwise(story, who, work)
    listed = story.operation("wallet_holds", "GET", f"{WALLET}/holds", user_id=USER)
    page = listed(who.blog, "first_page", "The newest holds", limit=2)
    listed(who.blog, "next_page", "The page after it", limit=2, cursor=page["nextCursor"])
    listed(who.blog, "captured", "Only captured ones", state="captured")
    listed(who.blog, "invalid", "There is no such state", 400, state="done")
    listed(who.none, "no_credentials", NEITHER, 401)
    listed(who.charges_only, "may_not_read", NO_RIGHT, 403)
    listed(who.user, "not_yours", f"{NOT_YOURS} holds", 403, user_id=OTHER_USER)


def _ended_otherwise(story: Story, who: Callers, work: str) -> None:
    """Makes a hold that is extended and voided, and one that expires. `work` is a captured hold."""
    hold = story.operation("wallet_hold", "POST", f"{WALLET}/holds", user_id=USER, feature=FEATURE)
    capture = story.operation("wallet_hold_capture", "POST", f"{WALLET}/holds/{{}}/capture", user_id=USER)
    second = hold(who.blog, "", "", count=2, idempotency_key="chat:79")["holdId"]
    read = story.operation("wallet_hold_read", "GET", f"{WALLET}/holds/{{}}", user_id=USER)
    read(who.blog, "open", "An open hold", on=second)
    read(who.user, "captured", "A captured one, as its user reads it", on=work, but="user_id")
    read(who.blog, "invalid", "A product must name the user", 400, on=second, but="user_id")
    read(who.none, "no_credentials", NEITHER, 401, on=second)
    read(who.charges_only, "may_not_read", NO_RIGHT, 403, on=second)
    read(who.user, "not_yours", f"{NOT_YOURS} hold", 403, on=second, user_id=OTHER_USER)
    read(who.blog, "not_found", NO_HOLD, 404, on=UNKNOWN_HOLD)

    capture(who.blog, "invalid", "More units than the hold is for", 400, on=second, count=3)
    capture(who.none, "no_credentials", NO_KEY, 403, on=second)
    capture(who.reads_only, "may_not_charge", NO_RIGHT, 403, on=second)
    capture(who.blog, "not_found", NO_HOLD, 404, on=UNKNOWN_HOLD)

    extend = story.operation(
        "wallet_hold_extend", "POST", f"{WALLET}/holds/{{}}/extend", user_id=USER, ttl_seconds=3600
    )
    extend(who.blog, "extended", "The hold lasts an hour from now", on=second)
    extend(who.blog, "invalid", "A hold lasts at most 7 days", 400, on=second, ttl_seconds=604_801)
    extend(who.none, "no_credentials", NO_KEY, 403, on=second)
    extend(who.reads_only, "may_not_charge", NO_RIGHT, 403, on=second)
    extend(who.blog, "not_found", NO_HOLD, 404, on=UNKNOWN_HOLD)
    extend(who.blog, "hold_captured", "The hold was captured", 409, on=work)
    extend(
        *(who.blog, "hold_too_old", "It would last more than 7 days from its beginning", 409),
        on=second,
        ttl_seconds=604_800,
    )

    void = story.operation("wallet_hold_void", "POST", f"{WALLET}/holds/{{}}/void", user_id=USER)
    void(who.blog, "voided", "Everything was released", on=second)
    void(who.blog, "replayed", AGAIN, on=second)
    void(who.blog, "invalid", "The user is missing", 400, on=second, but="user_id")
    void(who.none, "no_credentials", NO_KEY, 403, on=second)
    void(who.reads_only, "may_not_charge", NO_RIGHT, 403, on=second)
    void(who.blog, "not_found", NO_HOLD, 404, on=UNKNOWN_HOLD)
    void(who.blog, "hold_captured", "The hold was captured", 409, on=work)
    capture(who.blog, "hold_voided", "The hold was voided", 409, on=second)
    extend(who.blog, "hold_voided", "The hold was voided", 409, on=second)
    hold(*(who.blog, "key_ended", "The hold of this key was voided", 409), count=2, idempotency_key="chat:79")

    short = hold(who.blog, "", "", idempotency_key="chat:80", ttl_seconds=60)
    story.clock.advance(minutes=2)
    capture(who.blog, "hold_expired", "The hold has expired", 409, on=short["holdId"])
    extend(who.blog, "hold_expired", "The hold has expired", 409, on=short["holdId"])


def too_many_holds(story: Story, who: Callers, service: ServiceKey) -> None:
    """Makes as many holds of another user as a product may have open, and then one more."""
    hold = story.operation("wallet_hold", "POST", f"{WALLET}/holds", user_id=OTHER_USER, feature=FEATURE)
    work: dict[str, Any] = {"user_id": OTHER_USER, "feature": FEATURE, "count": 1, "ttl_seconds": TTL}
    for number in range(debits.OPEN_HOLDS_OF_PRODUCT_MAX):
        holds.authorize(service=service, key=f"chat:{number}", **work)
    hold(who.blog, "too_many", "The user has 200 open holds of your product", 409, idempotency_key="chat:200")


def granted(story: Story, who: Callers, service: ServiceKey) -> None:
    """Grants, with caps of 100 credits a grant and 1,000 a month. One grant stays."""
    grant = story.operation("wallet_grant", "POST", f"{WALLET}/grants", user_id=USER, credits=10)
    welcome: dict[str, Any] = {
        "expires_at": story.in_days(30),
        "reason": "Welcome to the blog",
        "idempotency_key": "welcome",
    }
    grant(who.blog, "granted", "The user has the credits now", **welcome)
    grant(who.blog, "replayed", AGAIN, **welcome)
    grant(
        who.blog,
        "invalid",
        "The end is in the past",
        400,
        **welcome | {"expires_at": story.in_days(-1), "idempotency_key": "late"},
    )
    grant(who.none, "no_credentials", NO_KEY, 403, **welcome)
    grant(who.charges_only, "may_not_grant", NO_RIGHT, 403, **welcome)
    sorry: dict[str, Any] = welcome | {
        "reason": "Sorry for the outage",
        "idempotency_key": "outage:2026-06-01",
    }
    grant(who.blog, "over_cap", "More than the service key may grant", 409, **sorry | {"credits": 101})
    grant(who.blog, "key_reused", "The key was used for other credits", 409, **welcome | {"credits": 20})

    listed = story.operation("wallet_grants", "GET", f"{WALLET}/grants", user_id=USER)
    mistake = grant(who.blog, "", "", **sorry)["id"]
    page = listed(who.blog, "first_page", "The newest grants", limit=1)
    listed(who.blog, "next_page", "The page after it", limit=1, cursor=page["nextCursor"])
    listed(who.blog, "invalid", "There is no such state", 400, state="open")
    listed(who.none, "no_credentials", NEITHER, 401)
    listed(who.charges_only, "may_not_read", NO_RIGHT, 403)
    listed(who.user, "not_yours", f"{NOT_YOURS} grants", 403, user_id=OTHER_USER)

    void = story.operation("wallet_grant_void", "POST", f"{WALLET}/grants/{{}}/void", user_id=USER)
    void(who.blog, "voided", "What was left of it is gone", on=mistake)
    void(who.blog, "replayed", AGAIN, on=mistake)
    void(who.blog, "invalid", "The user is missing", 400, on=mistake, but="user_id")
    void(who.none, "no_credentials", NO_KEY, 403, on=mistake)
    void(who.charges_only, "may_not_grant", NO_RIGHT, 403, on=mistake)
    void(who.blog, "not_found", NO_GRANT, 404, on=UNKNOWN_GRANT)
    grant(who.blog, "key_ended", "The grant of this key was voided", 409, **sorry)

    end = story.clock.now.replace(month=12)
    for number in range(granting.GRANTS_OF_PRODUCT_MAX):
        granting.grant_of_product(
            service=service, user_id=OTHER_USER, credits=1, expires_at=end, reason="A day", key=f"d:{number}"
        )
    grant(
        *(who.blog, "too_many", "The user has 20 grants of your product with credits left", 409),
        **welcome | {"user_id": OTHER_USER},
    )


def budgeted(story: Story, who: Callers) -> None:
    """A budget a day that refuses a charge and a hold, and is removed."""
    budget = story.operation("wallet_budget_set", "PUT", f"{WALLET}/budgets", user_id=USER, period="day")
    budget(who.blog, "set", "The product may charge 20 credits a day", credits=20)
    budget(who.blog, "invalid", "There is no such period", 400, period="week", credits=20)
    budget(who.none, "no_credentials", NO_KEY, 403, credits=20)
    budget(who.reads_only, "may_not_charge", NO_RIGHT, 403, credits=20)

    charge = {"user_id": USER, "feature": FEATURE, "count": 21}
    deduct = story.operation("wallet_deduct", "POST", f"{WALLET}/deduct", **charge)
    deduct(who.blog, "over_budget", "A budget has less left than the price: nothing was taken")
    hold = story.operation("wallet_hold", "POST", f"{WALLET}/holds", **charge)
    hold(who.blog, "over_budget", "A budget has less left than the price", idempotency_key="chat:90")

    listed = story.operation("wallet_budgets", "GET", f"{WALLET}/budgets", user_id=USER)
    listed(who.blog, "listed", "The budgets that can refuse your charges")
    listed(who.blog, "invalid", "A product must name the user", 400, but="user_id")
    listed(who.none, "no_credentials", NEITHER, 401)
    listed(who.charges_only, "may_not_read", NO_RIGHT, 403)
    listed(who.user, "not_yours", f"{NOT_YOURS} budgets", 403, user_id=OTHER_USER)

    remove = story.operation(
        "wallet_budget_remove", "DELETE", f"{WALLET}/budgets", user_id=USER, period="day"
    )
    remove(who.blog, "removed", "The budget is gone, or was not there")
    remove(who.blog, "invalid", "The period is missing", 400, but="period")
    remove(who.none, "no_credentials", NO_KEY, 403)
    remove(who.reads_only, "may_not_charge", NO_RIGHT, 403)

    for number in range(budgets.BUDGETS_MAX):
        budgets.set_budget(
            user_id=OTHER_USER, set_by="user", product=f"product-{number}", period="day", credits=1
        )
    budget(who.blog, "too_many", "The user has 50 budgets", 409, user_id=OTHER_USER, credits=20)
