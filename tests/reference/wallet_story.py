"""Every operation of the wallet with each of its answers, as one story of a user and two products."""

from tests.reference.story import Caller, Story

USER = "usr_123"
FEATURE = "blog.article.generate"
WALLET = "/io/wallet"


def charges(story: Story, blog: Caller) -> None:
    def deduct(name: str, summary: str, *, status: int = 200, **body: object) -> None:
        asked = {"user_id": USER, "feature": FEATURE, **body}
        story.ask(blog, "wallet_deduct", name, summary, "POST", f"{WALLET}/deduct", asked, status=status)

    key = {"idempotency_key": "article:my-post"}
    deduct("allowed", "The credits were taken", **key)
    deduct("replayed", "The same request again: the first answer, and nothing is taken twice", **key)
    deduct("denied", "Too few credits: nothing was taken", count=500)
    deduct("key_reused", "The key came with another count before", count=2, **key, status=409)
    deduct("unknown_feature", "The feature has no active rate", feature="blog.article.sing", status=400)


def balances(story: Story, blog: Caller) -> None:
    story.ask(
        blog,
        "wallet_balance",
        "balance",
        "What the user can spend now",
        "GET",
        f"{WALLET}/balance?user_id={USER}",
        status=200,
    )
