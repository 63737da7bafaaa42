"""Staff sign in with a password and a second factor; guessing is paused; nothing is reached without both."""

import re
import time

import pytest
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.signing_in import second_factor, sessions
from tests.codes import STEP_SECONDS, code_at, code_of
from tests.factories import StaffFactory, UserFactory, enter

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
SIGN_IN = "/sign-in/staff"
SET_UP = "/account/second-factor"


@pytest.fixture
def ada(db):
    """A staff member with a password and a second factor."""
    ada = StaffFactory.create(misar_id="staff:ada")
    ada.set_password(PASSWORD)
    ada.save()
    return ada


@pytest.fixture
def newcomer(db):
    """A staff member on their first day."""
    newcomer = StaffFactory.create(misar_id="staff:new", with_second_factor=False)
    newcomer.set_password(PASSWORD)
    newcomer.save()
    return newcomer


def try_password(client, name, password, **headers):
    return client.post(SIGN_IN, {"login": name, "password": password}, **headers)


# --- The way in -------------------------------------------------------------------------------------


def test_the_admin_sends_a_stranger_to_the_password_and_back(client, ada):
    first = client.get("/admin/wallet/entry/", follow=True)
    assert first.request["PATH_INFO"] == SIGN_IN
    answer = client.post(
        SIGN_IN, {"login": "staff:ada", "password": PASSWORD, "next": "/admin/wallet/entry/"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/sign-in/code")
    assert client.get("/admin/", follow=True).request["PATH_INFO"] == "/sign-in/code"  # Not in yet.
    answer = client.post("/sign-in/code", {"code": code_of()})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/wallet/entry/")
    assert client.get("/admin/wallet/entry/").status_code == 200


def test_the_prefix_of_a_name_can_be_left_out(client, ada):
    assert try_password(client, "ada", PASSWORD).status_code == 302


def test_a_password_without_the_code_opens_nothing(client, ada):
    try_password(client, "ada", PASSWORD)
    for path in ("/admin/", "/wallet", "/account", "/admin/accounts/user/"):
        assert client.get(path).status_code == 302
    assert client.get("/mail/v1/keys").status_code == 401


@pytest.mark.parametrize("code", ["000000", "", "abcdef", "9" * 300])
def test_a_wrong_code_opens_nothing(client, ada, code):
    try_password(client, "ada", PASSWORD)
    assert client.post("/sign-in/code", {"code": code}).status_code == 200
    assert client.get("/admin/").status_code == 302


def test_a_code_opens_once(ada):
    code = code_of()
    for expected in (302, 200):
        browser = Client()
        try_password(browser, "ada", PASSWORD)
        assert browser.post("/sign-in/code", {"code": code}).status_code == expected


def test_the_code_before_and_the_code_after_open_nothing(client, ada):
    """A code that outlived its half minute would outlive what remembers that it was used."""
    try_password(client, "ada", PASSWORD)
    now = code_of()
    for moment in (time.time() - STEP_SECONDS, time.time() + STEP_SECONDS):
        if code_at(moment) != now:
            assert client.post("/sign-in/code", {"code": code_at(moment)}).status_code == 200


def test_codes_cannot_be_guessed_at_speed(client, ada):
    try_password(client, "ada", PASSWORD)
    for _ in range(5):
        client.post("/sign-in/code", {"code": "000000"})
    assert "Too many tries" in client.post("/sign-in/code", {"code": code_of()}).text


def test_a_user_without_a_staff_name_cannot_sign_in_with_a_password(client):
    user = UserFactory.create(misar_id="usr_1")
    user.set_password(PASSWORD)
    user.save()
    assert try_password(client, "usr_1", PASSWORD).status_code == 200
    assert "_auth_user_id" not in client.session


def test_staff_with_a_closed_account_do_not_come_in(client, ada):
    ada.is_active = False
    ada.save()
    answer = client.post(SIGN_IN, {"login": "ada", "password": PASSWORD}, follow=True)
    assert answer.status_code == 403
    assert "closed" in answer.text


def test_closing_an_account_ends_its_session_at_the_next_request(staff):
    assert staff.get("/admin/").status_code == 200
    from accounts.models import User

    User.objects.update(is_active=False)
    assert staff.get("/admin/").status_code == 302


# --- Guessing ---------------------------------------------------------------------------------------


def test_a_password_cannot_be_guessed_at_speed(client, ada):
    answers = [try_password(client, "ada", f"wrong {n}") for n in range(6)]
    assert [answer.status_code for answer in answers[:4]] == [200] * 4
    assert answers[5].status_code == 429
    assert answers[5]["Retry-After"] == "900"
    assert "paused for 15 minutes" in answers[5].text
    for name in ("ada", "staff:ada", "ADA", " Staff:Ada "):  # The same name in another spelling.
        assert try_password(client, name, PASSWORD).status_code == 429


def test_a_stranger_on_another_network_cannot_lock_staff_out(client, ada, settings):
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    for n in range(6):
        try_password(client, "ada", f"wrong {n}", headers={"X-Forwarded-For": "203.0.113.9"})
    answer = try_password(client, "ada", PASSWORD, headers={"X-Forwarded-For": "198.51.100.7"})
    assert answer.status_code == 302


def test_an_address_that_a_guesser_makes_up_is_not_believed(client, ada, settings):
    settings.TRUSTED_PROXIES = ["127.0.0.0/8"]
    for n in range(6):
        try_password(client, "ada", f"wrong {n}", headers={"X-Forwarded-For": f"198.51.100.{n}, 203.0.113.9"})
    assert {attempt.ip_address for attempt in AccessAttempt.objects.all()} == {"203.0.113.9"}
    settings.TRUSTED_PROXIES = []
    assert try_password(client, "ada", "x", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 200
    assert AccessAttempt.objects.filter(ip_address="127.0.0.1").exists()


def test_a_password_that_was_tried_is_kept_nowhere(client, ada):
    try_password(client, "ada", "my other password")
    for attempt in AccessAttempt.objects.all():
        assert "my other password" not in str(vars(attempt))


# --- Without a second factor ------------------------------------------------------------------------


def test_without_a_second_factor_nothing_is_reached_but_its_set_up(client, newcomer):
    try_password(client, "new", PASSWORD)
    client.force_login(newcomer)
    for path in ("/admin/", "/admin/wallet/entry/", "/wallet", "/account", "/", "/docs", "/nowhere"):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (302, SET_UP), path
        assert client.post(path).status_code in (302, 403), path
    for path in ("/mail/v1/keys", "/mail/v1/monetization/tips", "/io/wallet/balance"):
        assert client.get(path).status_code == 401
    assert client.get("/io/wallet/rates").status_code == 200
    assert client.get("/signed-out").status_code == 200


def test_the_set_up_follows_the_first_password_and_shows_recovery_codes_once(client, newcomer):
    answer = client.post(SIGN_IN, {"login": "new", "password": PASSWORD}, follow=True)
    assert answer.request["PATH_INFO"] == SET_UP
    secret = answer.context["form"].secret
    assert "data:image/svg+xml;base64," in answer.text
    assert client.post(SET_UP, {"code": "000000"}).status_code == 200
    assert second_factor.is_missing(newcomer)
    answer = client.post(SET_UP, {"code": code_of(secret)}, follow=True)
    assert answer.request["PATH_INFO"] == "/account/recovery-codes"
    codes = re.findall(r"<code>(\d+)</code>", answer.text)
    assert len(codes) == 10
    assert client.get("/admin/").status_code == 200
    again = client.get("/account/recovery-codes").text
    assert not any(code in again for code in codes)
    stored = str([each.data for each in Authenticator.objects.all()])
    assert secret not in stored
    assert not any(code in stored for code in codes)

    browser = Client()
    for expected in (302, 200):  # A recovery code opens once, too.
        try_password(browser, "new", PASSWORD)
        assert browser.post("/sign-in/code", {"code": codes[0]}).status_code == expected
        browser = Client()


def test_a_session_older_than_five_minutes_proves_itself_again_before_the_set_up(client, newcomer):
    client.force_login(newcomer)  # A session without a recent password.
    answer = client.get(SET_UP)
    assert answer["Location"].startswith("/account/password?next=")
    assert client.post(answer["Location"], {"password": "wrong"}).status_code == 200
    answer = client.post(answer["Location"], {"password": PASSWORD, "next": SET_UP})
    assert answer["Location"] == SET_UP
    assert client.get(SET_UP).status_code == 200


def test_a_second_factor_cannot_be_switched_off_or_set_up_twice(staff):
    assert staff.get(SET_UP)["Location"] == "/account"
    assert staff.post(SET_UP, {"code": code_of()})["Location"] == "/account"
    for path in ("/account/second-factor/deactivate", "/account/2fa/", "/account/totp/deactivate/"):
        assert staff.get(path).status_code == 404


def test_users_of_misar_have_no_second_factor_here(client):
    client.force_login(UserFactory.create())
    for path in (SET_UP, "/account/recovery-codes", "/account/recovery-codes/new"):
        assert client.get(path).status_code == 404


def test_new_recovery_codes_make_the_old_ones_worthless(client, newcomer):
    answer = client.post(SIGN_IN, {"login": "new", "password": PASSWORD}, follow=True)
    answer = client.post(SET_UP, {"code": code_of(answer.context["form"].secret)}, follow=True)
    old = re.findall(r"<code>(\d+)</code>", answer.text)
    answer = client.post("/account/recovery-codes/new", follow=True)
    new = re.findall(r"<code>(\d+)</code>", answer.text)
    assert len(new) == 10
    assert not set(old) & set(new)


# --- What a session has proven ----------------------------------------------------------------------


def test_a_session_from_before_the_set_up_is_no_good_after_it(newcomer):
    thief, owner = Client(), Client()
    for browser in (thief, owner):
        answer = browser.post(SIGN_IN, {"login": "new", "password": PASSWORD}, follow=True)
    owner.post(SET_UP, {"code": code_of(answer.context["form"].secret)})
    assert owner.get("/admin/").status_code == 200
    answer = thief.get("/admin/accounts/user/")
    assert answer["Location"] == "/admin/login/?next=/admin/accounts/user/"
    assert "_auth_user_id" not in thief.session


def test_a_session_from_before_a_reset_is_no_good_after_it(ada):
    thief, owner = Client(), Client()
    enter(thief, ada)
    assert thief.get("/admin/").status_code == 200
    second_factor.reset(ada)
    assert thief.get("/admin/")["Location"] == SET_UP
    answer = owner.post(SIGN_IN, {"login": "ada", "password": PASSWORD}, follow=True)
    owner.post(SET_UP, {"code": code_of(answer.context["form"].secret)})
    assert owner.get("/admin/").status_code == 200
    assert thief.get("/admin/").status_code == 302
    assert thief.get("/mail/v1/keys").status_code == 401


def test_a_user_made_staff_comes_in_again_before_setting_up_a_factor(client):
    user = UserFactory.create(misar_id="usr_1")
    user.set_unusable_password()
    user.is_staff = True
    user.save()
    client.force_login(user)
    assert client.get(SET_UP).status_code == 200  # Just signed in at the issuer.
    session = client.session
    session[sessions.SIGNED_IN_AT] = time.time() - 301
    session.save()
    assert client.get(SET_UP)["Location"] == f"/sign-in?next={SET_UP}"
    assert "_auth_user_id" not in client.session


def test_a_session_ends_when_its_time_is_up_whatever_is_done_in_it(client, settings):
    client.force_login(UserFactory.create())
    session = client.session
    session[sessions.SIGNED_IN_AT] = time.time() - settings.SESSION_COOKIE_AGE - 1
    session.set_expiry(settings.SESSION_COOKIE_AGE)
    session.save()
    assert client.get("/account")["Location"] == "/sign-in?next=/account"
    assert "_auth_user_id" not in client.session


def test_a_session_that_is_over_stands_in_no_other_credentials_way(client, service_key, settings):
    client.force_login(UserFactory.create())
    session = client.session
    session[sessions.SIGNED_IN_AT] = 0.0
    session.save()
    headers = {"x-wallet-service-key": service_key}
    assert client.get("/io/wallet/balance?user_id=usr_1", headers=headers).status_code == 200
    assert client.get("/io/wallet/rates").status_code == 200
    assert client.get("/mail/v1/keys").status_code == 401
    assert client.get("/docs").status_code == 200


def test_a_new_password_asks_for_a_fresh_proof(client, ada):
    enter(client, ada)  # A session that no password was given in.
    assert client.get("/admin/password_change/")["Location"].startswith("/account/")


# --- Lost -------------------------------------------------------------------------------------------


def test_a_colleague_resets_a_lost_second_factor_with_a_reason(staff, ada):
    url = reverse("admin:accounts_user_second-factor", args=["staff:ada"])
    key = staff.get(url).context["form"].initial["key"]
    assert staff.post(url, {"reason": "lost her phone", "key": key}).status_code == 302
    assert second_factor.is_missing(ada)


def test_where_no_colleague_is_left_the_operator_resets_it(ada, capsys):
    call_command("reset_second_factor", user="staff:ada")
    assert "is reset" in capsys.readouterr().out
    assert second_factor.is_missing(ada)
    call_command("reset_second_factor", user="staff:ada")
    with pytest.raises(CommandError):
        call_command("reset_second_factor", user="staff:unknown")


NEW_KEY = "another one, long enough for a deployment as well, too"


def test_secrets_outlive_a_change_of_the_secret_key(ada, client, settings, capsys):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = NEW_KEY
    call_command("reencrypt_second_factors")
    assert "1 encrypted" in capsys.readouterr().out
    settings.SECRET_KEY_FALLBACKS = []
    try_password(client, "ada", PASSWORD)
    assert client.post("/sign-in/code", {"code": code_of()}).status_code == 302


def test_a_secret_that_no_key_decrypts_is_a_wrong_code_and_reported_to_the_operator(ada, client, settings):
    settings.SECRET_KEY = NEW_KEY
    try_password(client, "ada", PASSWORD)
    assert client.post("/sign-in/code", {"code": code_of()}).status_code == 200
    with pytest.raises(CommandError, match="staff:ada"):
        call_command("reencrypt_second_factors")


def test_staff_without_recovery_codes_are_led_to_make_some(staff):
    answer = staff.get("/account/recovery-codes", follow=True)
    assert answer.request["PATH_INFO"].startswith("/account/")
    assert answer.status_code == 200


def test_a_form_from_before_signing_in_gets_an_error_page_in_words(ada):
    strict = Client(enforce_csrf_checks=True)
    enter(strict, ada)
    answer = strict.post("/account", {"receipt": "on"})
    assert answer.status_code == 403
    assert "too old to be sent" in answer.text
    assert "DEBUG" not in answer.text
    assert "Sign in as another user" not in answer.text


@pytest.mark.parametrize(
    ("came_from", "leads_back"),
    [
        ("http://testserver/account?a=1", True),
        ("https://evil.example/account", False),
        ("//evil.example/account", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_the_error_page_of_an_old_form_leads_back_to_it(ada, came_from, leads_back):
    strict = Client(enforce_csrf_checks=True)
    enter(strict, ada)
    answer = strict.post("/account", {"receipt": "on"}, headers={"Referer": came_from})
    assert ("Go back to the form" in answer.text) is leads_back
    assert f'<a href="{came_from if leads_back else "/wallet"}">' in answer.text


def test_a_secret_that_an_earlier_release_stored_still_opens():
    """Encrypted with the SECRET_KEY of the tests by the release before the layout changed."""
    stored = (
        "gAAAAABrDAirejBpXA6ta9pQaaLCeUFCKCu7g36Si43rtg2WVFVeJ0josQujISACewD-c-B_"
        "owMzupolYUkasqeemh135s51neiaAM6fg1B7FoUkt1FN5pM="
    )
    assert second_factor.decrypted(stored) == "JBSWY3DPEHPK3PXP"
