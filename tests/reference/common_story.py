"""Errors that many operations answer alike: once each, in each envelope that differs."""

from datetime import timedelta
from typing import Any

from accounts import maintenance
from tests.reference.story import Caller, Story
from tests.reference.wallet_story import USER, WALLET, Callers

LONG = "x" * 70_000
SLOW = "The limit of requests a minute is reached"


def refused(story: Story, who: Callers, creator: Caller, settings: Any) -> None:
    refund = story.operation(None, "POST", f"{WALLET}/refund", user_id=USER, idempotency_key="undo:1")
    refund(who.blog, "not_json", "The body cannot be read", 400, raw='{"user_id": "usr_demo",}')
    refund(
        *(who.blog, "wrong_media_type", "The body is not said to be JSON", 415),
        raw="user_id=usr_demo",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    story.show(LONG, "70,000 characters")
    refund(who.blog, "too_large", "The body has more than 64 KiB", 413, reason=LONG)
    slash = story.operation(None, "GET", f"{WALLET}/funds/", user_id=USER)
    slash(who.blog, "not_found", "Paths have no slash at the end", 404)
    wrong = story.operation(None, "GET", f"{WALLET}/refund")
    wrong(who.blog, "wrong_method", "The path has another method", 405)

    settings.WALLET_READS_PER_MINUTE = 1
    funds = story.operation(None, "GET", f"{WALLET}/funds", user_id=USER)
    story.clock.set((story.clock.now + timedelta(minutes=1)).replace(second=0))
    story.send(who.blog, "GET", f"{WALLET}/funds?user_id={USER}")
    funds(who.blog, "slow_down", SLOW, 429)
    story.clock.set((story.clock.now + timedelta(minutes=1)).replace(second=0))
    stats = story.operation(None, "GET", "/mail/v1/monetization/stats")
    for _ in range(settings.CREATOR_REQUESTS_PER_MINUTE):
        story.send(creator, "GET", stats.path, seconds=0)
    stats(creator, "slow_down_for_creators", SLOW, 429)


def failed(story: Story, who: Callers, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.reference.failing_urls"
    quote = story.operation(None, "POST", f"{WALLET}/quote", user_id=USER, feature="blog.article.generate")
    quote(who.blog, "failed", "A fault of ours", 500)
    settings.ROOT_URLCONF = "misar_billing.urls"


def paused(story: Story, who: Callers, creator: Caller) -> None:
    maintenance.begin("We move to a larger server, until 14:00 UTC.")
    charge = {"user_id": USER, "feature": "blog.article.generate", "idempotency_key": "article:last"}
    deduct = story.operation(None, "POST", f"{WALLET}/deduct", **charge)
    deduct(who.blog, "maintenance", "Changes are paused: send it again, with the same key", 503)
    refund = story.operation(None, "POST", f"{WALLET}/refund", user_id=USER)
    refund(
        *(who.blog, "maintenance_with_a_code", "The same, where errors have a code", 503),
        charge_key="article:first",
        idempotency_key="undo:first",
    )
    tip = story.operation(None, "POST", "/mail/v1/monetization/tip", amount_cents=500)
    tip(creator, "maintenance_for_creators", "Changes are paused", 503)
    maintenance.end()
