"""The content security policy: on every answer, and no wider than a page needs."""

import pytest
from django.conf import settings
from django.test import Client

from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def directives(response):
    """The policy as a dictionary."""
    parts = [part.split() for part in response["Content-Security-Policy"].split(";") if part.strip()]
    return {name: values for name, *values in parts}


@pytest.mark.parametrize(
    "path",
    [
        *("/sign-in", "/sign-in/staff", "/signed-out", "/docs", "/schema", "/nowhere", "/admin/", "/wallet"),
        *("/io/wallet/rates", "/io/wallet/nowhere", "/mail/v1/keys", "/static/icon.svg"),
    ],
)
def test_every_answer_has_the_policy(client, path):
    policy = directives(client.get(path))
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert policy["form-action"][0] == "'self'"


@pytest.mark.parametrize("path", ["/static/css/look.css", "/static/js/page.js"])
def test_a_sheet_and_a_script_load_nothing(client, path):
    answer = client.get(path)
    assert directives(answer) == {"default-src": ["'none'"]}
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in answer


@pytest.mark.parametrize("path", ["/admin/", "/admin/wallet/entry/", "/admin/wallet/wallet/", "/account"])
def test_the_back_office_has_it_too(staff, path):
    assert directives(staff.get(path))["form-action"] == ["'self'"]


def test_a_crash_has_it_too(settings):
    settings.ALLOWED_HOSTS = ["another.example"]
    answer = Client(raise_request_exception=False).get("/wallet")
    assert answer.status_code == 400
    assert directives(answer)["script-src"] == ["'self'"]


def test_two_pages_lead_further_and_only_where_they_must(client):
    sandbox, stripe = settings.STRIPE_API_BASE, settings.STRIPE_CHECKOUT_ORIGIN
    assert directives(client.get("/sign-in"))["form-action"] == ["'self'", sandbox]
    assert directives(client.get("/sign-in/staff"))["form-action"] == ["'self'", sandbox]
    client.force_login(UserFactory.create())
    assert directives(client.get("/wallet"))["form-action"] == ["'self'", stripe, sandbox]
    assert directives(client.get("/account"))["form-action"] == ["'self'"]
    assert directives(client.get("/wallet/statements"))["form-action"] == ["'self'"]


def test_elsewhere_than_in_the_sandbox_the_wallet_leads_to_stripe(client, settings):
    settings.CHECKOUT_ORIGINS = [settings.STRIPE_CHECKOUT_ORIGIN]
    client.force_login(UserFactory.create())
    assert directives(client.get("/wallet"))["form-action"] == ["'self'", "https://checkout.stripe.com"]


def test_a_sheet_that_a_browser_still_has_is_not_sent_again(client):
    path = "/static/css/look.css"
    kept = {"If-Modified-Since": client.get(path)["Last-Modified"]}
    assert client.get(path, headers=kept).status_code == 304
    assert client.get(path, headers={"Range": "bytes=99999999-"}).status_code == 416
    assert client.post(path).status_code == 405
