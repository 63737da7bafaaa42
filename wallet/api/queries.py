"""Read and check the query parameters of the wallet's endpoints, and whose rows the caller may read."""

import re
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import unquote_to_bytes

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from accounts.authentication import Bearer
from accounts.errors import SomebodyElsesWallet
from accounts.misar_ids import is_misar_id
from accounts.models import ServiceKey
from foundation.errors import BillingError
from foundation.http.fields import ExactMoment
from wallet.history.statements import PAGE_DEFAULT, PAGE_MAX

# At most four digits: `int` raises an error for a number with thousands of digits.
SMALL_NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)
FRACTION = re.compile(r"[.,][0-9]")


class BadQuery(BillingError):
    """Raised when a query parameter is missing or not valid."""


def wallet_owner(request: Request) -> str:
    """Return the Misar ID of the user whose wallet the caller wants to read.

    A user with a bearer token may read only their own wallet. A product must name the user in `user_id`.
    Raises BadQuery, or SomebodyElsesWallet if a user names another user.
    """
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


def own_product(request: Request) -> str | None:
    """Return the product whose rows the caller may read; None for a user, who may read those of all."""
    return request.auth.product if isinstance(request.auth, ServiceKey) else None


def choice(request: Request, name: str, choices: Sequence[str]) -> str:
    """Return a query parameter that is one of these choices, or "" if it is missing. Raises BadQuery."""
    text = single(request, name)
    if text is None:
        return ""
    if text not in choices:
        raise BadQuery(f"{name} must be one of {', '.join(choices)}")
    return text


def moment(request: Request, name: str) -> tuple[datetime | None, bool]:
    """Return a query parameter that is a time in ISO 8601, and whether it has no fraction of a second.

    Without the parameter, the time is None. Raises BadQuery.
    """
    text = single(request, name)
    if text is None:
        return None, False
    try:
        return ExactMoment().run_validation(text), not FRACTION.search(text)
    except ValidationError as error:
        raise BadQuery(f"{name} must be a time in ISO 8601") from error


def page_limit(request: Request) -> int:
    """Return how many rows the caller wants (1 to 100; the default is 20). Raises BadQuery."""
    text = single(request, "limit")
    if text is None:
        return PAGE_DEFAULT
    if not SMALL_NUMBER.fullmatch(text) or not 1 <= int(text) <= PAGE_MAX:
        raise BadQuery(f"limit must be an integer from 1 to {PAGE_MAX}")
    return int(text)


def single(request: Request, name: str) -> str | None:
    """Return a query parameter, or None if it is missing. Raises BadQuery if it is given twice."""
    try:
        # Django replaces bytes that it cannot decode with one special character. Two different ids could
        # then become the same text.
        unquote_to_bytes(request.META.get("QUERY_STRING", "").encode("latin-1")).decode("utf-8")
    except UnicodeError as error:
        raise BadQuery("The address is not UTF-8") from error
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise BadQuery(f"{name} is given twice")
    return values[0] if values else None
