"""The head of every page: the current place, the ways to others, and no way that leads nowhere."""

import re

import pytest
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpResponse
from django.test import Client, RequestFactory

from accounts.signing_in import sessions
from foundation.http import last_resort
from tests.factories import StaffFactory
from tests.html import browser_of, link
from tests.patterns import matched
from wallet.pages import chart

pytestmark = pytest.mark.django_db


def head_of(answer):
    return matched(r'(?s)<header class="site-head">.*?</header>', answer.content.decode())[0]


@pytest.mark.parametrize(
    ("path", "marked"),
    [
        ("/wallet", ("page", "Wallet")),
        ("/wallet/statements", ("true", "Wallet")),
        ("/wallet/statements/{month}", ("true", "Wallet")),
        ("/account", ("page", "Account")),
        ("/dashboard", ("page", "Dashboard")),
        ("/dashboard/tips", ("true", "Dashboard")),
    ],
)
def test_it_marks_the_place_that_a_page_belongs_to(path, marked):
    answer = browser_of().get(path.format(month=f"{chart.today():%Y-%m}"))
    assert re.findall(r'aria-current="(\w+)">(\w+)</a>', head_of(answer)) == [marked]


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/staff", "/signed-out"])
def test_the_pages_of_signing_in_have_no_second_way_to_sign_in(client, path):
    assert "Sign in" not in head_of(client.get(path))


def test_without_a_second_factor_the_way_out_is_the_only_one():
    client = Client()
    client.force_login(StaffFactory.create(with_second_factor=False))
    head = head_of(client.get("/account/second-factor", follow=True))
    assert "Sign out" in head
    assert re.findall(r'<a [^>]*href="([^"]*)"', head) == ["/wallet"]  # The service's name.


@pytest.mark.parametrize("path", ["/nowhere", "/admin/", "/wallet/statements/1999-01", "/crash"])
def test_an_error_keeps_the_ways_to_other_pages(settings, path):
    settings.ROOT_URLCONF = "tests.misar_billing.crash_urls"
    browser = browser_of()
    browser.raise_request_exception = False
    answer = browser.get(path, follow=True)
    assert answer.status_code in {403, 404, 500}
    assert re.findall(r'<a href="([^"]*)"', head_of(answer)) == ["/wallet", "/dashboard", "/account"]
    assert "Sign out" in head_of(answer)


def test_an_error_page_reads_no_user_that_the_request_did_not_read(django_assert_num_queries):
    request = RequestFactory().get("/wallet")
    browser = browser_of()
    request.COOKIES = {name: cookie.value for name, cookie in browser.cookies.items()}
    SessionMiddleware(lambda request: HttpResponse()).process_request(request)
    AuthenticationMiddleware(lambda request: HttpResponse()).process_request(request)
    with django_assert_num_queries(0):
        before = last_resort.crashed(request)
    assert "Sign out" not in before.text
    assert request.user.is_authenticated  # Now it is read.
    with django_assert_num_queries(0):
        after = last_resort.crashed(request)
    assert "Sign out" in after.text


def test_after_a_session_was_ended_an_error_names_no_user(settings):
    browser = browser_of()
    session = browser.session
    session[sessions.SIGNED_IN_AT] = 0.0
    session.save()
    answer = browser.get("/nowhere")
    assert answer.status_code == 404
    assert "Sign out" not in head_of(answer)


def test_an_error_leads_on_and_names_the_request(client):
    answer = client.get("/nowhere")
    assert link(answer, "To your wallet") == "/wallet"
    assert answer["X-Request-ID"] in answer.content.decode()
