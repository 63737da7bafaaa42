"""`msk_` keys: made, found, counted, revoked; and the command. Their endpoints: api/test_keys.py."""

import hashlib
import logging
import re
import subprocess
import sys
from datetime import timedelta
from functools import partial
from io import StringIO

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys, plans
from accounts.errors import InvalidApiKey, KeyLimitReached
from accounts.models import ApiKey, User
from tests.crowd import at_once
from tests.monetization.conftest import (
    BAD_KEY,
    KEYS,
    STATS,
    Browser,
    caller_with,
    in_days,
    key_of,
    refused,
)

# The cast is that of the creators' tests.
from tests.monetization.conftest import browser as browser
from tests.monetization.conftest import creator as creator
from tests.monetization.conftest import stranger as stranger
from tests.monetization.conftest import unhurried as unhurried

pytestmark = pytest.mark.django_db

ONE_KEY = "Your plan allows 1 active API key. Revoke one, or change your plan"


def made_by(browser: Browser, **body) -> dict:
    response = browser.post(KEYS, {"name": "My key"} | body)
    assert response.status_code == 201
    return response.json()


def on_plan(user: User, slug: str) -> User:
    User.objects.filter(pk=user.pk).update(plan_id=slug)
    user.refresh_from_db()
    return user


# --- What is made and what is kept -------------------------------------------------------------------


def test_a_key_is_its_prefix_and_64_hex_characters(creator):
    key, secret = api_keys.issue(owner=creator, name="A key")
    assert re.fullmatch("msk_[0-9a-f]{64}", secret)
    assert len(secret) == 68
    assert key.prefix == secret[:12]


def test_only_a_digest_of_the_secret_is_kept(creator):
    key, secret = api_keys.issue(owner=creator, name="A key")
    kept = str(ApiKey.objects.filter(pk=key.pk).values_list().get())
    assert key.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in kept
    assert secret[12:] not in kept


def test_a_key_names_itself_and_its_prefix_never_its_secret(creator):
    key, secret = api_keys.issue(owner=creator, name="A key")
    assert str(key) == f"A key ({secret[:12]}…)"
    assert secret not in repr(key)


def test_two_keys_differ(creator):
    assert key_of(creator, "read") != key_of(creator, "read")


def test_keys_that_share_a_prefix_are_told_apart(creator, stranger):
    """Eight hex characters are few enough to meet; the digest decides."""
    first, second = key_of(creator, "read"), key_of(stranger, "read")
    ApiKey.objects.filter(owner=stranger).update(prefix=first[:12])
    assert api_keys.find(first).owner == creator
    ApiKey.objects.update(prefix=second[:12])
    assert api_keys.find(second).owner == stranger


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        " ",
        "msk_",
        "msk_" + "0" * 64,
        "msk_" + "0" * 63,
        "msk_" + "0" * 65,
        "msk_" + "\x00" * 64,
        "é" * 68,
    ],
)
def test_a_wrong_secret_is_none(creator, wrong):
    key_of(creator, "read")
    with pytest.raises(InvalidApiKey):
        api_keys.find(wrong)


def test_a_secret_is_compared_whole(creator):
    secret = key_of(creator, "read")
    for wrong in (secret[:-1] + ("0" if secret[-1] != "0" else "1"), secret[:12] + "0" * 56, secret.upper()):
        with pytest.raises(InvalidApiKey):
            api_keys.find(wrong)


# --- Which keys open a door --------------------------------------------------------------------------


def test_a_key_opens_until_it_expires(creator):
    key, secret = api_keys.issue(
        owner=creator, name="k", scopes=["read"], expires_at=timezone.now() + timedelta(minutes=1)
    )
    assert caller_with(secret).get(STATS).status_code == 200
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
    refused(caller_with(secret).get(STATS), 401, BAD_KEY)


def test_a_revoked_key_is_shut_out_from_the_next_request_on(browser):
    made = made_by(browser, scopes=["read"])
    assert caller_with(made["key"]).get(STATS).status_code == 200
    assert browser.delete(f"{KEYS}/{made['keyId']}").status_code == 200
    refused(caller_with(made["key"]).get(STATS), 401, BAD_KEY)


# --- How many ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("plan", "limit"), [("free", 1), ("pro", 5)])
def test_a_plan_has_room_for_so_many_active_keys(creator, plan, limit):
    browser = Browser(on_plan(creator, plan))
    for _ in range(limit):
        made_by(browser)
    count = "1 active API key" if limit == 1 else f"{limit} active API keys"
    sentence = f"Your plan allows {count}. Revoke one, or change your plan"
    refused(browser.post(KEYS, {"name": "One more"}), 403, sentence)
    assert ApiKey.objects.count() == limit


@pytest.mark.parametrize("plan", ["max", "enterprise"])
def test_the_larger_plans_have_no_limit(creator, plan):
    browser = Browser(on_plan(creator, plan))
    for _ in range(7):
        made_by(browser)


def test_a_revoked_and_an_expired_key_take_no_place(browser, creator):
    made = made_by(browser)
    browser.delete(f"{KEYS}/{made['keyId']}")
    second = made_by(browser, expiresAt=in_days(1))
    ApiKey.objects.filter(pk=second["keyId"]).update(expires_at=timezone.now())
    made_by(browser)
    refused(browser.post(KEYS, {"name": "One more"}), 403, ONE_KEY)


def test_another_users_keys_take_no_place(browser, stranger):
    key_of(stranger, "read")
    made_by(browser)


def test_a_limit_that_staff_changed_holds_at_once(browser):
    made_by(browser)
    plans.set_plan(slug="free", name="Free", fee_bps=500, key_limit=2, actor="user:staff:1")
    made_by(browser)
    plans.set_plan(slug="free", name="Free", fee_bps=500, key_limit=0, actor="user:staff:1")
    sentence = "Your plan allows 0 active API keys. Revoke one, or change your plan"
    refused(browser.post(KEYS, {"name": "One more"}), 403, sentence)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("plan", "there"), [("free", 0), ("pro", 4)])
def test_of_many_who_want_the_last_place_one_gets_it(creator, plan, there):
    on_plan(creator, plan)
    for _ in range(there):
        key_of(creator, "read")
    browsers = [Browser(creator) for _ in range(8)]
    answers = at_once([partial(browser.post, KEYS, {"name": "Last"}) for browser in browsers])
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(201), statuses.count(403)) == (1, 7)
    assert ApiKey.objects.usable(timezone.now()).count() == there + 1


# --- Secrets stay secret ------------------------------------------------------------------------------


def test_no_secret_is_in_the_log(browser, creator, caplog):
    caplog.set_level(logging.DEBUG)
    secret = made_by(browser, scopes=["read"])["key"]
    caller_with(secret).get(STATS)
    caller_with(secret).post("/mail/v1/monetization/tip", {})
    browser.delete(KEYS)
    caller_with(secret[:-1] + "x").get(STATS)
    assert secret[12:-1] not in caplog.text
    assert not any(secret[12:-1] in str(record.__dict__) for record in caplog.records)


def test_no_secret_is_in_the_back_office(staff, creator):
    key, secret = api_keys.issue(owner=creator, name="A key")
    pages = [
        reverse("admin:accounts_apikey_changelist"),
        reverse("admin:accounts_apikey_change", args=[key.pk]),
        reverse("admin:accounts_user_change", args=[creator.pk]),
    ]
    for page in pages:
        text = staff.get(page).content.decode()
        assert secret[12:] not in text
        assert key.digest not in text
    assert secret[:12] in staff.get(pages[0]).content.decode()


# --- The command ------------------------------------------------------------------------------------


def command(**options) -> tuple[str, str]:
    out, error = StringIO(), StringIO()
    call_command("create_api_key", stdout=out, stderr=error, **options)
    return out.getvalue(), error.getvalue()


def test_the_command_prints_the_key_alone_on_the_last_line(creator):
    out, error = command(user=creator.pk, scopes="monetization,read")
    secret = out.splitlines()[-1]
    assert re.fullmatch("msk_[0-9a-f]{64}", secret)
    assert secret not in error
    key = api_keys.find(secret)
    assert (key.owner, key.scopes, key.expires_at) == (creator, ["monetization", "read"], None)


def test_the_command_makes_the_user():
    out, _ = command(user="usr_new", scopes="read")
    user = User.objects.get(pk="usr_new")
    assert api_keys.find(out.split()[-1]).owner == user
    assert (user.is_staff, user.plan_id, user.has_usable_password()) == (False, "free", False)


def test_the_command_is_not_bound_by_the_limit(creator):
    for _ in range(3):
        command(user=creator.pk)
    assert ApiKey.objects.filter(owner=creator, scopes=["send"]).count() == 3
    with pytest.raises(KeyLimitReached):
        api_keys.issue(owner=creator, name="One more")


@pytest.mark.parametrize(
    "options",
    [
        {"user": "usr_1", "scopes": "everything"},
        {"user": "usr_1", "scopes": ""},
        {"user": "", "scopes": "read"},
        {"user": "staff:root", "scopes": "read"},
        {"user": "a\nb", "scopes": "read"},
        {"user": "x" * 256, "scopes": "read"},
        {"user": "\u3164", "scopes": "read"},
        {"user": "usr_1", "scopes": "read", "name": "\u3164"},
        {"user": "usr_1", "scopes": "read", "name": "\u3164" * 200 + "a"},
        {"user": "usr_1", "scopes": "read", "name": "a\x1bb"},
    ],
)
def test_the_command_refuses_what_is_no_user_or_scope(options):
    with pytest.raises(CommandError):
        command(**options)
    assert not User.objects.exists()
    assert not ApiKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_as_a_process_it_prints_nothing_else_on_stdout(creator):
    name = connection.settings_dict["NAME"]
    code = (
        "import django; django.setup();"
        "from django.conf import settings; from django.db import connection;"
        f"connection.settings_dict['NAME'] = {name!r};"
        "from django.core.management import call_command;"
        "call_command('create_api_key', user='usr_creator', scopes='read')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=django_settings.BASE_DIR, check=True
    )
    secret = done.stdout.strip()
    assert re.fullmatch("msk_[0-9a-f]{64}", secret)
    assert api_keys.find(secret).owner == creator
    assert secret not in done.stderr
