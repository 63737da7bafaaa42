"""The overview of grants: those whose end should be written down by now."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from backoffice.overview.attention import lines
from tests.backoffice.overviews import behind
from tests.backoffice.plans import captured, plans_of
from tests.wallet.granted import grant, past_grant
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


def test_ended_grants_are_found_by_their_indexes():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    with captured() as queries:
        Lot.objects.ended(timezone.now()).count()
    [(_, nodes)] = plans_of(queries)
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}
