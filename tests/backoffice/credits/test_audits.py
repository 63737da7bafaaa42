"""The list of audits, and the page of one."""

import pytest
from django.urls import reverse

from tests.backoffice.overviews import HOUR, examine, text_of
from wallet.models import Audit

pytestmark = pytest.mark.django_db
LIST = "admin:wallet_audit_changelist"
BALANCE, ACT = "A balance is a sum", "An adjustment has its act"


def page_of(staff, audit: Audit):
    return staff.get(reverse("admin:wallet_audit_change", args=[audit.pk]))


@pytest.mark.parametrize(
    ("outcome", "tag"),
    [
        ("clean", '<span class="tag tag-good">Clean</span>'),
        ("found", '<span class="tag tag-bad">Something found</span>'),
        ("unfinished", '<span class="tag tag-warn">Could not look</span>'),
    ],
)
def test_the_outcome_is_a_tag_as_on_the_overview(staff, outcome, tag):
    audit = examine(Audit.Kind.LAWS, outcome, ago=HOUR)
    for page in (staff.get(reverse(LIST)), page_of(staff, audit), staff.get("/admin/")):
        assert tag in page.text


def test_findings_stand_under_their_law_which_is_named_once(staff, give):
    give("usr_1", 5)
    found = [
        {"law": BALANCE, "subject": "usr_1", "detail": "5, not 6"},
        {"law": ACT, "subject": "txn_1", "detail": "none"},
        {"law": BALANCE, "subject": "usr_<gone>", "detail": "7, not 8"},
    ]
    page = page_of(staff, examine(Audit.Kind.LAWS, "found", found))
    assert f"{BALANCE} usr_1 : 5, not 6 usr_<gone>: 7, not 8 {ACT} txn_1: none" in text_of(page)
    assert f'<a href="{reverse("admin:wallet_wallet_change", args=["usr_5F1"])}">usr_1</a>' in page.text
    assert page.text.count("/admin/wallet/wallet/usr_") == 1


def test_a_remark_is_shown_only_if_there_is_one(staff):
    assert "Why it could not look." not in page_of(staff, examine(Audit.Kind.LAWS)).text
    unfinished = examine(Audit.Kind.LAWS, "unfinished", remark="The disk is full.")
    assert "Remark The disk is full. Why it could not look." in text_of(page_of(staff, unfinished))
