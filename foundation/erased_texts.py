"""Taking an e-mail address out of every text that the apps keep.

An app registers its texts in which staff, Stripe or a reader may have written an address. Amounts, ids and
dates are never touched.
"""

import json
import re
from typing import Any
from urllib.parse import quote

from django.db.models import Model, Q
from django.utils.html import escape

REMOVED = "(erased)"  # What is left in a text where the address was.
# Where Stripe tells an address, and what it tells of a person in one breath with it.
ADDRESSES = ("email", "customer_email", "receipt_email", "customer_email_address")
BESIDE_AN_ADDRESS = re.compile(
    r"(customer_|individual_|business_|billing_|shipping_)?(name|phone|address)"
    r"|(customer_)?shipping(_details)?|collected_information"
)

_texts: list[tuple[type[Model], str]] = []


def register(model: type[Model], *fields: str) -> None:
    """Name fields of a model that hold free text, or JSON as text."""
    _texts.extend((model, field) for field in fields)


def erase_from_texts(email: str) -> None:
    """Take this address, in any case, out of every registered text. Runs in the caller's transaction."""
    pattern = pattern_of(email)
    for model, field in _texts:
        for row in model._default_manager.filter(may_hold(email, field)).iterator():
            text = getattr(row, field)
            if (without := _without(text, pattern)) != text:
                longest = getattr(model._meta.get_field(field), "max_length", None)
                setattr(row, field, without if longest is None else without[:longest])
                row.save(update_fields=[field])


def pattern_of(email: str) -> re.Pattern[str]:
    """The address as it may be written: as it is, percent-encoded, or escaped for HTML.

    Bounded, so that bob@x.co is left alone in jacob@x.co, bob@x.com and bob@x.co.uk.
    """
    ways = dict.fromkeys(re.escape(each) for each in (email, quote(email, safe=""), escape(email)))
    return re.compile(rf"(?<![\w.+-])(?:{'|'.join(ways)})(?![\w-]|\.\w)", re.IGNORECASE)


def may_hold(email: str, field: str) -> Q:
    """Which texts are worth reading: as it is, for HTML, percent-encoded, or with JSON's \\u00xx in it."""
    local_part = email.rpartition("@")[0]
    return (
        Q(**{f"{field}__icontains": f"{local_part}@"})
        | Q(**{f"{field}__icontains": f"{escape(local_part)}@"})
        | Q(**{f"{field}__icontains": f"{quote(local_part, safe='')}%40"})
        | Q(**{f"{field}__iregex": r"\\u00[2-7]"})
    )


def _without(text: str, pattern: re.Pattern[str]) -> str:
    """A text without the address; where it is JSON, read as JSON."""
    try:
        told = json.loads(text)
    except ValueError:
        return pattern.sub(REMOVED, text)
    left = _left_of(told, pattern)
    return text if left == told else json.dumps(left)


def _left_of(told: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(told, str):
        return pattern.sub(REMOVED, told)
    if isinstance(told, list):
        return [_left_of(each, pattern) for each in told]
    if isinstance(told, dict):
        theirs = any(isinstance(told.get(name), str) and pattern.fullmatch(told[name]) for name in ADDRESSES)
        return {
            pattern.sub(REMOVED, name): None
            if theirs and BESIDE_AN_ADDRESS.fullmatch(name)
            else _left_of(value, pattern)
            for name, value in told.items()
        }
    return told
