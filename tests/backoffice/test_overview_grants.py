"""The overview of grants: those whose end should be written down by now."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from backoffice.overview.attention import lines
from tests.backoffice.overviews import behind
from tests.backoffice.plans import captured, plans_of
from tests.html import words
from tests.wallet.granted import grant, past_grant, past_grants
from tests.wallet.held import hold
from tests.wallet.reversed import leave_owing, take_back
from wallet.books.funds import funds_of
from wallet.charges import lapsing
from wallet.models import Lot

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def told(*permissions):
    """What needs attention, of the rows that these permissions show."""
    found = lines(at=timezone.now(), sees=lambda permission: permission in permissions)
    return {line.sentence: line for line in found}


def test_grants_that_are_not_written_off_ten_minutes_after_their_end(staff):
    past_grant("usr_1", 5, ended=9 * MINUTE)
    past_grant("usr_2", 5, ended=11 * MINUTE)
    grant("usr_3", 5)
    [(sentence, line)] = told("wallet.view_lot").items()
    assert sentence == "1 grant ended over ten minutes ago and is not written off."
    assert "Check that manage.py tidy runs." in line.what_to_do
    assert [row.wallet_id for row in behind(staff, line.url)] == ["usr_2"]
    assert sentence in staff.get("/admin/").text
    assert told("wallet.view_wallet", "wallet.view_hold") == {}
    lapsing.tidy()
    assert told("wallet.view_lot") == {}


def test_granted_credits_pay_no_debt(staff, give):
    """What a user owes is the same before and after an ended grant is written off."""
    leave_owing(give, "usr_debtor", 3)
    grant("usr_debtor", 8)
    leave_owing(give, "usr_ended", 2)
    past_grants(1, "usr_ended", credits=9)
    give("usr_plain", 5)
    for _ in range(2):
        [(sentence, line)] = told("wallet.view_wallet").items()
        assert sentence == "2 users owe 5 credits in total."
        assert sorted(row.pk for row in behind(staff, line.url)) == ["usr_debtor", "usr_ended"]
        assert {row.pk: funds_of(row.pk).owed for row in behind(staff, line.url)} == {
            "usr_debtor": 3,
            "usr_ended": 2,
        }
        lapsing.tidy()


def test_an_ended_grant_covers_nothing_that_is_held(staff, give, article_rate):
    topup = give("usr_over", 6)
    hold("usr_over", 6)
    take_back(topup, 3)
    past_grants(1, "usr_over", credits=10)
    give("usr_granted", 1)
    grant("usr_granted", 5)
    hold("usr_granted", 6)
    for _ in range(2):
        [(sentence, line)] = told("wallet.view_wallet").items()
        assert sentence == "1 user has more held than they have."
        assert [row.pk for row in behind(staff, line.url)] == ["usr_over"]
        lapsing.tidy()


def test_what_is_outstanding_is_paid_and_granted_and_what_is_owed_only_paid(staff, give):
    leave_owing(give, "usr_debtor", 3)
    grant("usr_debtor", 8)
    give("usr_paid", 10)
    past_grants(1, "usr_paid", credits=4)
    leave_owing(give, "usr_poor", 2)
    for _ in range(2):
        outstanding, owed = staff.get("/admin/").context["balances"]
        assert (outstanding.figure.text, outstanding.details[0]) == ("18", "in 2 wallets")
        assert (owed.figure.text, *owed.details) == ("5", "by 2 wallets, after clawbacks")
        owing = sorted(row.pk for row in behind(staff, owed.figure.url))
        assert owing == ["usr_debtor", "usr_poor"]
        assert "Owes" in words(staff.get(owed.figure.url))
        lapsing.tidy()


def test_ended_grants_are_found_by_their_indexes():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    with captured() as queries:
        Lot.objects.ended(timezone.now()).count()
    [(_, nodes)] = plans_of(queries)
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}
