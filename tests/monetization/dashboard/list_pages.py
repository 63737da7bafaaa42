"""What the tests of the dashboard's lists share: hostile text, files as rows, checks of access."""

import csv
import io
from typing import Any

from django.test import Client

from accounts.models import User
from tests.html import browser_of

# Each is text, wherever it is shown.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus=alert(1) autofocus='",
    "{{ 7|add:7 }}{% url 'x' %}",
    "=HYPERLINK(1)",
)

# None is a form's one-time key: too short, too long, with something before it or after it.
NO_KEYS = ("", "short", "a" * 65, "a" * 300, "zzz" + "a" * 32, "a" * 32 + "é", "A" * 32)


def file_of(answer: Any) -> list[dict[str, str]]:
    """A file's rows as a spreadsheet reads them, by column title."""
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def requires_sign_in(path: str, *, post: bool = True) -> None:
    """A visitor who is not signed in is redirected to the sign-in page."""
    client = Client()
    for answer in (client.get(path), *([client.post(path)] if post else [])):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in?next=")


def is_missing_for(stranger: User, path: str, *methods: str) -> None:
    """For another creator, the page does not exist."""
    browser = browser_of(stranger)
    for method in methods:
        assert getattr(browser, method)(path).status_code == 404, (method, path)


def is_text_only(answer: Any) -> None:
    """The page has no text of HOSTILE as markup."""
    html = answer.content.decode()
    for word in HOSTILE[
        :3
    ]:  # The others are harmless as they are: they are read once, and stay what they say.
        assert word not in html
    assert "<img src=x" not in html


def strict_browser_of(user: User) -> Client:
    """A browser whose forms need their token."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client
