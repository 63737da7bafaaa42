"""Each role may do exactly what backoffice/roles.py says, on the pages and by hand-made requests."""

import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys, service_keys
from accounts.models import Act, ServiceKey, User
from backoffice import roles
from backoffice.actions.pages import ActingAdmin
from backoffice.actions.staff_action import StaffAction
from backoffice.errors import AccessRefused
from backoffice.people import access as domain
from backoffice.roles import ROLES
from monetization import sponsors, subscriptions, tips
from monetization.models import Earner
from tests.backoffice.members import member_of, signed_in
from tests.crowd import at_once
from tests.factories import StaffFactory, UserFactory
from tests.wallet import by_hand
from tests.wallet.granted import grant, set_budget
from tests.wallet.held import hold
from wallet.books import ledger
from wallet.books.funds import available_of
from wallet.charges import debits
from wallet.models import Entry, Rate, StripeEvent, TopUp, Wallet

pytestmark = pytest.mark.django_db


def acting() -> Iterator[ActingAdmin]:
    for each in admin.site._registry.values():
        if isinstance(each, ActingAdmin):
            yield each


def permissions_of(role: str) -> set[str]:
    held = Permission.objects.filter(group__name=role).values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in held}


# --- The table ----------------------------------------------------------------------------------------


def test_the_roles_are_the_ones_that_can_be_given():
    assert tuple(ROLES) == roles.NAMES


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_exactly_the_permissions_of_its_list(role):
    """This also finds a listed permission that does not exist."""
    assert len(ROLES[role]) == len(set(ROLES[role]))
    assert permissions_of(role) == set(ROLES[role])


def test_each_role_may_do_all_that_the_role_before_may():
    assert set(ROLES["support"]) < set(ROLES["billing"]) < set(ROLES["admin"])


def test_support_may_only_view():
    may_do = [name for name in ROLES["support"] if not name.partition(".")[2].startswith("view_")]
    assert may_do == ["accounts.note_user"]


def test_every_action_and_every_addition_belongs_to_a_role():
    for each in acting():
        permissions = {action.permission for action in each.staff_actions}
        if each.addition:
            permissions.add(each.addition.permission)
        assert permissions <= set(ROLES["admin"]), each.opts.label


def test_every_role_sees_every_list():
    for each in admin.site._registry.values():
        name = f"{each.opts.app_label}.view_{each.opts.model_name}"
        assert all(name in ROLES[role] for role in ROLES), name


def test_a_migration_undoes_permissions_changed_by_hand():
    support = Group.objects.get(name="support")
    support.permissions.add(Permission.objects.get(codename="adjust_wallet"))
    Group.objects.get(name="billing").permissions.clear()
    Group.objects.get(name="admin").delete()
    member = member_of("support")
    call_command("migrate", verbosity=0)
    assert {role: permissions_of(role) for role in ROLES} == {role: set(ROLES[role]) for role in ROLES}
    assert list(member.groups.all()) == [support]


# --- A row of everything ------------------------------------------------------------------------------


@pytest.fixture
def rows(give, deliver, checkout_event) -> dict[type[models.Model], list[models.Model]]:
    """Rows of every kind that has staff actions, in states in which they apply."""
    creator = UserFactory.create()
    give("usr_1", 10)
    set_budget(100, "usr_1")
    charge = debits.debit(
        user_id="usr_1",
        credits=2,
        kind=Entry.Kind.DEDUCT,
        actor="service:wsk_test",
        feature="blog.article.generate",
        count=2,
        product="blog",
    )
    deliver(checkout_event(currency="eur"))
    now = timezone.now()
    placed = sponsors.place(
        creator=creator,
        position="header",
        sponsor_name="Acme",
        logo_url="https://a.example/l.png",
        target_url="https://a.example",
        currency="USD",
        active_from=now,
        active_until=now + timedelta(days=7),
    )
    paid = TopUp.objects.get(state="paid")
    give("usr_2", 10)
    ledger.set_frozen("usr_2", frozen=True)
    found: list[models.Model] = [
        Wallet.objects.get(pk="usr_1"),
        Wallet.objects.get(pk="usr_2"),
        charge,
        hold("usr_1", 1, feature="mail.send"),
        grant("usr_1", 4),
        TopUp.objects.create(user_id="usr_1", state="created", stripe_session_id="cs_test_open"),
        paid,
        by_hand.request_refund(
            topup=paid, amount_cents=100, reason="r", actor="user:x", form_key="k", state="asking"
        ),
        StripeEvent.objects.get(),
        Rate.objects.get(feature="mail.send"),
        creator,
        member_of("support"),
        creator.plan,
        service_keys.issue_service_key(product="blog")[0],
        stopped_key(),
        api_keys.issue(owner=creator, name="mine")[0],
        Earner.objects.get(),
        placed,
        subscriptions.record(
            creator=creator, subscriber_email="a@example.com", plan="m", amount_cents=799, currency="USD"
        ),
        tips.record(creator=creator, amount_cents=999, email="alex@example.com", stripe_payment_id="pi_1"),
    ]
    by_model: dict[type[models.Model], list[models.Model]] = {}
    for row in found:
        by_model.setdefault(type(row), []).append(row)
    return by_model


def stopped_key() -> ServiceKey:
    service_keys.stop_product("mail")
    return service_keys.issue_service_key(product="mail")[0]


def pages_of(rows: Any) -> Iterator[tuple[ActingAdmin, StaffAction, models.Model]]:
    """Every staff action with a row to which it applies. Without such a row, this test has a gap."""
    for each in acting():
        for action in each.staff_actions:
            fitting = [row for row in rows.get(each.model, []) if action.applies(row)]
            assert fitting, f"no row for {action.name} of {each.opts.label}"
            yield each, action, fitting[0]


@pytest.mark.parametrize("role", [*ROLES, "none"])
def test_what_a_role_may_not_do_is_neither_shown_nor_reachable(rows, role):
    client = signed_in(member_of(role))
    held = set(ROLES.get(role, ()))
    for each, action, row in pages_of(rows):
        page = each.address_of(action, row)
        shown = client.get(
            reverse(f"admin:{each.opts.app_label}_{each.opts.model_name}_change", args=[quote(row.pk)])
        )
        if action.permission in held:
            assert page in shown.text, page
            assert client.get(page).status_code == 200, page
            # Without a reason the form answers and nothing is done.
            assert client.post(page, {"reason": "", "key": "k"}).status_code == 200, page
        else:
            assert page not in shown.text, page
            assert client.get(page).status_code == 403, page
            assert client.post(page, {"reason": "x", "key": "k"}).status_code == 403, page
    assert not Act.objects.exclude(verb="test").exists()


@pytest.mark.parametrize("role", [*ROLES, "none"])
def test_what_a_role_may_not_add_is_neither_shown_nor_reachable(rows, role):
    client = signed_in(member_of(role))
    held = set(ROLES.get(role, ()))
    for each in acting():
        name = f"admin:{each.opts.app_label}_{each.opts.model_name}"
        add = reverse(f"{name}_add")
        listed = client.get(reverse(f"{name}_changelist"))
        if each.addition and each.addition.permission in held:
            assert add in listed.text, add
            assert client.get(add).status_code == 200, add
            assert client.post(add, {"reason": "", "key": "k"}).status_code == 200, add
        else:
            assert add not in listed.text, add
            assert client.get(add).status_code == 403, add
            assert client.post(add, {"reason": "x", "key": "k"}).status_code == 403, add
    assert not Act.objects.exclude(verb="test").exists()


def test_a_permission_to_act_without_permission_to_view_opens_nothing(rows):
    member = member_of()
    # In Django, permission to change a row includes permission to view it.
    unseeing = Permission.objects.exclude(codename__regex="^(view|change)_")
    member.user_permissions.set(unseeing)
    client = signed_in(member)
    for each, action, row in pages_of(rows):
        if not action.permission.partition(".")[2].startswith("change_"):
            assert client.get(each.address_of(action, row)).status_code == 403, action.name


def test_visitors_who_are_not_staff_reach_no_action(rows):
    for client in (Client(), signed_in(UserFactory.create())):
        for each, action, row in pages_of(rows):
            page = each.address_of(action, row)
            for answer in (client.get(page), client.post(page, {"reason": "x", "key": "k"})):
                assert answer.status_code == 302, page
                assert answer["Location"].startswith("/admin/login/"), page
    assert not Act.objects.exclude(verb="test").exists()


# --- Hand-made requests -------------------------------------------------------------------------------


def adjust_page(user_id: str = "usr_1") -> str:
    return reverse("admin:wallet_wallet_adjust", args=[quote(user_id)])


def adjustment(**changes: str) -> dict[str, str]:
    return {"credits": "5", "reason": "asked by mail", "key": secrets.token_hex(8)} | changes


def test_a_form_of_billing_replayed_by_support_moves_nothing():
    form = adjustment()
    assert signed_in(member_of("billing")).post(adjust_page(), form).status_code == 302
    assert signed_in(member_of("support")).post(adjust_page(), form).status_code == 403
    assert available_of("usr_1") == 5
    assert Act.objects.count() == 1


def test_a_role_that_is_taken_away_no_longer_counts_in_the_next_request():
    member = member_of("billing")
    client = signed_in(member)
    assert client.post(adjust_page(), adjustment()).status_code == 302
    member.groups.clear()
    assert client.get(adjust_page()).status_code == 403
    assert client.post(adjust_page(), adjustment()).status_code == 403
    member.groups.set(Group.objects.filter(name="billing"))
    User.objects.filter(pk=member.pk).update(is_staff=False)
    assert client.post(adjust_page(), adjustment()).status_code == 302  # To the sign-in.
    User.objects.filter(pk=member.pk).update(is_staff=True, is_active=False)
    assert client.post(adjust_page(), adjustment()).status_code == 302
    assert available_of("usr_1") == 5


# --- Access -------------------------------------------------------------------------------------------


def access(client: Client, user: User, *groups: str, action: str = "access", **fields: str) -> Any:
    page = reverse(f"admin:accounts_user_{action}", args=[quote(user.pk)])
    chosen = [str(pk) for pk in Group.objects.filter(name__in=groups).values_list("pk", flat=True)]
    form: dict[str, Any] = {"reason": "a new colleague", "key": secrets.token_hex(8), "groups": chosen}
    return client.post(page, form | fields)


OPEN = {"is_active": "on", "is_staff": "on"}


def test_an_admin_gives_a_role_and_the_act_says_what_changed():
    user = UserFactory.create()
    client = signed_in(member_of("admin"))
    assert access(client, user, "support", **OPEN).status_code == 302
    act = Act.objects.get()
    assert act.told == f"{user.pk}: back-office from shut to open; roles from none to support."
    assert act.about == user.pk
    assert access(client, user, "support", "billing", **OPEN).status_code == 302
    assert Act.objects.latest("pk").told == f"{user.pk}: roles from support to billing and support."
    assert "nothing would change" in access(client, user, "support", "billing", **OPEN).text


def test_the_form_offers_only_the_roles_and_shows_the_current_ones():
    Group.objects.create(name="of old")
    user = member_of("billing")
    page = signed_in(member_of("admin")).get(reverse("admin:accounts_user_access", args=[quote(user.pk)]))
    form = page.context["form"]
    assert [group.name for group in form.fields["groups"].queryset] == list(roles.NAMES)
    assert form.initial["groups"] == [Group.objects.get(name="billing").pk]
    assert form.initial["is_staff"] is True


def test_staff_cannot_change_their_own_access():
    for member in (member_of("admin"), StaffFactory.create()):
        client = signed_in(member)
        assert "You can&#x27;t change your own access" in access(client, member, "admin", **OPEN).text
        assert "You can&#x27;t change your own access" in access(client, member, action="second-factor").text
    assert not Act.objects.exclude(verb="test").exists()


def test_only_a_superuser_changes_a_superuser():
    chief, other = StaffFactory.create(), StaffFactory.create()
    admin_of = signed_in(member_of("admin"))
    for action in ("access", "second-factor"):
        answer = access(admin_of, chief, action=action)
        assert "Only a superuser can change a superuser&#x27;s access" in answer.text
    assert access(signed_in(other), chief, **OPEN | {"is_staff": ""}).status_code == 302
    chief.refresh_from_db()
    assert (chief.is_active, chief.is_staff) == (True, False)


def test_the_last_superuser_keeps_their_access():
    """The request was under way when its sender lost access."""
    chief = StaffFactory.create()
    gone = StaffFactory.create(is_active=False)
    with pytest.raises(AccessRefused, match="last superuser"):
        domain.set_access(user=chief, is_active=True, is_staff=False, groups=[], by=gone)
    assert User.objects.get(pk=chief.pk).is_staff


@pytest.mark.django_db(transaction=True)
def test_two_superusers_who_remove_each_other_at_once_leave_one():
    for _ in range(4):
        User.objects.update(is_active=False)
        one, two = StaffFactory.create(), StaffFactory.create()
        first, second = signed_in(one), signed_in(two)
        at_once([lambda: access(first, two), lambda: access(second, one)])  # noqa: B023 (ended by then)
        still = User.objects.filter(pk__in=[one.pk, two.pk], is_active=True, is_staff=True)
        assert still.count() == 1
