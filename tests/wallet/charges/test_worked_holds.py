"""The example of holds in docs/ledger.md, number by number."""

import re

from tests.environment import ROOT
from tests.wallet.holding import wait_for_the_end
from wallet.books.funds import funds_of
from wallet.models import Entry

LEDGER = ROOT / "docs" / "ledger.md"
FEATURE = "blog.article.generate"


def documented() -> list[tuple[str, str, str, str, str]]:
    """(type, credits, balance, held, available) of each line of the example's table."""
    text = LEDGER.read_text()
    section = text[text.index("## Holds") : text.index("tests/wallet/charges/test_worked_holds.py")]
    row = re.compile(
        r"^\| [^|]+ \| (?:`(\w+)`)? ?\| ?([+−]\d+)? ?\| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE
    )
    return row.findall(section)


def test_the_documented_numbers_come_out(as_service, give, article_rate):
    seen: list[tuple[str, str, str, str, str]] = []

    def note():
        funds = funds_of("bo")
        entries = Entry.objects.of_user("bo")
        last = entries[0]
        is_new = last.pk not in noted
        kind, credits = (last.kind, f"{last.credits:+}".replace("-", "−")) if is_new else ("", "")
        noted.add(last.pk)
        seen.append((kind, credits, str(funds.balance), str(funds.held), str(funds.available)))

    def post(path, **body):
        return as_service.post(f"/io/wallet/{path}", {"user_id": "bo", **body}).json()

    noted: set[str] = set()
    give("bo", 42)
    note()
    first = post("holds", feature=FEATURE, count=5, idempotency_key="answer:1")["holdId"]
    note()
    denied = post("deduct", feature=FEATURE, count=38)
    assert denied == {"allowed": False, "balanceBefore": 37, "required": 38}
    note()
    post(f"holds/{first}/capture", count=3)
    note()
    second = post("holds", feature=FEATURE, count=4, idempotency_key="answer:2")["holdId"]
    note()
    post(f"holds/{second}/void")
    note()
    post("refund", hold_id=first, credits=2, idempotency_key="wrong:1")
    note()
    third = post("holds", feature=FEATURE, count=6, ttl_seconds=3, idempotency_key="answer:3")["holdId"]
    note()
    wait_for_the_end(third)
    note()
    assert len(seen) == 9
    assert seen == documented()
