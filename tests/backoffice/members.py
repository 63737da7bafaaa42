"""Members of staff with roles, and their browsers."""

import re
from collections.abc import Callable
from functools import partial
from html import unescape
from typing import Any

from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from tests.factories import StaffFactory, enter


def member_of(*roles: str, **fields: Any) -> User:
    member = StaffFactory.create(is_superuser=False, **fields)
    member.groups.set(Group.objects.filter(name__in=roles))
    return member


class StaffBrowser(Client):
    """A browser whose staff member reads the preview that a form shows, and then sends the form again.

    A form that was done is sent again as it was done, as a browser does that sends twice.
    """

    def __init__(self, **defaults: Any) -> None:
        super().__init__(**defaults)
        self._filled_in: dict[str, dict[str, str]] = {}

    def post(self, path: Any, data: Any = None, *args: Any, **options: Any) -> Any:
        if not isinstance(data, dict) or "key" not in data or "seen" in data:
            return super().post(path, data, *args, **options)
        answer = super().post(path, data | self._filled_in.get(data["key"], {}), *args, **options)
        if answer.status_code == 200 and 'id="preview"' in answer.text:
            self._filled_in[data["key"]] = filled_in(answer)
            answer = super().post(path, data | self._filled_in[data["key"]], *args, **options)
        return answer


def ready(browser: StaffBrowser, path: str, data: dict[str, str]) -> Callable[[], Any]:
    """Let the staff member read the preview of a form now. The returned call sends the form again."""
    preview = Client.post(browser, path, data)
    return partial(browser.post, path, data | filled_in(preview))


def filled_in(page: Any) -> dict[str, str]:
    """What the page of a preview fills into its form: what was seen, and amounts that were left open."""
    inputs = re.findall(r'<input [^>]*?name="(seen|basis|amount)"[^>]*>', page.text)
    return {name: value_of(page, name) for name in inputs}


def value_of(page: Any, name: str) -> str:
    """The value of an input of a page's form; "" if it has none."""
    [field] = re.findall(rf'<input [^>]*?name="{name}"[^>]*>', page.text)
    value = re.search(r' value="([^"]*)"', field)
    return unescape(value[1]) if value else ""


def signed_in(member: User) -> StaffBrowser:
    client = StaffBrowser()
    enter(client, member)
    return client
