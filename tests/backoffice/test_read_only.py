"""Every page of the admin, requested by every role in every way: no request edits money or history.

Staff actions have tests of their own (test_acts.py). Here their forms are sent without a reason and a key.
"""

import re
import secrets
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.db import connection, models
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts import api_keys, service_keys
from accounts.models import Act, OutgoingMail
from backoffice.actions.pages import ActingAdmin
from monetization import sponsors, subscriptions, tips
from monetization.models import Erasure
from tests.factories import StaffFactory, UserFactory, enter
from tests.wallet import by_hand
from tests.wallet.granted import grant
from tests.wallet.held import hold
from tests.wallet.past import charged, gave_back
from wallet.models import (
    Audit,
    ClosedDay,
    DayTotal,
    StripeDispute,
    StripeEvent,
    StripeRefund,
    TopUp,
)
from wallet.prices import rates

ADMINS = sorted(admin.site._registry, key=lambda model: model._meta.label)
ROLES = ["superuser", "support", "billing", "admin", "none"]
# Tables that a sign-in or a read writes to.
PASSING = {"django_session", "accounts_cache", "accounts_ratecounter", "axes_accessattempt", "axes_accesslog"}
ADDITIONS = {"accounts.servicekey", "accounts.plan", "wallet.rate"}


@pytest.fixture
def rows(give, article_rate):
    """A row of every kind."""
    creator = UserFactory.create(misar_id="usr_1")
    now = timezone.now()
    give("usr_1", 50)
    gave_back(charged(9, now), 4, now)
    hold("usr_1", 3)
    grant("usr_1", 4)
    tip = tips.record(creator=creator, amount_cents=999, email="alex@example.com")
    tips.refund(creator=creator, tip_id=tip.pk, amount_cents=100, key="k", actor="user:x")
    subscriptions.record(
        creator=creator, subscriber_email="alex@example.com", plan="monthly", amount_cents=799, currency="USD"
    )
    sponsors.place(
        creator=creator,
        sponsor_name="Acme",
        position="header",
        active_from=now,
        active_until=now + timedelta(days=7),
        logo_url="https://a.example/l.png",
        target_url="https://a.example",
        currency="USD",
    )
    service_keys.issue_service_key(product="mail")
    api_keys.issue(owner=creator, name="k", scopes=["read"])
    StripeEvent.objects.create(id="evt_1", type="checkout.session.completed", state="parked", user_id="usr_1")
    at_stripe = {"payment_intent_id": "pi_1", "amount_cents": 100, "created_at": now, "reported_at": now}
    StripeRefund.objects.create(id="re_1", status="pending", **at_stripe)
    StripeDispute.objects.create(id="dp_1", status="needs_response", **at_stripe)
    by_hand.request_refund(
        topup=TopUp.objects.all()[0], amount_cents=100, reason="r", actor="user:x", form_key="k"
    )
    rates.set_rate(feature="f", label="l", credits=1, unit="u", actor="user:x")
    Audit.objects.create(kind="laws", outcome="clean", seen_count=1, found_count=0, started_at=now)
    Erasure.objects.create(actor="user:x", tips=0, subscriptions=0)
    day = ClosedDay.objects.create(day="2020-01-01", entries=0)
    OutgoingMail.objects.create(kind="receipt", fact="receipt:1", user=creator, to="a@b.c")
    Act.objects.create(staff=StaffFactory.create(), verb="v", label="l", model="m", row_id="r", told="t")
    assert not DayTotal.objects.filter(day=day).exists()


@pytest.fixture
def as_role(client, db):
    """A browser of a staff member with this role; "none" is a staff member without a role."""

    def come(role):
        member = StaffFactory.create(is_superuser=role == "superuser")
        if role in ("support", "billing", "admin"):
            member.groups.add(Group.objects.get(name=role))
        enter(client, member)
        return client

    return come


def digests():
    """A digest of all rows and columns of each table."""
    found = {}
    with connection.cursor() as cursor:
        for table in sorted(set(connection.introspection.table_names(cursor)) - PASSING):
            cursor.execute(f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t")
            (found[table],) = cursor.fetchone()
    return found


def page_of(model, name, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def values_of(row):
    """All values that a form could send for a row, changed where possible."""
    sent = {}
    for field in row._meta.concrete_fields:
        value = getattr(row, field.attname)
        if isinstance(field, models.BooleanField):
            sent[field.name] = "" if value else "on"
        elif isinstance(field, models.IntegerField):
            sent[field.name] = str((value or 0) + 1)
        elif isinstance(field, models.DateTimeField):
            sent |= {f"{field.name}_0": "2030-01-01", f"{field.name}_1": "00:00:00"}
        elif field.choices:
            sent[field.name] = next((choice for choice, _ in field.flatchoices if choice != value), value)
        elif field.is_relation or field.primary_key:
            sent[field.name] = str(value or "")
        else:
            sent[field.name] = f"{value or ''}x"
    return sent | {"_save": "Save", "_continue": "1", "_saveasnew": "1", "post": "yes", "is_superuser": "on"}


def formset_of(row):
    """The same values as an editable list would send them."""
    each = {f"form-0-{name}": value for name, value in values_of(row).items()}
    key = {f"form-0-{row._meta.pk.name}": str(row.pk)}
    counts = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-MIN_NUM_FORMS": "0"}
    return each | key | counts | {"_save": "Save"}


def actions_on(row):
    chosen = {"_selected_action": [str(row.pk)], "select_across": "1"}
    return [
        chosen | {"action": "delete_selected", "index": "0"},
        chosen | {"action": "delete_selected", "post": "yes"},
    ]


@pytest.mark.parametrize("role", ["superuser", "support"])
def test_no_hand_made_request_changes_a_row(rows, as_role, role):
    client = as_role(role)
    before = digests()
    for model in ADMINS:
        row = model._default_manager.first()
        assert row is not None, f"there is no {model} to try it on"
        key, data = quote(row.pk), values_of(row)
        for page in (page_of(model, "add"), page_of(model, "change", key), page_of(model, "delete", key)):
            assert client.post(page, data).status_code in (200, 400, 403), page
            assert client.get(page).status_code in (200, 400, 403), page
        client.get(page_of(model, "history", key))
        client.post(page_of(model, "history", key), data)
        client.post(page_of(model, "csv"), data)
        for sent in (formset_of(row), *actions_on(row)):
            assert client.post(page_of(model, "changelist"), sent).status_code in (403, 405)
        for method in ("put", "patch", "delete"):
            getattr(client, method)(page_of(model, "change", key), data, content_type="application/json")
    assert digests() == before


@pytest.mark.parametrize("extra", ["?_popup=1", "?_to_field={key}", "?_changelist_filters=x"])
def test_other_parameters_of_djangos_admin_change_no_row(rows, as_role, extra):
    """A superuser sends them."""
    client = as_role("superuser")
    before = digests()
    for model in ADMINS:
        row = model._default_manager.first()
        assert row is not None, f"there is no {model} to try it on"
        key, data, asked = quote(row.pk), values_of(row), extra.format(key=row._meta.pk.name)
        for page in (page_of(model, "add"), page_of(model, "change", key), page_of(model, "delete", key)):
            assert client.post(page + asked, data).status_code in (200, 400, 403), page
        for sent in (formset_of(row), actions_on(row)[1]):
            assert client.post(page_of(model, "changelist") + asked, sent).status_code in (403, 405)
    assert digests() == before


@pytest.mark.parametrize("role", ROLES)
def test_an_action_without_a_reason_and_a_key_does_nothing(rows, as_role, role):
    client = as_role(role)
    before = digests()
    for model in ADMINS:
        of_model: Any = admin.site.get_model_admin(model)
        row = model._default_manager.first()
        for action in getattr(of_model, "staff_actions", ()):
            page = of_model.address_of(action, row)
            no_reason = {"reason": " ", "key": secrets.token_hex(8)}
            for sent in ({"x": ""}, values_of(row), values_of(row) | no_reason):
                assert client.post(page, sent).status_code in (200, 403), page
        client.post(page_of(model, "add"), values_of(model._default_manager.first()))
    assert digests() == before


@pytest.mark.parametrize("role", ROLES)
def test_only_declared_additions_add_rows_and_nothing_changes_or_deletes_them(rf, as_role, role):
    client = as_role(role)
    request = rf.get("/admin/")
    request.user = client.get("/admin/password_change/").wsgi_request.user
    for model in ADMINS:
        of_model = admin.site.get_model_admin(model)
        may_add = isinstance(of_model, ActingAdmin) and of_model.has_add_permission(request)
        assert of_model.has_add_permission(request) == may_add
        assert not may_add or model._meta.label_lower in ADDITIONS
        assert not of_model.has_change_permission(request)
        assert not of_model.has_delete_permission(request)
        assert not of_model.get_actions(request)
        assert not of_model.list_editable
        assert not of_model.inlines


def test_the_additions_are_these(rf, as_role):
    request = rf.get("/admin/")
    request.user = as_role("superuser").get("/admin/password_change/").wsgi_request.user
    may_add = {
        model._meta.label_lower for model in ADMINS if admin.site._registry[model].has_add_permission(request)
    }
    assert may_add == ADDITIONS


# --- Signing in -------------------------------------------------------------------------------------------


def addresses(resolver, prefix):
    """Every address of the admin, with a key where the address has one."""
    for each in resolver.url_patterns:
        address = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from addresses(each, address)
        elif isinstance(each, URLPattern):
            yield address


def admin_addresses():
    (root,) = [each for each in get_resolver().url_patterns if str(each.pattern) == "admin/"]
    for address in addresses(root, "/admin/"):
        if "^" in address:
            yield "/admin/wallet/"  # The page of an app.
        else:
            yield address.replace("<path:object_id>", "x").replace("<path:url>", "x")


# The tests of signing in cover these.
OPEN = {"/admin/login/", "/admin/logout/"}


def test_there_are_many_addresses():
    assert len(set(admin_addresses())) > 100


def test_every_address_sends_anonymous_visitors_to_sign_in(client, db):
    for address in sorted({*admin_addresses()} - OPEN):
        for answer in (client.get(address), client.post(address, {"sought": "x", "reason": "x", "key": "k"})):
            assert answer.status_code == 302, address
            assert "/sign-in" in answer["Location"] or "/admin/login/" in answer["Location"], address


def test_a_user_who_is_not_staff_can_open_no_address(client, db):
    client.force_login(UserFactory.create())
    for address in sorted({*admin_addresses()} - OPEN):
        assert client.get(address).status_code in (302, 403), address


def test_no_page_shows_an_actor_as_the_database_has_it(rows, as_role):
    client = as_role("superuser")
    named = set()
    for model in ADMINS:
        pages = [page_of(model, "changelist")]
        if row := model._default_manager.first():
            pages.append(page_of(model, "change", quote(row.pk)))
        for page in pages:
            text = client.get(page).text
            assert not re.search(r">\s*(service:|user:)", text), page
            named |= set(re.findall(r"MisarBlog, key \w+|The installation", text))
    assert named == {"MisarBlog, key wsk_test", "The installation"}
