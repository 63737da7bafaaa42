"""How the overview lays out the checks."""

from django.utils import timezone
from playwright.sync_api import expect

from tests.factories import StaffFactory
from wallet.books import days
from wallet.models import Audit

ONE_LINE_PIXELS_MAX = 30


def examine(kind: str, outcome: str) -> None:
    Audit.objects.create(
        kind=kind, outcome=outcome, seen_count=1, found_count=1, findings=[], started_at=timezone.now()
    )


def rows_of(boxes) -> list[int]:
    """How many boxes each row has, from top to bottom."""
    tops = [round(box["y"]) for box in boxes]
    return [tops.count(top) for top in sorted(set(tops))]


def test_four_checks_are_two_rows_of_two_and_no_outcome_or_command_wraps(open_browser):
    """The seal check has never run."""
    examine("laws", "found")
    examine("stripe", "unfinished")
    days.close_days()
    member = StaffFactory.create()
    for size, rows in (("desktop", [2, 2]), ("phone", [1, 1, 1, 1])):
        ada = open_browser(size=size)
        ada.comes_signed_in(member, going_to="/admin/")
        checks = ada.page.locator(".check")
        assert rows_of([each.bounding_box() for each in checks.all()]) == rows
        for said in checks.locator(".check-said").all():
            assert said.bounding_box()["height"] < ONE_LINE_PIXELS_MAX
        command = checks.locator("code")
        expect(command).to_have_text("manage.py check_ledger --seals")
        assert command.evaluate("code => code.getClientRects().length") == 1
