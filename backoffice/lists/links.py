"""Links to a user, a row, and the rows of a list."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.db import models
from django.urls import reverse
from django.utils.html import format_html

from foundation.text import middle_cut


def name_of_page(model: type[models.Model], page: str) -> str:
    """Return the URL name of a model's page. `page` is "changelist", "change" or the name of an action."""
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"


def user_url(misar_id: str) -> str:
    """Return the URL of the page of a user."""
    return reverse("admin:one_user", args=[quote(misar_id)])


def user_link(misar_id: str | None, text: str = "") -> str:
    """Return a link to the page of a user; "" without a Misar ID. It shows `text`, or else the short ID."""
    return _link(user_url(misar_id), misar_id, text) if misar_id else ""


def row_url(model: type[models.Model], key: Any) -> str:
    """Return the URL of a row's page."""
    return reverse(name_of_page(model, "change"), args=[quote(key)])


def row_link(model: type[models.Model], key: Any) -> str:
    """Return a link to a row's page. Its text is the short key; without a key, return ""."""
    return _link(row_url(model, key), str(key)) if key else ""


def list_link(model: type[models.Model], text: str, **lookups: str) -> str:
    """Return a link to a list that shows only the rows that match these lookups."""
    url = reverse(name_of_page(model, "changelist"))
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(lookups), text)


def _link(url: str, key: str, text: str = "") -> str:
    """Return a link with this text, or else with the short key. A shortened key is whole in its title."""
    shown = text or middle_cut(key)
    if shown in (text, key):
        return format_html('<a href="{}">{}</a>', url, shown)
    return format_html('<a href="{}" title="{}">{}</a>', url, key, shown)
