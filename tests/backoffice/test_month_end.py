"""The pages of the end of the month: what they say is the sum of the entries, before and after closing."""

import csv
from datetime import date

import pytest
from django.urls import reverse

from foundation import money
from tests.backoffice.members import member_of, signed_in
from tests.backoffice.plans import captured
from tests.html import words
from tests.wallet.books.test_months import (
    APRIL,
    MARCH,
    MAY,
    NOW,
    a_quarter,
    booked_when,
    came_late,
    closed_until,
)
from tests.wallet.entries import sql
from tests.wallet.past import at, charged, topped_up
from wallet.books import laws, months
from wallet.books.months import LINES
from wallet.models import (
    ClosedDay,
    Entry,
    FeatureTotal,
    PayoutItem,
    PayoutReading,
    StripeMovement,
    StripePayout,
)
from wallet.payments.payouts import money as money_at_stripe

pytestmark = pytest.mark.django_db

MONTHS = reverse("admin:month_ends")
FILES = ("month_end_summary", "month_end_entries", "month_end_stripe")


def address(month: date, name: str = "month_end") -> str:
    return reverse(f"admin:{name}", args=[month])


def rows_of(answer) -> list[list[str]]:
    assert answer.status_code == 200
    return list(csv.reader(answer.getvalue().decode().splitlines()))


def balance_of_all() -> int:
    """What `check_ledger` proves of each wallet: its balance is the sum of its entries."""
    assert laws.violations() == []
    [(balance,)] = sql("SELECT sum(balance)::int FROM wallet_wallet")
    return int(balance)


@pytest.mark.parametrize("is_closed", [False, True])
def test_pages_and_files_sum_to_the_books(staff, is_closed):
    a_quarter()
    if is_closed:
        closed_until(NOW)
    closing = 0
    for month in (MARCH, APRIL, MAY):
        page = staff.get(address(month))
        assert page.status_code == 200
        found = page.context["month"]
        assert (found.closed_at is not None) == (is_closed and month != MAY)
        assert found.opening == closing
        closing = found.opening + sum(line.sum.credits for line in page.context["lines"])
        assert f">{money.plain(closing)}<" in page.content.decode()
        header, opening, *parts, last = rows_of(staff.get(address(month, "month_end_summary")))
        column = header.index("credits")
        assert int(opening[column]) + sum(int(row[column]) for row in parts) == int(last[column]) == closing
        entries = rows_of(staff.get(address(month, "month_end_entries")))[1:]
        assert len(entries) == int(last[header.index("entries")]) == found.moved.entries
        assert sum(int(row[5]) for row in entries) == found.moved.credits
    assert closing == balance_of_all()
    listed = staff.get(MONTHS)
    assert f">{money.plain(closing)}<" in listed.content.decode()
    assert (MARCH in listed.context["waiting"]) == (not is_closed)


@pytest.mark.parametrize("closed", ["none", "all", "without features"])
def test_each_figure_leads_to_its_entries(staff, closed):
    a_quarter()
    if closed != "none":
        closed_until(NOW)
    if closed == "without features":  # As an earlier release closed it.
        FeatureTotal.objects.filter(day_id__gte=APRIL, day_id__lt=MAY).delete()
    page = staff.get(address(APRIL))
    for (name, kinds), line in zip(LINES.items(), page.context["lines"], strict=True):
        count = Entry.objects.filter(kind__in=kinds, created_at__year=2026, created_at__month=4).count()
        assert line.sum.entries == count, name
        if count:
            assert staff.get(line.url).context["cl"].result_count == count
    for row in page.context["revenue"].rows[:-1]:
        *_, entries = row.cells
        listed = staff.get(entries.url).context["cl"]
        found = listed.queryset
        assert entries.text == money.plain(found.count()) == money.plain(listed.result_count)
        assert row.cells[2].text == money.plain(-sum(each.credits for each in found))


def test_a_closed_month_says_the_same_when_more_is_written(staff):
    a_quarter()
    closed_until(NOW)
    before = rows_of(staff.get(address(APRIL, "month_end_summary")))
    charged(2, NOW)
    ClosedDay.objects.all().delete()
    assert rows_of(staff.get(address(APRIL, "month_end_summary"))) == before
    assert "These figures stay as they are." in staff.get(address(APRIL)).content.decode()


def test_a_month_that_takes_too_long_says_what_helps(staff, monkeypatch):
    a_quarter()
    monkeypatch.setattr("backoffice.month_end.views.in_time", lambda read: None)
    for page in (staff.get(MONTHS), staff.get(address(MARCH, "month_end_summary"), follow=True)):
        assert page.status_code == 200
        assert "quick after the next <code>close_days</code>" in page.content.decode()


def test_a_file_of_entries_is_read_in_pages(staff, monkeypatch):
    topped_up(100, "2026-03-01 00:00:00")
    for _ in range(5):  # They have the same time, so their ids decide.
        charged(1, "2026-03-01 10:30:00")
    charged(1, "2026-03-31 23:59:59")
    whole = rows_of(staff.get(address(MARCH, "month_end_entries")))
    monkeypatch.setattr("backoffice.month_end.files.PAGE_SIZE", 2)
    assert rows_of(staff.get(address(MARCH, "month_end_entries"))) == whole
    assert len(whole) == 1 + Entry.objects.count()


def test_what_stripe_says_of_the_month(staff):
    topup = topped_up(25, "2026-03-30 10:00:00").topup
    noon = at("2026-03-30 12:00:00")
    facts = {"currency": "usd", "created_at": noon}
    StripeMovement.objects.create(
        id="txn_1",
        category="charge",
        amount=2500,
        fee=103,
        payment_intent_id=topup.payment_intent_id,
        **facts,
    )
    StripeMovement.objects.create(id="txn_2", category="network_cost", amount=-7, fee=0, **facts)
    assert "are not read yet" in staff.get(address(MARCH)).content.decode()
    PayoutReading.objects.create(since=at("2026-03-30 00:00:00"), until=NOW)
    StripePayout.objects.create(
        id="po_1", amount=2397, arrives_at=noon, status="paid", is_automatic=True, **facts
    )
    PayoutItem.objects.create(movement_id="txn_1", payout_id="po_1")
    StripePayout.objects.update(itemized_at=NOW)
    before = staff.get(address(MARCH)).context["stripe"][0]
    assert money_at_stripe.close() == [MARCH, APRIL]
    page = staff.get(address(MARCH))
    assert '<span class="tag tag-good">Paid</span>' in page.text
    side = page.context["stripe"][0]
    assert side.closed_at
    assert (side.balances, side.payouts) == (before.balances, before.payouts)
    [balance] = side.balances
    said = [(row.words, *(cell.text for cell in row.cells)) for row in balance.moved.rows]
    assert said == [
        ("Top-ups", "25.00", "−1.03", "23.97", "1"),
        ("Network cost", "−0.07", "0.00", "−0.07", "1"),
    ]
    assert (balance.opening, balance.closing) == ("0.00", "23.90")
    assert "Balances count from 30 Mar 2026 on, the first day that is read." in words(page)
    assert (balance.paid_out, balance.waiting) == ("23.97", "0.00")
    header, *movements = rows_of(staff.get(address(MARCH, "month_end_stripe")))
    assert [row[header.index("payout_id")] for row in movements] == ["po_1", ""]
    assert sum(int(row[header.index("net")]) for row in movements) == 2390


def test_a_payout_that_came_back_from_an_earlier_month(staff):
    """March is closed, then its payout fails: March's figures stay, and April says what came back."""
    topup = topped_up(25, "2026-03-10 10:00:00").topup
    facts = {"currency": "usd", "fee": 0}
    for pk, day, category, amount, extra in (
        ("txn_1", "2026-03-10", "charge", 2500, {"payment_intent_id": topup.payment_intent_id}),
        ("txn_2", "2026-03-12", "payout", -2500, {}),
        ("txn_3", "2026-04-02", "payout_reversal", 2500, {"source_id": "po_1"}),
        ("txn_4", "2026-04-05", "payout", -400, {}),
        ("txn_5", "2026-04-06", "payout_reversal", 400, {"source_id": "po_2"}),
    ):
        StripeMovement.objects.create(
            id=pk, created_at=at(f"{day} 12:00:00"), category=category, amount=amount, **facts, **extra
        )
    for pk, day, amount in (("po_1", "2026-03-12", 2500), ("po_2", "2026-04-05", 400)):
        moment = at(f"{day} 12:00:00")
        StripePayout.objects.create(
            id=pk,
            created_at=moment,
            arrives_at=moment,
            amount=amount,
            currency="usd",
            status="paid",
            is_automatic=True,
            itemized_at=moment,
        )
    PayoutItem.objects.create(movement_id="txn_1", payout_id="po_1")
    PayoutReading.objects.create(since=at("2026-03-01 00:00:00"), until=at("2026-04-10 00:00:00"))
    assert money_at_stripe.close() == [MARCH]
    [before] = staff.get(address(MARCH)).context["stripe"][0].balances
    StripePayout.objects.update(status="failed")
    page = staff.get(address(MARCH))
    [balance] = page.context["stripe"][0].balances
    assert balance == before
    assert balance.paid_out == balance.came_back_later == "25.00"
    assert "Of what was paid out, 25.00 USD came back in a later month" in page.text
    april = staff.get(address(APRIL))
    [balance] = april.context["stripe"][0].balances
    said = [(row.words, row.cells[2].text, row.cells[3].text) for row in balance.moved.rows]
    assert said == [
        ("Payouts to our bank", "−4.00", "1"),
        ("Payouts that came back", "4.00", "1"),
        ("Payouts of earlier months that came back", "25.00", "1"),
    ]
    assert (balance.opening, balance.closing) == ("0.00", "25.00")
    # A browser opens the folded part that has the target of a link.
    assert {row.cells[3].url for row in balance.moved.rows[1:]} == {"#payouts"}
    assert '<div class="table-frame" id="payouts"' in april.text.partition("<details")[2]
    payouts = [(payout.id, payout.state) for payout, *_ in april.context["stripe"][0].payouts]
    assert payouts == [("po_1", "Failed"), ("po_2", "Failed")]
    assert f'<a href="{address(APRIL)}"><time datetime="2026-04-02' in page.text
    _, *movements = rows_of(staff.get(address(APRIL, "month_end_stripe")))
    assert [(row[2], row[7]) for row in movements if row[7]] == [
        ("payout_reversal", "po_1"),
        ("payout_reversal", "po_2"),
    ]


def test_late_entries_have_a_line_and_lead_to_their_month(staff):
    a_quarter()
    closed_until(NOW)
    before = rows_of(staff.get(address(MARCH, "month_end_summary")))
    came_late()
    months.book_late(MARCH, booked_by="anna", reason="Restore of 20 May")
    booked_when("2026-05-20 12:00:00")
    assert rows_of(staff.get(address(MARCH, "month_end_summary"))) == before
    march = staff.get(address(MARCH))
    assert "came into this month after it was closed" in march.text
    assert f'<a href="{address(MAY)}#late_title">May 2026</a>.' in march.text
    may = staff.get(address(MAY))
    [line] = [line for line in may.context["lines"] if line.name == "Late entries"]
    assert (line.sum.credits, line.sum.entries, line.url) == (35, 3, f"{address(MAY)}#late_title")
    assert "Restore of 20 May" in may.text
    month = may.context["month"]
    assert month.opening + sum(each.sum.credits for each in may.context["lines"]) == month.ends.credits
    assert month.ends.credits == balance_of_all()
    header, opening, *parts, last = rows_of(staff.get(address(MAY, "month_end_summary")))
    column = header.index("credits")
    assert int(opening[column]) + sum(int(row[column]) for row in parts) == int(last[column])
    listed = staff.get(f"{MONTHS}?before=2026-06")
    assert [column.name for column in listed.context["table"].columns][-2:] == ["Late entries", "Closing"]
    for row in listed.context["table"].rows:
        figures = [int(cell.text.replace("\N{MINUS SIGN}", "-").replace(",", "")) for cell in row.cells]
        assert sum(figures[:-1]) == figures[-1]


def test_who_may_open_it():
    a_quarter()
    for role, allowed in (("support", False), ("billing", True), ("admin", True)):
        member = signed_in(member_of(role))
        addresses = [MONTHS, address(MARCH), *(address(MARCH, name) for name in FILES)]
        assert {member.get(each).status_code for each in addresses} == {200 if allowed else 403}, role
        assert (MONTHS in member.get("/admin/").content.decode()) == allowed


def test_months_before_the_ledger_and_after_now_are_not_there(staff):
    assert "There is no month yet" in staff.get(MONTHS).content.decode()
    a_quarter()
    assert staff.get(address(date(2026, 2, 1))).status_code == 404
    assert staff.get(address(date(2026, 2, 1), "month_end_summary")).status_code == 404
    assert staff.get("/admin/month-end/2999-01/").status_code == 404
    assert staff.get(f"{MONTHS}?before=2026-04").context["months"][0].first_day == MARCH
    for before in ("nonsense", "0001-01", "0002-01", "9999-12"):
        assert staff.get(f"{MONTHS}?before={before}").status_code == 200


def test_closed_months_cost_the_same_however_many_there_are(staff):
    a_quarter()
    closed_until(NOW)
    with captured() as few:
        staff.get(f"{MONTHS}?before=2026-04")
    with captured() as more:
        staff.get(f"{MONTHS}?before=2026-05")
    assert len(more) == len(few)
