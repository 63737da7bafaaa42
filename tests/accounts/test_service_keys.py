"""Service keys: made, found, rotated, revoked; and the command that makes them."""

import hashlib
import re
import subprocess
import sys
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.errors import InvalidServiceKey
from accounts.models import ServiceKey
from accounts.service_keys import find_service_key, issue_service_key, revoke_service_key
from tests.conftest import Caller

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/balance"


def ask(secret: str, **headers: str):
    caller = Caller({"x-wallet-service-key": secret} | headers)
    return caller.get(PATH, user_id="usr_1")


# --- What is made and what is kept -------------------------------------------------------------------


def test_a_key_is_its_prefix_and_64_hex_characters():
    key, secret = issue_service_key(product="blog")
    assert re.fullmatch("wsk_[0-9a-f]{64}", secret)
    assert key.prefix == secret[:12]


def test_two_keys_differ():
    assert issue_service_key(product="blog")[1] != issue_service_key(product="blog")[1]


def test_only_a_digest_of_the_secret_is_kept():
    key, secret = issue_service_key(product="blog")
    assert key.digest == hashlib.sha256(secret.encode()).hexdigest()
    kept = ServiceKey.objects.filter(pk=key.pk).values_list().get()
    assert secret not in str(kept)
    assert secret[12:] not in str(kept)


def test_a_key_names_its_product_and_prefix_never_its_secret():
    key, secret = issue_service_key(product="blog")
    assert str(key) == f"blog ({secret[:12]}…)"
    assert secret not in repr(key)


@pytest.mark.parametrize("product", ["", "no spaces", "x" * 41, "a/b", "ü", "a\x00b"])
def test_a_product_is_a_slug(product):
    with pytest.raises(ValidationError):
        issue_service_key(product=product)
    assert not ServiceKey.objects.exists()


# --- Which keys open a door --------------------------------------------------------------------------


def test_a_good_key_is_found():
    key, secret = issue_service_key(product="blog")
    assert find_service_key(secret) == key
    assert ask(secret).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        " ",
        "wsk_",
        "wsk_" + "0" * 64,
        "wsk_" + "z" * 64,
        "wsk_" + "0" * 10_000,
        "WSK_" + "0" * 64,
        "msk_" + "0" * 64,
        "0" * 64,
        "Bearer wsk_" + "0" * 64,
        "wsk_\x00",
        "wsk_é",
        "wsk_\udc80",
        "null",
        "' OR 1=1 --",
    ],
)
def test_a_wrong_key_is_not_found(wrong):
    issue_service_key(product="blog")
    with pytest.raises(InvalidServiceKey):
        find_service_key(wrong)


def test_a_key_must_be_right_to_the_last_character():
    _, secret = issue_service_key(product="blog")
    last = "0" if secret[-1] != "0" else "1"
    near = (secret[:-1], secret[:-1] + last, secret + "0", secret.upper(), secret + "\n", f" {secret}")
    for wrong in (*near, secret[:12], secret[:12] + "0" * 56):
        with pytest.raises(InvalidServiceKey):
            find_service_key(wrong)


@pytest.mark.parametrize("wrong", ["", "wrong", "wsk_" + "0" * 64, "é", "a, b"])
def test_a_wrong_key_is_403(wrong):
    response = ask(wrong)
    assert response.status_code == 403
    assert response.json() == {"error": "Invalid x-wallet-service-key"}


def test_a_wrong_key_does_not_fall_through_to_a_good_bearer(token):
    response = ask("wrong", Authorization=f"Bearer {token('usr_1')}")
    assert response.status_code == 403
    assert response.json() == {"error": "Invalid x-wallet-service-key"}


def test_with_both_headers_the_service_key_decides(service_key, token, give):
    give("usr_1", 7)
    response = ask(service_key, Authorization=f"Bearer {token('usr_2')}")
    assert response.json() == {"credits": 7}
    assert ask(service_key, Authorization="Bearer nonsense").json() == {"credits": 7}


def test_an_expired_key_is_403(expired_service_key):
    assert ask(expired_service_key).status_code == 403


def test_a_key_works_until_it_expires():
    _, secret = issue_service_key(product="blog", expires_at=timezone.now() + timedelta(minutes=1))
    assert ask(secret).status_code == 200
    ServiceKey.objects.update(expires_at=timezone.now())
    assert ask(secret).status_code == 403


def test_a_revoked_key_is_shut_out_from_the_next_request_on():
    key, secret = issue_service_key(product="blog")
    assert ask(secret).status_code == 200
    revoke_service_key(key)
    response = ask(secret)
    assert response.status_code == 403
    assert response.json() == {"error": "Invalid x-wallet-service-key"}


def test_revoking_again_changes_nothing():
    key, _ = issue_service_key(product="blog")
    revoke_service_key(key)
    first = ServiceKey.objects.get(pk=key.pk).revoked_at
    revoke_service_key(key)
    assert ServiceKey.objects.get(pk=key.pk).revoked_at == first


def test_several_keys_of_a_product_work_at_once_and_end_one_by_one():
    old, old_secret = issue_service_key(product="blog")
    _, new_secret = issue_service_key(product="blog")
    assert ask(old_secret).status_code == ask(new_secret).status_code == 200
    revoke_service_key(old)
    assert ask(old_secret).status_code == 403
    assert ask(new_secret).status_code == 200


# --- Features ---------------------------------------------------------------------------------------


def test_a_key_without_prefixes_may_charge_everything():
    key, _ = issue_service_key(product="blog")
    assert key.may_charge("blog.article.generate")
    assert key.may_charge("mail.send")


def test_a_limited_key_may_charge_what_begins_with_its_prefixes():
    key, _ = issue_service_key(product="blog", feature_prefixes=["blog.", "mail.send"])
    assert key.may_charge("blog.article.generate")
    assert key.may_charge("mail.send")
    for other in ("blogger.article", "Blog.article", "mail.receive", "blog", "", " blog.x"):
        assert not key.may_charge(other)


def test_an_empty_prefix_would_allow_everything_and_is_refused():
    with pytest.raises(ValidationError):
        issue_service_key(product="blog", feature_prefixes=[""])


# --- The command ------------------------------------------------------------------------------------


def made(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("create_service_key", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_prints_the_key_alone_on_the_last_line():
    out, err = made("--product", "blog")
    secret = out.splitlines()[-1]
    assert re.fullmatch("wsk_[0-9a-f]{64}", secret)
    assert out.count("wsk_") == 1
    assert secret not in err
    assert find_service_key(secret).product == "blog"


def test_the_command_limits_a_key_to_features():
    out, _ = made("--product", "blog", "--feature-prefix", "blog.", "--feature-prefix", "mail.send")
    assert find_service_key(out.split()[-1]).feature_prefixes == ["blog.", "mail.send"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--product", "no spaces"],
        ["--product", ""],
        [],
        ["--product", "blog", "--feature-prefix", "a\u200cb"],
        ["--product", "blog", "--feature-prefix", "\u3164"],
    ],
)
def test_the_command_refuses_what_is_no_product(arguments):
    with pytest.raises(CommandError):
        made(*arguments)
    assert not ServiceKey.objects.exists()


def test_run_as_a_process_it_refuses_in_a_sentence_without_a_traceback():
    run = subprocess.run(
        [sys.executable, "manage.py", "create_service_key", "--product", "no spaces"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode != 0
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    assert "slug" in run.stderr
