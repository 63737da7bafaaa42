"""The `Link` header: it names the style sheets of a page, and nothing else."""

import re

import pytest
from django.test import Client

from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser():
    client = Client(headers={"Accept-Encoding": "gzip"})
    client.force_login(UserFactory.create(misar_id="usr_dana"))
    return client


@pytest.mark.parametrize("path", ["/wallet", "/dashboard", "/account", "/docs", "/docs/try", "/nowhere"])
def test_a_page_names_each_of_its_sheets_in_order(browser, path):
    html = browser.get(path, headers={"Accept-Encoding": "identity"}).text
    sheets = re.findall(r'rel="stylesheet" href="([^"]+\.css)"', html)
    assert sheets
    answer = browser.get(path)
    assert answer["Link"] == ", ".join(f"<{sheet}>; rel=preload; as=style" for sheet in sheets)


@pytest.mark.parametrize("path", ["/io/wallet/rates", "/schema", "/static/css/base.css", "/"])
def test_an_answer_that_is_no_page_has_no_such_header(browser, path):
    assert "Link" not in browser.get(path)


def test_a_head_names_them_too(browser):
    answer = browser.head("/wallet")
    assert answer["Link"].count("rel=preload") == 3
    assert answer.content == b""
