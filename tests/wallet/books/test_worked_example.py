"""The worked example of docs/ledger.md, number by number."""

import re

from tests.environment import ROOT
from tests.wallet import by_hand
from wallet.models import Entry, Wallet
from wallet.prices import rates

LEDGER = ROOT / "docs" / "ledger.md"


def documented_lines() -> list[tuple[int, str, int, int]]:
    """(sequence, type, credits, balance_after) of each numbered line of the example's table."""
    row = re.compile(r"\| (\d+) \|.*\| `(\w+)` \| ([+−]\d+) \| (\d+) \|")
    found = row.findall(LEDGER.read_text())
    return [
        (int(place), kind, int(credits.replace("−", "-")), int(after))
        for place, kind, credits, after in found
    ]


def test_the_documented_numbers_come_out(as_service, deliver, checkout_event, article_rate):
    rates.set_rate(feature="mail.send", label="Send", credits=1, unit="1000 emails", actor="test")
    assert deliver(checkout_event(user_id="ada", amount_total=2599)).status_code == 200

    article = {"feature": article_rate, "idempotency_key": "article:ada"}
    first = as_service.deduct("ada", **article)
    assert as_service.deduct("ada", **article).content == first.content

    as_service.deduct("ada", feature="mail.send", count=3, idempotency_key="mails:1")
    denied = as_service.deduct("ada", feature=article_rate, count=22, idempotency_key="book")
    assert denied.json() == {"allowed": False, "balanceBefore": 21, "required": 22}

    mails = Entry.objects.get(idempotency_key="mails:1")
    by_hand.give_back(entry=mails, credits=2, reason="bounced", key="bounce:1", actor="user:staff:1")
    by_hand.adjust(user_id="ada", credits=5, reason="for the trouble", key="form:1", actor="user:staff:1")

    lines = [
        (entry.sequence, entry.kind, entry.credits, entry.balance_after)
        for entry in Entry.objects.filter(wallet_id="ada").order_by("sequence")
    ]
    assert len(lines) == 5
    assert lines == documented_lines()
    assert Wallet.objects.get(pk="ada").balance == sum(line[2] for line in lines) == 28
