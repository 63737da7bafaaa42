"""Links to a user, a row, and the rows of a list."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import (
    quote,
)
from django.db import models
from django.urls import reverse
from django.utils.html import format_html


def user_link(misar_id: str, words: str = "") -> str:
    """A Misar ID, or these words, as a link to everything about its user; "" for nobody's."""
    if not misar_id:
        return ""
    url = reverse("admin:one_user", args=[quote(misar_id)])
    return format_html('<a href="{}">{}</a>', url, words or misar_id)


def row_link(model: type[models.Model], key: Any, words: str = "") -> str:
    """A row's key as a link to its page; "" for none."""
    if not key:
        return ""
    opts = model._meta
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[quote(key)])
    return format_html('<a href="{}">{}</a>', url, words or key)


def list_link(model: type[models.Model], words: str, **lookups: str) -> str:
    """Words as a link to the rows that are meant."""
    opts = model._meta
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(lookups), words)
