"""Every page of the back-office has a link onward, and no page is Django's own."""

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, reverse

from tests.factories import StaffFactory, UserFactory, enter
from tests.html import link

ADMINS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def page_of(model, name, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


# --- Errors -------------------------------------------------------------------------------------------


def test_a_row_that_is_not_there_is_not_found(staff, subtests):
    for model in ADMINS:
        answer = staff.get(page_of(model, "change", "nope"))
        with subtests.test(model=model._meta.label):
            assert answer.status_code == 404
            assert link(answer, "To the back-office") == reverse("admin:index")
            assert "To your wallet" not in answer.text


@pytest.mark.parametrize("address", ["/admin/nowhere/", "/admin/r/1/1/", "/admin/r/6/usr_1/"])
def test_an_address_that_is_not_there_is_not_found(staff, address):
    UserFactory.create(misar_id="usr_1")
    answer = staff.get(address)
    assert answer.status_code == 404
    assert link(answer, "To the back-office") == "/admin/"


def test_no_address_leads_to_a_row_on_the_site():
    with pytest.raises(NoReverseMatch):
        reverse("admin:view_on_site", args=[1, "usr_1"])


def test_a_page_without_permission_leads_back_to_the_back_office(db):
    member = StaffFactory.create(is_superuser=False)
    member.groups.set(Group.objects.filter(name="support"))
    client = Client()
    enter(client, member)
    answer = client.get(reverse("admin:accounts_servicekey_add"))
    assert answer.status_code == 403
    assert link(answer, "To the back-office") == "/admin/"


def test_elsewhere_an_error_leads_to_the_wallet(client):
    assert link(client.get("/administration"), "To your wallet") == "/wallet"


# --- Our own pages, not Django's ----------------------------------------------------------------------


def test_the_lists_of_an_app_are_beside_the_overview(staff):
    for app in ("wallet", "accounts", "monetization"):
        answer = staff.get(f"/admin/{app}/")
        assert (answer.status_code, answer["Location"]) == (302, reverse("admin:index"))


def test_no_page_leads_to_an_app(staff):
    user = UserFactory.create()
    for page in (page_of(type(user), "changelist"), page_of(type(user), "change", quote(user.pk))):
        shown = staff.get(page).text
        assert 'href="/admin/accounts/"' not in shown
        assert 'href="/admin/accounts/user/"' in shown


def test_a_users_row_shows_yes_and_no_and_the_roles(staff):
    member = StaffFactory.create(is_superuser=False)
    member.groups.set(Group.objects.filter(name__in=["support", "billing"]))
    page = staff.get(page_of(type(member), "change", quote(member.pk)))
    facts = {fact.label: fact.shown for fact in page.context["facts"]}
    expected = ("May sign in", "May enter the back-office", "Superuser", "Roles")
    assert [facts[label] for label in expected] == ["Yes", "Yes", "No", "billing, support"]
    assert "Designates" not in page.text
    assert "Groups" not in facts
    assert "icon-yes" not in page.text
    assert "icon-no" not in page.text


def test_figures_of_a_row_are_written_like_those_of_lists(staff, give):
    entry = give("usr_1", 5000)
    facts = {
        fact.name: fact.shown for fact in staff.get(page_of(type(entry), "change", entry.pk)).context["facts"]
    }
    figures = [shown for shown in facts.values() if "5" in shown and "000" in shown and len(shown) < 20]
    assert figures
    assert not [shown for shown in figures if "5000" in shown]


# --- The ceiling of lists -----------------------------------------------------------------------------

USERS = """
INSERT INTO accounts_user (misar_id, password, is_superuser, email, name, plan_id, is_staff, is_active,
       created_at, mails_off)
SELECT 'usr_many' || n, '!', false, '', '', 'free', false, true, now(), '{}'
  FROM generate_series(1, %s) AS n
"""


@pytest.mark.parametrize(
    ("more", "counted", "is_cut"), [(9_999, "10,000 users", False), (10_000, "10,000+ users", True)]
)
def test_no_list_counts_or_leads_further_than_ten_thousand_rows(staff, more, counted, is_cut):
    with connection.cursor() as cursor:
        cursor.execute(USERS, [more])  # The staff member who looks is one more.
    shown = staff.get(reverse("admin:accounts_user_changelist"), {"p": "999"}).context["cl"]
    assert (shown.counted, shown.page_num, shown.is_cut) == (counted, 200, is_cut)
