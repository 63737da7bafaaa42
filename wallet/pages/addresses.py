"""The user and the URLs of the wallet's pages: which parameters stay in a link from one page to another."""

from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from accounts.models import User
from wallet.payments import return_urls

# The filters of the history, and all parameters that stay in the links of the page.
FILTERS = ("kind", "product", "feature", "from", "to")
STATE = ("returnTo", "range", *FILTERS, "cursor")
# The maximum length of `returnTo` after URL encoding. The URL from Stripe back to us contains `returnTo`.
RETURN_TO_LENGTH_MAX = 1500


def user_of(request: HttpRequest) -> User:
    """Return the user who is signed in."""
    assert isinstance(request.user, User), "the view lets users in only"
    return request.user


def return_to(request: HttpRequest) -> str:
    """Return the `returnTo` of the URL if this service may send users there; otherwise ""."""
    url = request.GET.get("returnTo", "")
    fits = len(urlencode({"returnTo": url})) <= RETURN_TO_LENGTH_MAX
    return url if fits and return_urls.is_allowed(url) else ""


def chosen(request: HttpRequest, *names: str) -> dict[str, str]:
    """Return these parameters of the URL.

    Empty parameters and a `returnTo` that is not allowed are left out. If a parameter is given more than
    once, its last value counts.
    """
    values = {name: request.GET[name] for name in names if request.GET.get(name)}
    if "returnTo" in values and not return_to(request):
        del values["returnTo"]
    return values


def address(request: HttpRequest, *, page: str = "wallet:wallet", **changes: str) -> str:
    """Return the URL of a page with the current parameters and these changes. "" removes a parameter."""
    state = chosen(request, *STATE) | changes
    return with_query(reverse(page), {name: value for name, value in state.items() if value})


def filtered(request: HttpRequest, **filters: str) -> str:
    """Return the URL of the history with only these filters. Parameters such as `range` stay."""
    return address(request, cursor="", **dict.fromkeys(FILTERS, "") | filters) + "#history"


def with_query(path: str, query: dict[str, str]) -> str:
    """Return a path with a query, if there is one."""
    return f"{path}?{urlencode(query)}" if query else path


def coming_back(request: HttpRequest) -> str:
    """Return the path to which Stripe sends the user back.

    After a payment, Stripe replaces `{CHECKOUT_SESSION_ID}` with the id of the session.
    """
    query = urlencode(chosen(request, "returnTo"))
    return f"{reverse('wallet:wallet')}?{query}{'&' if query else ''}session={{CHECKOUT_SESSION_ID}}"
