"""The head of every page: the current place, the ways to others, and no way that leads nowhere."""

import re

import pytest
from django.test import Client

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


def test_an_error_leads_on_and_names_the_request(client):
    answer = client.get("/nowhere")
    assert link(answer, "To your wallet") == "/wallet"
    assert answer["X-Request-ID"] in answer.content.decode()
