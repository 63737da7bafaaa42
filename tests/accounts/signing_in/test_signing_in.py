"""Users sign in with their Misar account: OpenID Connect against the sandbox's issuer, over real HTTP."""

from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.conf import settings as django_settings
from django.test import Client
from django.urls import get_resolver

from accounts import users
from accounts.errors import ForeignSubject
from accounts.models import User
from tests.accounts.test_throttling import with_time_left
from tests.factories import UserFactory
from tests.html import words
from tests.patterns import matched

pytestmark = pytest.mark.django_db


def choose(address, **person):
    """Sign in at the issuer's page as a demo user (`person=`) or any other; where it sends the browser."""
    browser = requests.Session()
    page = browser.get(address, timeout=120)
    token = matched(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
    form = person | {"csrfmiddlewaretoken": token}
    answer = browser.post(address, form, headers={"Referer": address}, allow_redirects=False, timeout=120)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def path_of(address):
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}" == "http://testserver"
    return f"{parts.path}?{parts.query}"


def sign_in(client, going_to="/account", **person):
    """All of it, as a browser does it; the answer to the issuer's redirect."""
    answer = client.post("/sign-in/misar", query_params={"next": going_to})
    assert answer.status_code == 302, answer.text
    return client.get(path_of(choose(answer["Location"], **person)))


# --- Coming in --------------------------------------------------------------------------------------


def test_a_stranger_is_asked_to_sign_in_and_comes_back_to_the_page_they_wanted(client, sandbox):
    answer = client.get("/account?x=1")
    assert answer["Location"] == "/sign-in?next=/account%3Fx%3D1"
    page = client.get(answer["Location"])
    action = matched(r'action="(/sign-in/[^"]+)"', page.text)[1]
    answer = client.post(action)
    asked = parse_qs(urlsplit(answer["Location"]).query)
    assert asked["redirect_uri"] == ["http://testserver/sign-in/misar/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    answer = client.get(path_of(choose(answer["Location"], person="usr_demo")))
    assert (answer.status_code, answer["Location"]) == (302, "/account?x=1")
    assert "Dana Demo" in client.get("/account").text


def test_the_first_sign_in_makes_the_user_and_nothing_else(client, sandbox):
    sign_in(client, user_id="usr_nova", name="Nova", email="nova@example.com")
    user = User.objects.get()
    assert (user.misar_id, user.name, user.email) == ("usr_nova", "Nova", "nova@example.com")
    assert (user.plan_id, user.is_staff, user.has_usable_password()) == ("free", False, False)
    assert not SocialAccount.objects.exists()
    assert not EmailAddress.objects.exists()


def test_a_user_who_is_known_already_keeps_everything_but_a_new_name_or_address(client, sandbox):
    UserFactory.create(misar_id="usr_nova", plan_id="pro", name="Old", email="old@example.com")
    sign_in(client, user_id="usr_nova", name="Nova")
    user = User.objects.get()
    assert (user.misar_id, user.plan_id, user.name, user.email) == (
        "usr_nova",
        "pro",
        "Nova",
        "old@example.com",
    )
    sign_in(client, user_id="usr_nova", email="new@example.com")
    user.refresh_from_db()
    assert (user.name, user.email) == ("Nova", "new@example.com")


def test_accounts_are_never_linked_by_e_mail(client, sandbox):
    UserFactory.create(misar_id="usr_victim", email="shared@example.com", is_staff=False)
    sign_in(client, user_id="usr_thief", email="shared@example.com")
    assert client.session["_auth_user_id"] == "usr_thief"
    assert User.objects.count() == 2


def test_the_same_user_again_is_one_user(client, sandbox):
    for _ in range(2):
        sign_in(Client(), person="usr_demo")
    assert User.objects.count() == 1


@pytest.mark.parametrize("odd", ["usr/../x", "ü ö <b>", "0", "None", "x" * 255])
def test_any_misar_id_can_sign_in(client, sandbox, odd):
    sign_in(client, user_id=odd)
    assert client.session["_auth_user_id"] == odd
    assert client.get("/account").status_code == 200


def test_a_new_session_begins_with_the_sign_in(client, sandbox):
    client.get("/sign-in")
    client.post("/sign-in/misar")
    before = client.session.session_key
    sign_in(client, person="usr_demo")
    assert client.session.session_key != before
    assert client.session.get_expiry_age() == django_settings.SESSION_COOKIE_AGE


def test_another_person_on_the_same_browser_gets_their_own_session(client, sandbox):
    sign_in(client, person="usr_demo")
    sign_in(client, person="usr_ines")
    assert client.session["_auth_user_id"] == "usr_ines"


def test_hostile_names_show_as_text(client, sandbox):
    sign_in(client, user_id="usr_<i>", name="<script>alert(1)</script>")
    page = client.get("/account").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "usr_<i>" not in page


# --- Not coming in ----------------------------------------------------------------------------------


def test_a_user_who_cancels_reads_that_they_did_not_sign_in(client, sandbox):
    answer = client.post("/sign-in/misar")
    state = parse_qs(urlsplit(answer["Location"]).query)["state"][0]
    answer = client.get("/sign-in/misar/callback", {"error": "access_denied", "state": state})
    assert answer.status_code == 400
    assert "You did not sign in" in answer.text


@pytest.mark.parametrize(
    "query", [{}, {"code": "x"}, {"code": "x", "state": "made-up"}, {"error": "x", "state": ""}]
)
def test_an_answer_without_a_request_signs_no_user_in(client, sandbox, query):
    answer = client.get("/sign-in/misar/callback", query)
    assert answer.status_code == 400
    assert "_auth_user_id" not in client.session


def test_an_answer_for_another_browser_signs_no_user_in(client, sandbox):
    answer = client.post("/sign-in/misar")
    stolen = choose(answer["Location"], person="usr_demo")
    other = Client()
    assert other.get(path_of(stolen)).status_code == 400
    assert "_auth_user_id" not in other.session


def test_an_answer_comes_once(client, sandbox):
    answer = client.post("/sign-in/misar")
    back = path_of(choose(answer["Location"], person="usr_demo"))
    assert client.get(back).status_code == 302
    client.post("/sign-out")
    assert client.get(back).status_code == 400


def test_a_link_on_another_site_cannot_start_a_sign_in(client, sandbox):
    assert client.get("/sign-in/misar").status_code == 405
    assert Client(enforce_csrf_checks=True).post("/sign-in/misar").status_code == 403


def test_a_user_with_a_closed_account_does_not_come_in(client, sandbox):
    UserFactory.create(misar_id="usr_demo", is_active=False)
    answer = sign_in(client, person="usr_demo")
    assert answer["Location"] == "/sign-in/closed"
    assert "closed" in client.get("/sign-in/closed").text
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("subject", ["staff:ada", "", "x\0", "x" * 256, None, 7])
def test_whom_the_issuer_must_not_name(db, subject):
    with pytest.raises(ForeignSubject):
        users.arrive(misar_id=subject)
    assert not User.objects.exists()


def test_what_is_no_name_or_address_is_left_out(db):
    user = users.arrive(misar_id="usr_1", name="x" * 300, email="no address")
    assert (user.name, user.email) == ("x" * 200, "")
    user = users.arrive(misar_id="usr_2", name="two\nlines", email=["a@example.com"])
    assert (user.name, user.email) == ("", "")
    for name in ("\u3164", "\u202eAnn", "\u2800\u0301", "A\ue000"):
        user = users.arrive(misar_id="usr_2", name=name, email="a@b\u200b.example")
        assert (user.name, user.email) == ("", "")


@pytest.mark.parametrize("name", ["علی‌رضا", "👩‍🚀 Ada", "Ann 🩷", "李\u3000小龍", "Jean\xa0Paul", "홍길동"])
def test_a_name_is_kept_as_the_issuer_sends_it(client, sandbox, name):
    sign_in(client, user_id="usr_nova", name=name)
    assert User.objects.get().name == name


def test_a_long_name_is_cut_between_two_characters(db):
    user = users.arrive(misar_id="usr_1", name="x" * 198 + "👩‍🚀")
    assert user.name == "x" * 198


@pytest.mark.parametrize("process", ["connect", "redirect", "x"])
def test_a_sign_in_is_nothing_but_a_sign_in(client, sandbox, process):
    query = {"process": process, "next": "/account", "auth_params": "redirect_uri=https://evil.example"}
    answer = client.post("/sign-in/misar", query_params=query)
    assert "evil.example" not in answer["Location"]
    assert client.get(path_of(choose(answer["Location"], person="usr_demo")))["Location"] == "/account"
    assert client.session["_auth_user_id"] == "usr_demo"
    assert not SocialAccount.objects.exists()


def test_one_network_cannot_begin_sign_ins_without_end(client, sandbox, settings):
    settings.SIGN_INS_PER_MINUTE = 3
    with_time_left(10)
    answers = [client.post("/sign-in/misar") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [302, 302, 302, 429]
    assert 1 <= int(answers[3]["Retry-After"]) <= 60


def test_a_silent_issuer_gets_an_error_page_in_words(client, settings):
    apps = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]
    broken = apps[0] | {"settings": {"server_url": "http://127.0.0.1:9"}}
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [broken]}}
    answer = client.post("/sign-in/misar")
    assert answer.status_code == 503
    assert answer["Retry-After"] == "60"
    assert "does not answer" in answer.text


def test_without_an_issuer_the_page_says_so(client, settings, db):
    settings.SSO_CLIENT_ID = ""
    assert "not set up" in client.get("/sign-in").text


# --- The page to return to --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostile",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "",
    ],
)
def test_no_user_is_sent_to_another_site_after_signing_in(client, sandbox, hostile):
    page = client.get("/sign-in", {"next": hostile})
    assert "evil.example" not in page.text
    assert "javascript" not in page.text
    answer = sign_in(client, going_to=hostile, person="usr_demo")
    assert answer["Location"] == "/wallet"
    assert client.get("/sign-in", {"next": hostile})["Location"] == "/wallet"


@pytest.mark.parametrize(
    ("going_to", "name"),
    [
        ("", "to continue to your wallet."),
        ("/wallet?kind=charges", "to continue to your wallet."),
        ("/wallet?returnTo=https://www.misar.blog/x", "your wallet, and from there back to MisarBlog."),
        ("/wallet?returnTo=https://evil.example/", "to continue to your wallet."),
        ("/wallet/statements/2026-11", "to continue to your statements."),
        ("/dashboard/tips", "to continue to your dashboard."),
        ("/dashboard/keys", "to continue to your API keys."),
        ("/account?x=1", "to continue to your account."),
        ("/walletry", "to continue. You don"),
    ],
)
def test_the_page_names_where_the_user_goes_on(client, db, going_to, name):
    page = client.get("/sign-in", {"next": going_to})
    assert name in words(page)
    assert "evil" not in words(page)


# --- Going out --------------------------------------------------------------------------------------


def test_signing_out_ends_the_session(client, sandbox):
    sign_in(client, person="usr_demo")
    assert client.get("/sign-out").status_code == 200
    assert "_auth_user_id" in client.session
    answer = client.post("/sign-out")
    assert answer["Location"] == "/signed-out"
    assert "signed out" in client.get("/signed-out").text
    assert client.get("/account").status_code == 302
    assert client.post("/sign-out").status_code == 302  # Again is harmless.


def test_a_form_on_another_site_cannot_sign_a_user_out(sandbox):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(UserFactory.create())
    assert strict.post("/sign-out").status_code == 403
    assert strict.get("/account").status_code == 200


# --- What is not served -----------------------------------------------------------------------------


NOT_SERVED = (
    "signup login logout email confirm-email password/change password/set password/reset "
    "password/reset/key/x social/signup social/connections social/login/error 3rdparty 3rdparty/signup "
    "oidc/misar/login 2fa 2fa/totp/deactivate 2fa/webauthn inactive reauthenticate"
).split()


@pytest.mark.parametrize("prefix", ["", "accounts/", "account/", "auth/"])
def test_sign_up_password_reset_and_e_mail_pages_do_not_exist(client, db, subtests, prefix):
    for path in NOT_SERVED:
        with subtests.test(path=path):
            for slash in ("", "/"):
                assert client.get(f"/{prefix}{path}{slash}").status_code == 404
                assert client.post(f"/{prefix}{path}{slash}").status_code == 404


def test_of_allauth_no_page_is_served_but_those_that_are_meant():
    """By name, whatever their address: a library's update must not open a door."""
    allauths = ("account_", "mfa_", "socialaccount_", "openid_connect_")
    assert {name for name in get_resolver().reverse_dict if str(name).startswith(allauths)} == {
        "account_login",
        "account_inactive",
        "account_reauthenticate",
        "openid_connect_callback",
        "mfa_authenticate",
        "mfa_activate_totp",
        "mfa_view_recovery_codes",
        "mfa_generate_recovery_codes",
        "mfa_reauthenticate",
    }
