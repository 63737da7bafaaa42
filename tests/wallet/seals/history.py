"""A history with an entry of each kind, and rows in each other table that seals cover."""

from typing import Any

from accounts import plans
from monetization.privacy import erasure
from tests.factories import UserFactory
from tests.monetization import records
from tests.wallet import by_hand, granted, racing
from tests.wallet.entries import sql
from wallet.models import Audit
from wallet.prices import rates
from wallet.seals import checking
from wallet.seals.checking import Head, Unsealed

READER = "bob@x.co"
Found = list[tuple[str, str, str]]


def of_wallets(give: Any) -> None:
    """Write eleven entries of usr_1 and two of usr_2. `article_rate` is needed."""
    give("usr_1", 100)
    charge = racing.charge(7, key="k1")
    racing.refund("r1", {"id": charge.pk}, 2)
    granted.grant(credits=5)
    racing.charge(3, key="k2")  # The grant pays for it.
    held = racing.hold("h1", 4).hold  # The grant pays for a part.
    racing.capture(held.pk, 3)
    adjust(-1)
    granted.void(granted.grant(credits=2))
    racing.charge(1, key="k3")
    racing.charge(2, key="k4")
    give("usr_2", 50)
    racing.charge(5, user_id="usr_2")


def adjust(credits: int) -> None:
    """Adjust usr_1 as staff do, with the act."""
    by_hand.adjust(user_id="usr_1", credits=credits, reason="It was wrong.", key="form-1")


def of_tables() -> None:
    """Write some rows to each other table."""
    creator = UserFactory.create(misar_id="usr_creator")
    records.write_to_the_log(f"{READER} asked for 5:7 – 金", creator)
    records.write_to_the_log("Another act", creator)
    given = records.give(creator)
    records.refund(given, 100)
    records.refund(given, 50, key="form-2")
    subscribed = records.subscribe(creator, READER)
    records.change(subscribed, status="cancelled")
    for credits in (3, 4):
        facts: Any = {"label": "Send", "unit": "1000 emails", "actor": "user:staff:1"}
        rates.set_rate(feature="mail.send", credits=credits, **facts)
        plans.set_plan(slug="pro", name="Pro", fee_bps=390 + credits, key_limit=5, actor="user:staff:1")
        audit: Any = {"kind": "laws", "outcome": "clean", "started_at": "2026-01-01T00:00Z"}
        Audit.objects.create(seen_count=2, found_count=0, findings=[{"law": "ü"}], **audit)
    erasure.erase(READER, actor="operator")
    records.write_to_the_log("ann@x.co asked", creator)


def found(user_id: str | None = None, heads: list[Head] | None = None) -> Found:
    """What the seals find, and the seal file with these heads."""
    counted = Unsealed()
    violations = list(
        checking.find_differences(unsealed=counted)
        if user_id is None
        else checking.find_differences_of([user_id], unsealed=counted)
    )
    violations += checking.compare_heads(heads or [], user_id=user_id)
    return [(each.law, each.subject, each.detail) for each in violations]


def unsealed() -> tuple[int, int]:
    """How many entries and other rows have no seal."""
    counted = Unsealed()
    list(checking.find_differences(unsealed=counted))
    return counted.entries, counted.rows


def seals() -> list[tuple[str, int, int]]:
    """The seals of wallets: the wallet, and the first and last entry."""
    return sql("SELECT wallet_id, after + 1, sequence FROM wallet_seal ORDER BY wallet_id, after")
