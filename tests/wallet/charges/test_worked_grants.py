"""The example of grants in docs/ledger.md, number by number."""

import re
from datetime import timedelta

import pytest

from accounts.models import ServiceKey
from tests.environment import ROOT
from tests.wallet.clock import Clock
from tests.wallet.held import hold, service_of, void
from wallet.books.funds import funds_of
from wallet.charges import deductions, give_backs, holds, lapsing
from wallet.grants import granting
from wallet.models import Entry

LEDGER = ROOT / "docs" / "ledger.md"
FEATURE = "blog.article.generate"
CLEO = {"user_id": "cleo"}


def documented() -> list[tuple[str, ...]]:
    """(type, credits, balance, held, lot, paid, available) of each line of the example's table."""
    text = LEDGER.read_text()
    section = text[text.index("## Grants") : text.index("tests/wallet/charges/test_worked_grants.py")]
    figures = r" (\d+) \|" * 5
    return re.findall(rf"^\| [^|]+ \| (?:`(\w+)`)? ?\| ?([+−]\d+)? ?\|{figures}$", section, re.MULTILINE)


@pytest.mark.django_db
def test_the_documented_numbers_come_out(give, article_rate):
    clock = Clock()
    seen: list[tuple[str, ...]] = []
    noted: set[str] = set()

    def note():
        clock.advance(60)
        funds = funds_of("cleo")
        last = Entry.objects.of_user("cleo")[0]
        kind, credits = (
            (last.kind, f"{last.credits:+}".replace("-", "−")) if last.pk not in noted else ("", "")
        )
        noted.add(last.pk)
        figures = funds.balance, funds.held, funds.granted, funds.paid, funds.available
        seen.append((kind, credits, *map(str, figures)))

    def deduct(count, key):
        deductions.deduct(service=service_of("blog"), **CLEO, feature=FEATURE, count=count, key=key)
        note()

    def refund(credits, of):
        charge = {"idempotency_key": of}
        give_backs.refund(
            service=service_of("blog"), **CLEO, charge=charge, credits=credits, key=f"undo:{of}"
        )
        note()

    give("cleo", 25)
    note()
    week = clock.now + timedelta(days=7)
    blog = ServiceKey(product="blog", prefix="wsk_test", grant_max=10, grant_month_max=10)
    granting.grant_of_product(
        service=blog, **CLEO, credits=10, expires_at=week, reason="Welcome", key="welcome"
    )
    note()
    deduct(3, "article:1")
    work = hold("cleo", 9)
    note()
    holds.capture(service=service_of("blog"), **CLEO, hold_id=work.pk, count=4)
    note()
    refund(2, "article:1")
    deduct(8, "article:2")
    refund(4, "article:2")
    clock.set(week - timedelta(seconds=70))
    last_work = hold("cleo", 1)
    note()
    clock.set(week)
    lapsing.lapse_wallet("cleo")
    note()
    void(last_work)
    note()
    assert len(seen) == 11
    assert seen == documented()
