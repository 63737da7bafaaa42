"""Strict reading of query parameters: the wallet, the limit, the cursor."""

import re
from urllib.parse import unquote_to_bytes

from rest_framework.request import Request

from accounts.authentication import Bearer
from accounts.errors import SomebodyElsesWallet
from accounts.misar_ids import is_misar_id
from foundation.errors import BillingError
from wallet.history.statements import PAGE_DEFAULT, PAGE_MAX

# The bounds keep Python from reading a number of a thousand digits.
SMALL_NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)


class BadQuery(BillingError):
    """Raised when a query parameter is not what it should be."""


def wallet_owner(request: Request) -> str:
    """Whose wallet to read: the bearer's own, or the one that a product names."""
    named = single(request, "user_id")
    if named is not None and not is_misar_id(named):
        raise BadQuery("user_id must be 1 to 255 printable characters")
    if isinstance(request.auth, Bearer):
        if named not in (None, request.auth.misar_id):
            raise SomebodyElsesWallet
        return request.auth.misar_id
    if named is None:
        raise BadQuery("user_id is required")
    return named


def page_limit(request: Request) -> int:
    """How many rows the caller wants."""
    text = single(request, "limit")
    if text is None:
        return PAGE_DEFAULT
    if not SMALL_NUMBER.fullmatch(text) or not 1 <= int(text) <= PAGE_MAX:
        raise BadQuery(f"limit must be an integer from 1 to {PAGE_MAX}")
    return int(text)


def single(request: Request, name: str) -> str | None:
    """A parameter that may be given once; None without it."""
    try:
        # Django replaces what it cannot decode by one character; two ids could then look the same.
        unquote_to_bytes(request.META.get("QUERY_STRING", "").encode("latin-1")).decode("utf-8")
    except UnicodeError as error:
        raise BadQuery("The address is not UTF-8") from error
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise BadQuery(f"{name} is given twice")
    return values[0] if values else None
