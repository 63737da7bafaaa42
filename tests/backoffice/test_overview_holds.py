"""The overview of holds: what needs attention, and captures among the charges."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backoffice.overview.attention import lines
from tests.backoffice.overviews import behind
from tests.html import words
from tests.wallet import by_hand
from tests.wallet.held import capture, charge_of, hold
from tests.wallet.holding import past_hold
from tests.wallet.reversed import leave_owing, take_back
from wallet.books import days, ledger
from wallet.books.funds import available_of
from wallet.charges import lapsing

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def told(*permissions):
    """What needs attention, of the rows that these permissions show."""
    found = lines(at=timezone.now(), sees=lambda permission: permission in permissions)
    return {line.sentence: line for line in found}


def rows_of(staff, line):
    return sorted(row.pk for row in behind(staff, line.url))


# --- What needs attention -------------------------------------------------------------------------------


def test_wallets_that_owe_or_hold_more_than_they_have_or_are_frozen(staff, give, article_rate):
    leave_owing(give, "usr_owes", 3)
    topup = give("usr_over", 5)
    hold("usr_over", 5)
    take_back(topup, 2)
    owing_and_holding = give("usr_both", 5)
    hold("usr_both", 5)
    take_back(owing_and_holding, 5)
    give("usr_plain", 5)
    hold("usr_plain", 5)
    for user_id in ("usr_plain", "usr_owes"):
        ledger.set_frozen(user_id, frozen=True)
    found = told("wallet.view_wallet")
    assert list(found) == [
        "1 user owes 3 credits in total.",
        "2 users have more held than they have.",
        "2 wallets are frozen.",
    ]
    owing, overheld, frozen = found.values()
    assert rows_of(staff, owing) == ["usr_owes"]
    assert rows_of(staff, overheld) == ["usr_both", "usr_over"]
    assert rows_of(staff, frozen) == ["usr_owes", "usr_plain"]


def test_overdue_holds_hold_nothing_back(give, article_rate):
    topup = give("usr_1", 5)
    past_hold("usr_1", credits=5)
    take_back(topup, 2)
    assert available_of("usr_1") == 3
    assert told("wallet.view_wallet") == {}


def test_holds_that_are_not_tidied_ten_minutes_after_their_end(staff, give, article_rate):
    now = timezone.now()
    for user_id, ended in (("usr_1", now - 9 * MINUTE), ("usr_2", now - 11 * MINUTE)):
        give(user_id, 5)
        past_hold(user_id, credits=2, created_at=ended - 30 * MINUTE, expires_at=ended)
    [(sentence, line)] = told("wallet.view_hold").items()
    assert sentence == "1 hold ended over ten minutes ago and is not tidied."
    assert "Check that manage.py tidy runs." in line.what_to_do
    assert [row.wallet_id for row in behind(staff, line.url)] == ["usr_2"]
    assert told("wallet.view_wallet") == {}
    lapsing.tidy()
    assert told("wallet.view_hold") == {}


# --- Figures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", ["", "blog"])
def test_captures_are_charges(staff, give, article_rate, as_service, product):
    give("usr_1", 42)
    as_service.deduct("usr_1", count=2)
    captured = capture(hold("usr_1", 5), 3)
    hold("usr_1", 4)
    charge = charge_of(captured)
    by_hand.give_back(entry=charge, credits=1, reason="", key="undo", actor="user:staff:1")
    answer = staff.get("/admin/", {"range": "7d", "product": product})
    moved = answer.context["movements"]
    tiles = {tile.label: tile for tile in moved.tiles}
    charged = tiles["Charged"]
    assert (charged.figure.text, *charged.details) == ("5", "2 entries", "4 net of what was given back")
    assert {entry.kind for entry in behind(staff, charged.figure.url)} == {"deduct", "capture"}
    assert "Kind is Charge or Charge of a hold" in words(staff.get(charged.figure.url))
    assert moved.flow_chart.sentence == "42 credits topped up, 5 charged."
    assert list(tiles) == ["Topped up", "Charged", "Given back", "Adjusted by staff"]
    [row] = [row for row in moved.by_product.rows if row.words == "MisarBlog"]
    figures = [cell.text for cell in row.cells]
    assert figures[1:3] == ["5", "1"]
    assert "4 held for work in progress" in words(answer)


def test_the_products_of_captures_are_in_the_chart(staff, give, article_rate):
    give("usr_1", 42)
    for product in ("blog", "mail"):
        capture(hold("usr_1", 5, product=product))
    days.close_days()
    chart = staff.get("/admin/").context["movements"].product_chart
    assert chart.sentence == "MisarBlog 5, MisarMail 5."
