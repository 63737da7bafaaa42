"""The back-office's pages of the wallet, as tests of grants, holds and budgets use them."""

import csv
import io
import re
import secrets
from typing import Any

from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

USER = "usr_ada"


def page(name: str, key: int | str) -> str:
    """The address of a row's page, or of an action on the row."""
    return reverse(f"admin:wallet_{name}", args=[quote(key)])


def found(client: Client, address: str, **query: str) -> list[Any]:
    """The keys of the rows that a list shows."""
    answer = client.get(address, query)
    assert answer.status_code == 200
    return [row.pk for row in answer.context["cl"].result_list]


def user_page(client: Client, **query: str) -> Any:
    return client.get(reverse("admin:one_user", args=[quote(USER)]), query)


def send(client: Client, address: str, **fields: str) -> Any:
    """Send the form of an action, with a reason and a key."""
    return client.post(address, {"reason": "Ada asked for it.", "key": secrets.token_hex(8)} | fields)


def sent(client: Client, sought: str) -> str:
    """Where the search of the back-office leads."""
    return client.post(reverse("admin:find"), {"sought": sought})["Location"]


def facts(answer: Any) -> dict[str, str]:
    """What a row's page says, by label."""
    pairs = re.findall(r"(?s)<dt>(.*?)</dt>\s*<dd[^>]*>(.*?)</dd>", answer.text)
    return {label: " ".join(re.sub(r"<[^>]*>", " ", value).split()) for label, value in pairs}


def file_of(client: Client, name: str, **query: str) -> list[dict[str, str]]:
    """The rows of the file that a list offers."""
    answer = client.get(reverse(f"admin:wallet_{name}_csv"), query)
    return list(csv.DictReader(io.StringIO(answer.content.decode().removeprefix("\N{BYTE ORDER MARK}"))))
