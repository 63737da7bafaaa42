"""Lists as CSV files: for roles that may take them, with the rows of the page, no secrets and no formulas."""

import csv
import io
import logging

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse

from accounts.models import User
from backoffice.lists import csv_files
from monetization import tips
from monetization.models import Tip
from tests.factories import StaffFactory, UserFactory, enter
from tests.html import link
from tests.wallet.past import charged, wrote
from wallet.models import Entry, TopUp

ADMINS = sorted(admin.site._registry, key=lambda model: model._meta.label)
SECRETS = {
    *("password", "digest", "payload", "traceback", "content", "form_key", "to", "subject", "text", "html"),
    "mails_off",
}


def file_of(model, query=""):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_csv") + query


def rows_of(answer):
    text = answer.content.decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_no_file_has_a_column_of_secrets(staff, subtests):
    for model in ADMINS:
        header = staff.get(file_of(model)).content.decode().splitlines()[0].split(",")
        with subtests.test(model=model._meta.label):
            assert header
            assert not SECRETS & set(header)


def test_a_file_holds_the_list_as_it_is_filtered_newest_first(staff):
    wrote(50, "2026-03-01 09:00:00")
    older = charged(3, "2026-03-01 10:00:00")
    newer = charged(4, "2026-03-02 10:00:00")
    answer = staff.get(file_of(Entry, "?kind__exact=deduct&q=usr_1"))
    rows = rows_of(answer)
    assert [row["id"] for row in rows] == [newer.pk, older.pk]
    assert (rows[0]["credits"], rows[0]["created_at"]) == ("-4", "2026-03-02T10:00:00Z")
    assert "no-store" in answer["Cache-Control"]
    assert "private" in answer["Cache-Control"]
    assert answer["Content-Disposition"].startswith('attachment; filename="entries-20')


def test_amounts_have_their_currency_in_a_column(staff, give):
    give("usr_1", 50)
    tips.record(creator=UserFactory.create(), amount_cents=999, currency="EUR")
    (topup,) = rows_of(staff.get(file_of(TopUp)))
    assert (topup["paid_cents"], topup["currency"]) == ("5000", "USD")
    (tip,) = rows_of(staff.get(file_of(Tip)))
    assert (tip["gross_cents"], tip["currency"]) == ("999", "EUR")


def test_text_cannot_become_a_formula(staff):
    wrote(5, "2026-03-01 10:00:00", reason='=HYPERLINK("https://evil.example")')
    (row,) = rows_of(staff.get(file_of(Entry)))
    assert row["reason"].startswith("’=")


def test_a_file_that_is_cut_says_so(staff, monkeypatch):
    monkeypatch.setattr(csv_files, "ROWS_MAX", 2)
    for _ in range(3):
        UserFactory.create()
    rows = rows_of(staff.get(file_of(User)))
    assert len(rows) == 3
    assert rows[-1]["misar_id"].startswith("Only the first 2 rows are here")


def test_the_file_of_a_search_for_an_address_has_a_url_without_it(staff):
    UserFactory.create(misar_id="usr_a", email="ada@example.com")
    UserFactory.create()
    page = staff.post(reverse("admin:accounts_user_changelist"), {"sought": "ada@example.com"}, follow=True)
    url = link(page, "Download CSV")
    assert "ada" not in url
    assert [row["misar_id"] for row in rows_of(staff.get(url))] == ["usr_a"]


def test_an_unknown_filter_makes_no_file(staff):
    answer = staff.get(file_of(User, "?password__startswith=a"))
    assert answer.status_code == 302
    assert answer["Location"].endswith("/admin/accounts/user/?e=1")


@pytest.mark.parametrize(("role", "may"), [("support", False), ("billing", True), ("admin", True)])
def test_files_are_for_roles_that_may_take_them(client, db, give, caplog, role, may):
    give("usr_1", 10)
    member = StaffFactory.create(is_superuser=False)
    member.groups.add(Group.objects.get(name=role))
    enter(client, member)
    page = client.get(reverse("admin:wallet_entry_changelist"))
    assert ("Download CSV" in page.text) is may
    with caplog.at_level(logging.INFO):
        answer = client.get(file_of(Entry, "?q=usr_1"))
    assert answer.status_code == (200 if may else 403)
    assert (f"{member.pk} took entries as a file: 1 rows." in caplog.text) is may
    assert "usr_1" not in caplog.text
