"""Service keys, users and plans in the back-office."""

import secrets
from typing import Any

from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from accounts import api_keys
from accounts.key_secrets import digest_of
from accounts.models import DEFAULT_RIGHTS, Act, Plan, ServiceKey
from tests.factories import StaffFactory, UserFactory, enter


def issue(staff, **fields):
    body = {"product": "mail", "rights": list(DEFAULT_RIGHTS), "feature_prefixes": ""}
    body |= {"expires_at_0": "", "expires_at_1": ""}
    body |= {"reason": "a new product", "key": secrets.token_hex(8)} | fields
    return staff.post(reverse("admin:accounts_servicekey_add"), body)


def test_a_key_is_shown_once_and_stored_as_a_digest(staff):
    answer = issue(staff, feature_prefixes="mail.\nreach.")
    secret = answer.context["secret"]
    assert secret in answer.text
    assert "no-store" in answer["Cache-Control"]
    key = ServiceKey.objects.get()
    assert (key.digest, key.feature_prefixes) == (digest_of(secret), ["mail.", "reach."])
    for page in ("changelist", "change"):
        args = [key.pk] if page == "change" else []
        shown = staff.get(reverse(f"admin:accounts_servicekey_{page}", args=args)).text
        assert secret not in shown
        assert key.digest not in shown
    assert secret not in Act.objects.get().reason


def test_a_key_that_makes_no_sense_is_not_made(staff):
    wrong: tuple[dict[str, Any], ...] = (
        {"product": "no spaces"},
        {"product": ""},
        {"expires_at_0": "2020-01-01", "expires_at_1": "00:00"},
        {"feature_prefixes": "blog.\na\u200cb"},
        {"rights": []},
        {"rights": ["everything"]},
        {"reason": "\u3164"},
    )
    for fields in wrong:
        answer = issue(staff, **fields)
        assert answer.status_code == 200
        assert "secret" not in answer.context
    assert not ServiceKey.objects.exists()


def test_a_revoked_key_fails_from_the_next_request_on(staff, as_anonymous):
    secret = issue(staff).context["secret"]
    key = ServiceKey.objects.get()
    as_anonymous.headers["x-wallet-service-key"] = secret
    assert as_anonymous.get("/io/wallet/balance", user_id="usr_1").status_code == 200
    url = reverse("admin:accounts_servicekey_revoke", args=[key.pk])
    assert staff.post(url, {"reason": "leaked", "key": "k"}).status_code == 302
    assert as_anonymous.get("/io/wallet/balance", user_id="usr_1").status_code == 403
    assert staff.get(url).status_code == 404
    again = staff.post(url, {"reason": "leaked", "key": "another"})
    assert "This key is already revoked" in again.text
    assert Act.objects.filter(verb="revoke").count() == 1


def test_a_creators_key_is_revoked_and_the_act_does_not_hold_its_name(staff):
    owner = UserFactory.create()
    key, _ = api_keys.issue(owner=owner, name="of alex@example.com")
    url = reverse("admin:accounts_apikey_revoke", args=[key.pk])
    assert staff.post(url, {"reason": "out in the open", "key": "k"}).status_code == 302
    act = Act.objects.get()
    assert (act.told, act.about) == (f"Revoked the key {key.prefix}….", owner.pk)
    assert "already revoked" in staff.post(url, {"reason": "out in the open", "key": "k2"}).text


def test_keys_cannot_be_edited_or_deleted(staff):
    issue(staff)
    key = ServiceKey.objects.get()
    for page in ("change", "delete"):
        url = reverse(f"admin:accounts_servicekey_{page}", args=[key.pk])
        assert staff.post(url, {"product": "blog", "post": "yes"}).status_code == 403


def test_users_and_plans_open(staff):
    user = UserFactory.create()
    for url in (
        reverse("admin:index"),
        reverse("admin:accounts_user_changelist"),
        reverse("admin:accounts_user_change", args=[quote(user.pk)]),
        reverse("admin:accounts_plan_changelist"),
        reverse("admin:accounts_plan_change", args=["free"]),
    ):
        assert staff.get(url).status_code == 200
    assert [plan.fee_bps for plan in Plan.objects.all()] == [500, 400, 300, 200]


def test_a_user_gets_access_to_the_back_office_and_loses_it_again(staff):
    user = UserFactory.create()
    support = Group.objects.get(name="support")
    url = reverse("admin:accounts_user_access", args=[quote(user.pk)])
    form = {
        "reason": "new colleague",
        "key": "k1",
        "is_active": "on",
        "is_staff": "on",
        "groups": [support.pk],
    }
    assert staff.post(url, form).status_code == 302
    user.refresh_from_db()
    assert (user.is_staff, list(user.groups.all())) == (True, [support])
    assert staff.post(url, {"reason": "left", "key": "k2"}).status_code == 302
    user.refresh_from_db()
    assert (user.is_active, user.is_staff) == (False, False)


def test_staff_without_permission_cannot_grant_access_to_themselves(client, db):
    member = StaffFactory.create(misar_id="staff:member", is_superuser=False)
    member.user_permissions.set(Permission.objects.filter(codename="view_user"))
    enter(client, member)
    url = reverse("admin:accounts_user_access", args=[quote(member.pk)])
    assert client.post(url, {"reason": "x", "key": "k", "is_staff": "on"}).status_code == 403
