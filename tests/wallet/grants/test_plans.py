"""What charges and the command read of grants: those with credits left, however many were used before."""

import pytest

from tests.backoffice.plans import captured, rows_read
from tests.wallet.entries import sql
from tests.wallet.granted import grant, lots_alone
from tests.wallet.held import service_of
from wallet.charges import deductions, lapsing

FEATURE = "blog.article.generate"
USED = 3000

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]


@pytest.fixture
def used_grants(article_rate):
    """Thousands of grants of usr_1 that are used up (only their rows), and one of 10 credits."""
    lot = grant("usr_1", 10)
    began, ended = (f"created_at - interval '{ago}'" for ago in ("1 day", "1 hour"))
    lots_alone(USED, lot, credits="1", remaining="0", created_at=began, expires_at=ended)
    sql("ANALYZE wallet_lot")


def lots_read(queries):
    return sum(count for _, count in rows_read(queries, "wallet_lot"))


def test_a_charge_reads_no_grant_that_is_used_up(used_grants):
    with captured() as queries:
        deductions.deduct(
            service=service_of("blog"), user_id="usr_1", feature="blog.article.generate", count=3
        )
    assert 1 <= lots_read(queries) <= 10


def test_the_command_reads_no_grant_that_is_used_up(used_grants):
    with captured() as queries:
        lapsing.tidy()
    assert lots_read(queries) <= 10
