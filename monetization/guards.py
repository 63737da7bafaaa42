"""The triggers and functions of the monetization app in this release: `python -m tests.guards` writes this file."""

from foundation.database.guards import Guards

GUARDS = Guards(
    names="^monetization_",
    triggers={
        "monetization_daytotal_is_numbered_here": (
            "monetization_daytotal",
            "59aae389fc3ec234b457cb8ddef29b41",
        ),
        "monetization_erasure_is_dated_now": ("monetization_erasure", "578779e6264021ba4600f1df534f81f6"),
        "monetization_erasure_is_history": ("monetization_erasure", "78c0eb7ad16b76c3f6424000a3e77c6d"),
        "monetization_erasure_is_not_truncated": ("monetization_erasure", "7bf5c13ecb40f5c1d60dd83839f0d58c"),
        "monetization_erasure_is_numbered_here": ("monetization_erasure", "9806ee386c1a192c9dfa0f082d82ec2f"),
        "monetization_event_is_dated_now": (
            "monetization_subscriptionevent",
            "578779e6264021ba4600f1df534f81f6",
        ),
        "monetization_event_is_history": (
            "monetization_subscriptionevent",
            "78c0eb7ad16b76c3f6424000a3e77c6d",
        ),
        "monetization_event_is_in_its_subscription": (
            "monetization_subscriptionevent",
            "61fade749a52d287c597fa0151c7f842",
        ),
        "monetization_event_is_not_truncated": (
            "monetization_subscriptionevent",
            "7bf5c13ecb40f5c1d60dd83839f0d58c",
        ),
        "monetization_firstanswer_is_numbered_here": (
            "monetization_firstanswer",
            "6f8e52e4ddd5a88157b6cd7d8a94a9d0",
        ),
        "monetization_refund_has_the_next_number": (
            "monetization_refund",
            "12ba9652850ccc948a4ca9fa5f213ce2",
        ),
        "monetization_refund_is_dated_now": ("monetization_refund", "578779e6264021ba4600f1df534f81f6"),
        "monetization_refund_is_history": ("monetization_refund", "bb10b5eee724f1de5f4485ddeab0b198"),
        "monetization_refund_is_in_its_tip": ("monetization_refund", "16ca2500ec7549132697086f6cc9994e"),
        "monetization_refund_is_not_deleted": ("monetization_refund", "c48f227c5b4ee6f5365e3e735e388d14"),
        "monetization_refund_is_not_truncated": ("monetization_refund", "7bf5c13ecb40f5c1d60dd83839f0d58c"),
        "monetization_sub_empties_its_mailbox": (
            "monetization_subscription",
            "90e35d4134f69f1b9d1d47d2fe140033",
        ),
        "monetization_subscription_is_dated_now": (
            "monetization_subscription",
            "578779e6264021ba4600f1df534f81f6",
        ),
        "monetization_subscription_is_its_events": (
            "monetization_subscription",
            "99978b77c921234a8a59025e4efebf0b",
        ),
        "monetization_subscription_is_not_deleted": (
            "monetization_subscription",
            "c48f227c5b4ee6f5365e3e735e388d14",
        ),
        "monetization_subscription_is_not_truncated": (
            "monetization_subscription",
            "7bf5c13ecb40f5c1d60dd83839f0d58c",
        ),
        "monetization_subscriptionevent_is_numbered_here": (
            "monetization_subscriptionevent",
            "842b2346da118d6b59e99f9fc4ea5537",
        ),
        "monetization_tip_empties_its_mailbox": ("monetization_tip", "353297175ae82bced9f4189dabadbb06"),
        "monetization_tip_is_dated_now": ("monetization_tip", "578779e6264021ba4600f1df534f81f6"),
        "monetization_tip_is_its_refunds": ("monetization_tip", "3a633168558a1150135195f9f7eae0da"),
        "monetization_tip_is_not_deleted": ("monetization_tip", "c48f227c5b4ee6f5365e3e735e388d14"),
        "monetization_tip_is_not_truncated": ("monetization_tip", "7bf5c13ecb40f5c1d60dd83839f0d58c"),
        "monetization_tip_keeps_its_worth": ("monetization_tip", "461cc1b1bc817a76553af57aa63199c1"),
    },
    functions={
        "monetization_refund_has_the_next_number()": "507d1df06ce9e03497d87e8b2b033ca8",
        "monetization_subscription_is_its_events()": "237976eafb84c94ce116c932cc3bc5e2",
        "monetization_tip_is_its_refunds()": "a28e732bef85c693202b20b535d69306",
        "monetization_tip_keeps_its_worth()": "21c5a3e2c16993456b5d6d28ca6e25b7",
        "monetization_totals(timestamp with time zone, timestamp with time zone)": "b8a85deb37a6758f368e17cb95d70fa3",
    },
)
