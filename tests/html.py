"""Helpers for tests of pages: a signed-in browser, and reading the page's HTML."""

import re
from html import unescape
from typing import Any

from django.test import Client

from accounts.models import User
from tests.factories import UserFactory


def browser_of(user: User | None = None, **fields: Any) -> Client:
    """A browser in which this user, or a new one, is signed in."""
    client = Client()
    client.force_login(user or UserFactory.create(**fields))
    return client


def words(response: Any) -> str:
    """The text of a page, in one line."""
    html = re.sub(r"(?s)<(script|style|noscript)\b.*?</\1>", " ", response.content.decode())
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def table(response: Any, labelled_by: str) -> list[list[str]]:
    """The body of the table with this label, cell by cell."""
    html = response.content.decode()
    match = re.search(rf'(?s)<table[^>]*aria-labelledby="{labelled_by}".*?<tbody>(.*?)</tbody>', html)
    assert match, f"no table {labelled_by}"
    rows = re.findall(r"(?s)<tr>(.*?)</tr>", match[1])
    return [[text(cell) for cell in re.findall(r"(?s)<td[^>]*>(.*?)</td>", row)] for row in rows]


def text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def link(response: Any, name: str) -> str:
    """The address of the link with this name."""
    match = re.search(rf'<a\b[^>]*href="([^"]*)"[^>]*>{re.escape(name)}</a>', response.content.decode())
    assert match, f"no link {name}"
    return unescape(match[1])


def hidden(response: Any, name: str) -> str:
    """The value of a form's hidden field."""
    match = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', response.content.decode())
    assert match, f"no field {name}"
    return unescape(match[1])
