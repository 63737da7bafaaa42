"""GET, POST and DELETE /mail/v1/keys: a browser's alone."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from accounts import api_keys
from accounts.models import ApiKey, KeyUse, User
from tests.accounts.test_api_keys import made_by
from tests.monetization.conftest import (
    KEYS,
    STATS,
    Browser,
    CreatorsCaller,
    caller_with,
    field_errors,
    form_errors,
    key_of,
    on_wire,
    refused,
)

# The cast is that of the creators' tests.
from tests.monetization.conftest import as_creator as as_creator
from tests.monetization.conftest import browser as browser
from tests.monetization.conftest import creator as creator
from tests.monetization.conftest import stranger as stranger
from tests.monetization.conftest import unhurried as unhurried

pytestmark = pytest.mark.django_db

SIGN_IN = "Sign in to manage API keys"


# --- POST -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [KEYS, "/v1/keys"])
def test_a_new_key_is_shown_with_its_secret_once(browser, creator, path):
    account = str(uuid4())
    body = {
        "name": "Newsletter",
        "scopes": ["monetization", "read"],
        "allowedAccountId": account,
        "expiresAt": "2099-01-01T00:00:00Z",
    }
    response = browser.post(path, body)
    key = ApiKey.objects.get()
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    answer = response.json()
    secret = answer.pop("key")
    assert api_keys.find(secret) == key
    assert answer == {
        "success": True,
        "keyId": str(key.pk),
        "prefix": secret[:12],
        "name": "Newsletter",
        "scopes": "monetization,read",
        "createdAt": on_wire(key.created_at),
        "expiresAt": "2099-01-01T00:00:00Z",
    }
    assert key.owner == creator
    assert key.allowed_account_id == UUID(account)


def test_a_name_is_enough(browser):
    made = made_by(browser, name="My key", scopes=None, allowedAccountId=None, expiresAt=None)
    assert (made["scopes"], made["expiresAt"]) == ("send", None)
    assert ApiKey.objects.get().scopes == ["send"]


def test_scopes_are_kept_once_each_in_their_order(browser):
    assert made_by(browser, scopes=["read", "send", "read"])["scopes"] == "read,send"


def test_every_known_scope_can_be_given(browser):
    assert made_by(browser, scopes=list(api_keys.SCOPES))["scopes"] == ",".join(api_keys.SCOPES)


def test_every_wrong_field_is_named_at_once(browser):
    wrong = {"name": "", "scopes": ["nothing"], "allowedAccountId": "1", "expiresAt": "2020-01-01"}
    assert field_errors(browser.post(KEYS, wrong)) == {
        "name": ["Must not be empty"],
        "scopes": ["Holds a scope we don't know: nothing"],
        "allowedAccountId": ["Must be a UUID"],
        "expiresAt": ["Must be in the future"],
    }
    assert field_errors(browser.post(KEYS, {})) == {"name": ["Required"]}
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "x" * 81, "Must be at most 80 characters"),
        ("name", 7, "Must be text"),
        ("name", "\u3164", "Must not be empty"),
        ("name", " ", "Must not be empty"),
        ("name", "a\nb", "Must hold printable characters only"),
        ("name", "a\u202eb", "Must hold printable characters only"),
        ("scopes", "read", "Must be a list of scopes"),
        ("scopes", [], "Must be a list of scopes"),
        ("scopes", [1], "Must be a list of scopes"),
        ("scopes", [["read"]], "Must be a list of scopes"),
        ("scopes", {"read": True}, "Must be a list of scopes"),
        ("scopes", ["READ"], "Holds a scope we don't know: READ"),
        ("scopes", ["read "], "Holds a scope we don't know: read "),
        ("scopes", ["keys:manage"], "Holds a scope we don't know: keys:manage"),
        ("scopes", ["x" * 1000], "Holds a scope we don't know: " + "x" * 40),
        ("scopes", ["\x00"], "Holds a scope we don't know: ?"),
        ("allowedAccountId", 7, "Must be text"),
        ("allowedAccountId", "", "Must not be empty"),
        ("expiresAt", "soon", "Must be a time in ISO 8601"),
        ("expiresAt", 4070908800, "Must be a time in ISO 8601"),
        ("expiresAt", "0001-01-01", "Must be in the future"),
    ],
)
def test_a_wrong_field_is_named(browser, field, value, message):
    assert field_errors(browser.post(KEYS, {"name": "k", field: value})) == {field: [message]}
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("raw", [b"{", b"[]", b"null"])
def test_a_body_that_is_no_json_object_is_a_form_error(browser, raw):
    assert len(form_errors(browser.post(KEYS, raw=raw))) == 1


def test_a_form_is_no_json(browser):
    response = browser.post(KEYS, {"name": "k"}, content_type="application/x-www-form-urlencoded")
    refused(response, 415, "Content-Type must be application/json")


# --- GET --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [KEYS, "/v1/keys"])
def test_the_list_shows_all_but_the_secret_newest_first(browser, creator, path):
    first, first_secret = api_keys.issue(owner=creator, name="First", scopes=["read", "monetization"])
    ApiKey.objects.update(created_at=timezone.now() - timedelta(days=1))
    caller_with(first_secret).get(STATS)
    api_keys.revoke(owner=creator, key_id=first.pk)
    second, second_secret = api_keys.issue(
        owner=creator,
        name="Second",
        allowed_account_id=uuid4(),
        expires_at=timezone.now() + timedelta(days=1),
    )
    first.refresh_from_db()
    used = KeyUse.objects.get(digest=first.digest)
    assert second.expires_at
    response = browser.get(path)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert response.json() == {
        "success": True,
        "keys": [
            {
                "id": str(second.pk),
                "name": "Second",
                "key_prefix": second_secret[:12],
                "scopes": "send",
                "allowed_account_id": str(second.allowed_account_id),
                "is_active": True,
                "last_used_at": None,
                "created_at": on_wire(second.created_at),
                "expires_at": on_wire(second.expires_at),
            },
            {
                "id": str(first.pk),
                "name": "First",
                "key_prefix": first_secret[:12],
                "scopes": "read,monetization",
                "allowed_account_id": None,
                "is_active": False,
                "last_used_at": on_wire(used.used_at),
                "created_at": on_wire(first.created_at),
                "expires_at": None,
            },
        ],
    }
    for kept in (first_secret[12:], second_secret[12:], first.digest, second.digest):
        assert kept not in response.content.decode()


def test_an_anonymous_caller_has_no_keys(browser, stranger):
    key_of(stranger, "read")
    assert browser.get(KEYS).json() == {"success": True, "keys": []}


def test_an_expired_key_is_not_active(browser, creator):
    key_of(creator, "read", expires_at=timezone.now() - timedelta(seconds=1))
    assert browser.get(KEYS).json()["keys"][0]["is_active"] is False


# --- DELETE -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/mail/v1/keys/{}", "/mail/v1/keys?id={}", "/v1/keys/{}", "/v1/keys?id={}"])
def test_a_key_is_revoked_by_path_or_query(browser, path):
    made = made_by(browser)
    response = browser.delete(path.format(made["keyId"]))
    assert (response.status_code, response.content) == (200, b'{"success":true}')
    assert ApiKey.objects.get().revoked_at is not None
    assert browser.get(KEYS).json()["keys"][0]["is_active"] is False


def test_revoking_again_is_not_found_and_keeps_the_first_moment(browser):
    made = made_by(browser)
    browser.delete(f"{KEYS}/{made['keyId']}")
    revoked_at = ApiKey.objects.get().revoked_at
    refused(browser.delete(f"{KEYS}/{made['keyId']}"), 404, "API key not found")
    assert ApiKey.objects.get().revoked_at == revoked_at


def test_another_users_key_is_not_found(browser, stranger):
    key_of(stranger, "read")
    theirs = ApiKey.objects.get()
    refused(browser.delete(f"{KEYS}/{theirs.pk}"), 404, "API key not found")
    refused(browser.delete(f"{KEYS}?id={theirs.pk}"), 404, "API key not found")
    theirs.refresh_from_db()
    assert theirs.revoked_at is None


@pytest.mark.parametrize("named", ["1", "x" * 5000, "é", "00000000-0000-0000-0000-000000000000"])
def test_what_is_no_key_is_not_found(browser, named):
    refused(browser.delete(f"{KEYS}?id={named}"), 404, "API key not found")


@pytest.mark.parametrize("query", ["", "?id=", "?key=1"])
def test_a_key_must_be_named(browser, query):
    made_by(browser)
    assert field_errors(browser.delete(KEYS + query)) == {"id": ["Required"]}
    assert ApiKey.objects.get().revoked_at is None


# --- Who may manage keys ----------------------------------------------------------------------------

SOME_ID = UUID(int=7)
ASKED = [("GET", KEYS), ("POST", KEYS), ("DELETE", f"{KEYS}?id={SOME_ID}"), ("DELETE", f"{KEYS}/{SOME_ID}")]
EVERY_ENDPOINT = pytest.mark.parametrize(("method", "path"), ASKED)


def ask(caller: CreatorsCaller, method: str, path: str):
    return caller.ask(method, path, {"name": "k"} if method == "POST" else None)


@EVERY_ENDPOINT
def test_an_anonymous_caller_manages_no_keys(method, path):
    refused(ask(CreatorsCaller({}), method, path), 401, SIGN_IN)


@EVERY_ENDPOINT
def test_no_key_mints_or_sees_a_key(creator, method, path):
    refused(ask(caller_with(key_of(creator, *api_keys.SCOPES)), method, path), 401, SIGN_IN)
    assert ApiKey.objects.count() == 1


@EVERY_ENDPOINT
def test_nor_does_an_sso_token(as_creator, creator, method, path):
    refused(ask(as_creator(creator), method, path), 401, SIGN_IN)
    assert not ApiKey.objects.exists()


@EVERY_ENDPOINT
def test_what_changes_something_needs_the_csrf_token(creator, method, path):
    response = ask(Browser(creator, forgets_token=True), method, path)
    if method == "GET":
        assert response.status_code == 200
        return
    assert response.status_code == 403
    assert set(response.json()) == {"success", "error"}
    assert response.json()["error"].startswith("CSRF")
    assert not ApiKey.objects.exists()


def test_a_user_who_was_shut_out_manages_no_keys(browser, creator):
    User.objects.filter(pk=creator.pk).update(is_active=False)
    refused(browser.get(KEYS), 401, SIGN_IN)
