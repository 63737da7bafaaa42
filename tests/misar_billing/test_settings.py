"""Production starts with a complete environment, and with nothing less or else."""

import os
import re
import runpy
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from foundation.database.configuration import configuration
from foundation.database.engine.entry_points import addresses
from foundation.errors import BillingError
from misar_billing.checks import limits_are_of_roles

COMPLETE = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "a-secret-of-django-51-characters-and-more-and-moRe-8f2k1",
    "DATABASE_URL": "postgres://billing:database-passw0rd@db.internal:5432/billing",
    "STRIPE_SECRET_KEY": "sk_live_stripe-secret",
    "STRIPE_WEBHOOK_SECRETS": "whsec_webhook-secret,whsec_second-secret",
    "PUBLIC_URL": "https://billing.misar.io",
    "SSO_ISSUER": "https://id.misar.io",
    "SSO_AUDIENCE": "misar-billing",
    "SSO_JWKS_URL": "https://id.misar.io/jwks.json",
    "ISSUER_NAME": "Misar Ltd",
    "ISSUER_ADDRESS": "1 Long Road; ;  Valletta",
    "ISSUER_TAX_NUMBER": "MT12345678",
}
BY_SECRET = {"SSO_JWKS_URL": "", "SSO_JWT_SECRET": "a-shared-secret-of-32-bytes-or-more"}
SECRETS = (
    COMPLETE["SECRET_KEY"],
    "database-passw0rd",
    "stripe-secret",
    "webhook-secret",
    "second-secret",
    BY_SECRET["SSO_JWT_SECRET"],
)


def read(monkeypatch, **changes: str | None) -> dict:
    """What settings.py makes of the complete environment with these changes; None takes a variable out."""
    environment = {name: value for name, value in (COMPLETE | changes).items() if value is not None}
    for name in tuple(os.environ):
        if name not in {"PATH", "HOME", "LANG"}:
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(settings.BASE_DIR / "misar_billing" / "settings.py"))


def refusal(monkeypatch, **changes: str | None) -> str:
    """Why production does not start with these changes: a sentence without a secret in it."""
    with pytest.raises((ImproperlyConfigured, BillingError)) as refused:
        read(monkeypatch, **changes)
    sentence = str(refused.value)
    assert sentence.endswith((".", "?"))
    assert not [secret for secret in SECRETS if secret in sentence]
    return sentence


def manage(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """manage.py as an operator runs it, in an environment of its own."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        env=environment | COMPLETE | changes,
        capture_output=True,
        text=True,
        timeout=300,
    )


# --- A complete environment ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, BY_SECRET], ids=["published keys", "shared secret"])
def test_a_complete_environment_passes_the_deployment_check(changes):
    run = manage("check", "--deploy", **changes)
    # Its database cannot be reached, so its role is not known.
    assert (run.returncode, re.findall(r"\((\w+\.\w+)\)", run.stderr)) == (0, ["misar.W002"])


def test_a_complete_environment_starts_the_application():
    run = subprocess.run(
        [sys.executable, "-c", "from misar_billing.wsgi import application; print(application)"],
        cwd=settings.BASE_DIR,
        env={"PATH": os.environ["PATH"]} | COMPLETE,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0
    assert "function application" in run.stdout
    assert "Traceback" not in run.stderr


def test_production_is_what_an_unset_environment_means(monkeypatch):
    assert read(monkeypatch, ENVIRONMENT=None)["PRODUCTION"] is True


def test_production_is_locked_down(monkeypatch):
    found = read(monkeypatch)
    assert found["DEBUG"] is False
    assert found["ALLOWED_HOSTS"] == ["billing.misar.io"]
    for name in ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"):
        assert found[name] is True
    assert found["SECURE_HSTS_SECONDS"] >= 365 * 24 * 3600
    assert found["STRIPE_API_BASE"] == "https://api.stripe.com"
    assert found["STRIPE_WEBHOOK_SECRETS"] == ["whsec_webhook-secret", "whsec_second-secret"]


@pytest.mark.slow
def test_the_deployment_check_knows_a_sandbox():
    run = manage("check", "--deploy", ENVIRONMENT="sandbox", STRIPE_API_BASE="http://127.0.0.1:8001")
    assert run.returncode != 0
    assert "misar.E001" in run.stderr
    assert "misar.E002" in run.stderr


# --- What production refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [None, "", "  "], ids=["unset", "empty", "blank"])
@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS", "PUBLIC_URL"]
)
def test_each_vital_variable_is_asked_for_by_name(monkeypatch, name, empty):
    assert f"{name} is not set." in refusal(monkeypatch, **{name: empty})


def test_everything_that_is_missing_is_said_at_once(monkeypatch):
    sentence = refusal(monkeypatch, SECRET_KEY=None, DATABASE_URL=None, PUBLIC_URL=None)
    for name in ("SECRET_KEY", "DATABASE_URL", "PUBLIC_URL"):
        assert f"{name} is not set." in sentence


@pytest.mark.parametrize("on", ["true", "True", "1", "on", "yes"])
def test_debug_is_refused(monkeypatch, on):
    assert "DEBUG is on." in refusal(monkeypatch, DEBUG=on)


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:8001", "https://api.stripe.com.evil.com", "http://api.stripe.com", "x"]
)
def test_a_stand_in_for_stripe_is_refused(monkeypatch, base):
    assert "STRIPE_API_BASE points at a stand-in" in refusal(monkeypatch, STRIPE_API_BASE=base)


@pytest.mark.parametrize(
    "address",
    [
        "http://id.misar.io",
        "http://127.0.0.1:8001/sso",
        "https://127.0.0.1/sso",
        "https://127.1.2.3/sso",
        "https://localhost/sso",
        "https://LOCALHOST:8001/sso",
        "https://[::1]/sso",
        "https://0.0.0.0/sso",
        "https:///sso",
        "id.misar.io",
        "ftp://id.misar.io",
    ],
)
def test_an_address_that_is_not_public_https_is_refused(monkeypatch, address):
    for name in ("PUBLIC_URL", "SSO_ISSUER", "SSO_JWKS_URL"):
        assert f"{name} is not a public https address." in refusal(monkeypatch, **{name: address})


def test_two_ways_to_prove_a_token_are_refused(monkeypatch):
    secret = BY_SECRET["SSO_JWT_SECRET"]
    sentence = refusal(monkeypatch, SSO_JWT_SECRET=secret)
    assert sentence == "Set SSO_JWKS_URL or SSO_JWT_SECRET, not both."


def test_a_short_shared_secret_is_refused(monkeypatch):
    sentence = refusal(monkeypatch, SSO_JWKS_URL=None, SSO_JWT_SECRET="only-31-bytes-are-not-enough-xx")
    assert sentence == "SSO_JWT_SECRET must be at least 32 bytes."
    assert "only-31" not in sentence


def test_a_short_secret_key_is_refused(monkeypatch):
    assert "SECRET_KEY is shorter than 50 characters." in refusal(monkeypatch, SECRET_KEY="x" * 49)


@pytest.mark.parametrize("name", ["SSO_ISSUER", "SSO_AUDIENCE"])
@pytest.mark.parametrize("mode", [{}, BY_SECRET], ids=["published keys", "shared secret"])
def test_tokens_need_an_issuer_and_an_audience(monkeypatch, name, mode):
    assert refusal(monkeypatch, **mode, **{name: None}) == "SSO needs SSO_ISSUER and SSO_AUDIENCE."


BROWSER = {"SSO_CLIENT_ID": "misar-billing-web", "SSO_CLIENT_SECRET": "client-secret"}


def test_signing_in_by_browser_needs_all_of_its_settings(monkeypatch):
    found = read(monkeypatch, **BROWSER)
    (app,) = found["SOCIALACCOUNT_PROVIDERS"]["openid_connect"]["APPS"]
    assert app["settings"] == {"server_url": "https://id.misar.io"}
    assert found["SSO_ORIGINS"] == ["https://id.misar.io"]
    assert found["CHECKOUT_ORIGINS"] == ["https://checkout.stripe.com"]
    sentence = "Signing in by browser needs SSO_CLIENT_SECRET and SSO_ISSUER too."
    assert refusal(monkeypatch, SSO_CLIENT_ID="misar-billing-web") == sentence


def test_a_custom_domain_of_checkout_is_allowed_besides_stripes_own(monkeypatch):
    found = read(monkeypatch, CHECKOUT_ORIGINS="https://pay.misar.io, https://pay.misar.blog:8443")
    assert found["CHECKOUT_ORIGINS"] == [
        "https://checkout.stripe.com",
        "https://pay.misar.io",
        "https://pay.misar.blog:8443",
    ]


@pytest.mark.parametrize(
    "wrong",
    ["http://pay.misar.io", "pay.misar.io", "https://*.misar.io", "https://pay.misar.io/", "https:", "*"],
)
def test_a_payment_page_that_is_no_https_origin_is_refused(monkeypatch, wrong):
    assert "CHECKOUT_ORIGINS holds something" in refusal(
        monkeypatch, CHECKOUT_ORIGINS=f"https://a.io,{wrong}"
    )


def test_an_id_token_must_not_pass_for_an_access_token(monkeypatch):
    sentence = refusal(monkeypatch, **BROWSER | {"SSO_CLIENT_ID": COMPLETE["SSO_AUDIENCE"]})
    assert sentence == "SSO_AUDIENCE must differ from SSO_CLIENT_ID: an ID token is no access token."


def test_mail_goes_to_a_mail_server_or_nowhere(monkeypatch):
    assert read(monkeypatch)["MAIL_ENABLED"] is False
    found = read(monkeypatch, EMAIL_URL="smtp+tls://billing:mail-secret@mail.internal:587")
    assert (found["MAIL_ENABLED"], found["EMAIL_HOST"]) == (True, "mail.internal")
    assert (found["EMAIL_USE_TLS"], found["EMAIL_TIMEOUT"]) == (True, 10)
    for url in ("consolemail://", "filemail:///tmp/mail", "memorymail://", "dummymail://", "mail.internal"):
        assert "EMAIL_URL is not a mail server's." in refusal(monkeypatch, EMAIL_URL=url)
    for url in ("smtpx://a:mail-secret@b", "smtp://a:mail-secret@b:x"):
        sentence = refusal(monkeypatch, EMAIL_URL=url)
        assert sentence == "EMAIL_URL cannot be read."


@pytest.mark.parametrize("name", ["staging", "Production", "test", " "])
def test_there_are_two_environments(monkeypatch, name):
    assert refusal(monkeypatch, ENVIRONMENT=name) == "ENVIRONMENT must be production or sandbox."


@pytest.mark.parametrize(
    "url",
    [
        "mysql://billing:database-passw0rd@db/billing",
        "sqlite:///billing.db",
        "billing:database-passw0rd@db/billing",
        "postgres://billing:database-passw0rd#@db:54#2/billing",
        "postgres://billing:database-passw0rd@db:port/billing",
        "postgres://billing:database-passw0rd@db",
    ],
)
def test_a_database_address_that_cannot_be_read_is_refused_without_its_password(monkeypatch, url):
    assert "DATABASE_URL" in refusal(monkeypatch, DATABASE_URL=url)


@pytest.mark.parametrize(
    "changes", [{"DATABASE_URL": ""}, {"DEBUG": "true"}, {"SSO_JWT_SECRET": "short"}], ids=str
)
def test_an_operator_is_told_in_a_sentence_without_a_traceback(changes):
    run = manage("migrate", **changes)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert "Traceback" not in run.stderr
    assert not [secret for secret in SECRETS if secret in run.stderr]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"STRIPE_SECRET_KEY": "pk_live_published"}, "STRIPE_SECRET_KEY"),
        ({"STRIPE_SECRET_KEY": " sk_live_blank"}, "STRIPE_SECRET_KEY"),
        ({"STRIPE_WEBHOOK_SECRETS": ","}, "STRIPE_WEBHOOK_SECRETS"),
        ({"STRIPE_WEBHOOK_SECRETS": "whsec_a,other"}, "STRIPE_WEBHOOK_SECRETS"),
        ({"PUBLIC_URL": "https://billing.misar.io/wallet?a=1"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://user@billing.misar.io"}, "PUBLIC_URL"),
        ({"WEB_THREADS": "many"}, "WEB_THREADS"),
        ({"WEB_THREADS": "0"}, "WEB_THREADS"),
    ],
)
def test_a_sloppy_value_stops_production(monkeypatch, change, said):
    assert said in refusal(monkeypatch, **change)


LIMITS = ("STAFF_CREDITS_A_DAY", "STAFF_REFUND_CENTS_MAX", "STAFF_TOPUP_REFUND_CENTS_A_DAY")


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize(
    ("value", "limits"),
    [
        ("billing=5", {"billing": 5}),
        (" support = 0 , billing = 1000,, ", {"support": 0, "billing": 1000}),
    ],
)
def test_limits_by_role_are_read(monkeypatch, name, value, limits):
    assert read(monkeypatch, **{name: value})[name] == limits


@pytest.mark.parametrize("name", LIMITS)
def test_without_limits_by_role_the_usual_ones_hold(monkeypatch, name):
    for value in (None, "", "  "):
        assert set(read(monkeypatch, **{name: value})[name]) == {"billing", "admin"}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize(
    "value",
    [
        *("billing", "billing=", "=5", "billing=-5", "billing=1.5", "billing=1,000", "billing=1_000"),
        *("billing=many", "billing=5=6", "billing:5", "billing=\N{ARABIC-INDIC DIGIT FIVE}", "1000"),
        *("billing=5,billing=6", "billing=5, billing =5"),
    ],
)
def test_limits_by_role_that_cannot_be_meant_are_refused(monkeypatch, name, value):
    assert name in refusal(monkeypatch, **{name: value})


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("role", ["biling", "Billing", "ADMIN", "superuser"])
def test_a_limit_for_a_role_that_is_not_there_is_refused(settings, name, role):
    setattr(settings, name, {role: 1000, "admin": 5})
    (found,) = limits_are_of_roles(None)
    assert (found.id, found.msg) == ("misar.E003", f"{name} names {role!r}, which is no role.")
    assert found.hint == "The roles are support, billing, admin."


@pytest.mark.slow
def test_a_limit_for_a_role_that_is_not_there_stops_every_command():
    run = manage("check", STAFF_CREDITS_A_DAY="biling=1000")
    assert run.returncode == 1
    assert "(misar.E003) STAFF_CREDITS_A_DAY names 'biling', which is no role." in run.stderr
    assert manage("check").returncode == 0


def test_blanks_around_the_words_of_a_list_are_forgiven(monkeypatch):
    found = read(
        monkeypatch,
        STRIPE_WEBHOOK_SECRETS="whsec_a, whsec_b ,",
        RETURN_URL_HOSTS="misar.io, *.misar.io",
        ALLOWED_HOSTS="a.b, c.d",
    )
    assert found["STRIPE_WEBHOOK_SECRETS"] == ["whsec_a", "whsec_b"]
    assert found["RETURN_URL_HOSTS"] == ["misar.io", "*.misar.io"]
    assert found["ALLOWED_HOSTS"] == ["a.b", "c.d"]


def test_products_have_the_names_of_the_setting(monkeypatch):
    assert read(monkeypatch)["PRODUCT_NAMES"] == {
        "blog": "MisarBlog",
        "mail": "MisarMail",
        "reach": "MisarReach",
    }
    found = read(monkeypatch, PRODUCT_NAMES=" blog = Misar Blog , reach=Reach=1,")
    assert found["PRODUCT_NAMES"] == {"blog": "Misar Blog", "reach": "Reach=1"}


@pytest.mark.parametrize("wrong", ["blog", "blog=", "=MisarBlog", "blog=A,blog=B"])
def test_a_list_of_names_that_cannot_be_read_stops_the_service(monkeypatch, wrong):
    with pytest.raises(ImproperlyConfigured, match="PRODUCT_NAMES"):
        read(monkeypatch, PRODUCT_NAMES=wrong)


def test_in_production_an_api_call_over_plain_http_is_refused_and_a_page_redirected(settings):
    settings.PRODUCTION = settings.SECURE_SSL_REDIRECT = True
    client = Client()
    denied = client.post("/io/wallet/deduct", {}, content_type="application/json")
    assert (denied.status_code, denied.json()) == (403, {"allowed": False, "error": "Use https"})
    assert client.get("/mail/v1/monetization/tips").json() == {"success": False, "error": "Use https"}
    assert client.get("/docs").status_code == 301
    assert (
        client.post("/io/wallet/deduct", {}, content_type="application/json", secure=True).status_code == 403
    )


@pytest.mark.parametrize(
    ("address", "servers"),
    [
        ("one:5432,two:5433", [("one", "5432"), ("two", "5433")]),
        ("one,two", [("one", ""), ("two", "")]),
        ("[2001:db8::1]:5432,[2001:db8::2]:5433", [("2001:db8::1", "5432"), ("2001:db8::2", "5433")]),
        ("[2001:db8::1],10.0.0.7", [("2001:db8::1", ""), ("10.0.0.7", "")]),
        ("[2001:db8::1]:5432", [("2001:db8::1", "5432")]),
        ("one", [("one", "")]),
    ],
)
def test_a_database_may_have_several_entry_points(address, servers):
    config = configuration({"DATABASE_URL": f"postgres://billing:p%2Cw%40@{address}/billing"})
    assert [
        (address.host, address.port) for address in addresses(config["HOST"], str(config["PORT"]))
    ] == servers
    assert (config["USER"], config["PASSWORD"], config["NAME"]) == ("billing", "p,w@", "billing")
    assert config["OPTIONS"].get("load_balance_hosts") == ("random" if len(servers) > 1 else None)


def test_entry_points_of_which_one_is_looked_for_keep_their_order():
    url = "postgres://billing@one:5432,two:5432/billing?target_session_attrs=read-write"
    assert "load_balance_hosts" not in configuration({"DATABASE_URL": url})["OPTIONS"]


@pytest.mark.parametrize("address", ["one:5432,two", "one,", "one,,two", "one:x,two:5432", "one:1:2,two:1"])
def test_entry_points_that_are_no_addresses_are_refused_without_the_password(monkeypatch, address):
    sentence = refusal(monkeypatch, DATABASE_URL=f"postgres://billing:database-passw0rd@{address}/billing")
    assert "DATABASE_URL names several servers" in sentence


# --- The issuer of receipts ---------------------------------------------------------------------------


def test_the_issuers_address_has_lines(monkeypatch):
    assert read(monkeypatch)["ISSUER_ADDRESS"] == ["1 Long Road", "Valletta"]


def test_production_has_no_issuer_of_its_own(monkeypatch):
    found = read(monkeypatch, ISSUER_NAME=None, ISSUER_ADDRESS=None, ISSUER_TAX_NUMBER=None)
    assert (found["ISSUER_NAME"], found["ISSUER_ADDRESS"], found["ISSUER_TAX_NUMBER"]) == ("", [], "")
