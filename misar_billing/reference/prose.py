"""The few marks of the schema's descriptions as HTML: paragraphs, lists, `code`, **strong**, links."""

import re

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

MARKS = (
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"\[([^\]]+)\]\((#[\w-]+|https?://[^\s)]+)\)"), r'<a href="\2">\1</a>'),
)
ITEM = re.compile(r"^[*-] ", re.MULTILINE)
# drf-spectacular lists each choice with its label: * `day` - day. The page lists the choices itself.
CHOICES = re.compile(r"^\* `[^`]*` - .*$\n?", re.MULTILINE)


def code(text: str) -> SafeString:
    """Return text as it may stand between tags. Quotes stay as they are: the page has thousands of them."""
    return mark_safe(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))  # noqa: S308


def inline(text: str) -> SafeString:
    """Return one line of text as HTML. The text itself may hold no HTML."""
    html: str = code(" ".join(text.split()))
    for pattern, replacement in MARKS:
        html = pattern.sub(replacement, html)
    return mark_safe(html)  # noqa: S308 (`code` escaped it)


def blocks(text: str) -> SafeString:
    """Return paragraphs and lists as HTML, without the end tags that may be left out.

    A blank line ends a block; an item begins with `* ` or `- `.
    """
    parts = []
    for block in re.split(r"\n\s*\n", text.strip()):
        first, *items = ITEM.split(block)
        if first.strip():
            parts.append(format_html("<p>{}", inline(first)))
        if items:
            rows = format_html_join("", "<li>{}", ((inline(item),) for item in items))
            parts.append(format_html("<ul>{}</ul>", rows))
    return mark_safe("".join(parts))  # noqa: S308 (each part is made by format_html)


def without_choices(text: str) -> str:
    """Return a description without the list of choices that drf-spectacular adds to it."""
    return CHOICES.sub("", text).strip()
