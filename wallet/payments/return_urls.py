"""The addresses to which a user may return after a checkout: only Misar's own addresses (contract 10)."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings

LENGTH_MAX = 2048
OUR_OWN_NAME = "Misar"
# Printable ASCII without spaces and without a backslash: browsers read a backslash as a slash.
URL_CHARACTERS = re.compile(r"[!-\[\]-~]+")
# Only letters, digits, hyphens and dots. A percent sign is refused, because some programs read %2f in a host
# as a slash.
HOST_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


def success(return_url: str) -> str:
    """Return the address to which Stripe sends a user who has paid."""
    return _with_outcome(_allowed(return_url), "success")


def cancelled(return_url: str) -> str:
    """Return the address to which Stripe sends a user who has left the checkout without paying."""
    return _with_outcome(_allowed(return_url), "cancelled")


def is_allowed(url: str) -> bool:
    """Return whether users may be sent to this URL: a path on our own site, or an address of Misar."""
    return is_relative_path(url) or is_allowed_address(url)


def name_of(url: str) -> str:
    """Return the name of an allowed URL for the link "Back to ...".

    A product's own site has the product's name, another site its host, and our own site is Misar. A creator's
    blog, such as ada.misar.blog, keeps its host, which tells the user more than the product's name.
    """
    host = (urlsplit(url).hostname or "") if is_allowed_address(url) else ""
    host = host.removeprefix("www.")
    names: dict[str, str] = settings.PRODUCT_NAMES
    sites = {
        site: name for product, name in names.items() for site in (f"misar.{product}", f"{product}.misar.io")
    }
    return sites.get(host, host) or OUR_OWN_NAME


def name_of_wallet(query: Mapping[str, str]) -> str:
    """Return what the sign-in page calls the wallet page. If a product sent the user, it names its host."""
    back = query.get("returnTo", "")
    return (
        f"your wallet, and from there back to {name_of(back)}" if is_allowed_address(back) else "your wallet"
    )


def _allowed(return_url: str) -> str:
    """Return the full address if it is allowed; otherwise the address of our wallet page."""
    if is_relative_path(return_url):
        return settings.PUBLIC_URL + return_url
    if is_allowed_address(return_url):
        return return_url
    return f"{settings.PUBLIC_URL}/wallet"


def is_relative_path(url: str) -> bool:
    """Return whether this is a path on our own site. `//host` is not, because it leads to another site."""
    return (
        bool(URL_CHARACTERS.fullmatch(url))
        and url.startswith("/")
        and not url.startswith("//")
        and len(url) <= LENGTH_MAX
    )


def is_allowed_address(url: str) -> bool:
    """Return whether this is an https URL of a host on the allow-list.

    A URL with a user name, or with another port than 443, is not allowed.
    """
    if not URL_CHARACTERS.fullmatch(url) or len(url) > LENGTH_MAX:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    # Only the host is allowed here, and the port 443. A user name or another port is refused.
    plain = parts.netloc.lower() in {host, f"{host}:443"} and port in {None, 443}
    return (
        parts.scheme == "https"
        and plain
        and bool(HOST_NAME.fullmatch(host))
        and any(_matches(host, allowed) for allowed in settings.RETURN_URL_HOSTS)
    )


def _matches(host: str, allowed: str) -> bool:
    if allowed.startswith("*."):
        return host.endswith(allowed[1:]) and host != allowed[1:]
    return host == allowed


def _with_outcome(url: str, outcome: str) -> str:
    parts = urlsplit(url)
    query = f"{parts.query}&wallet_topup={outcome}" if parts.query else f"wallet_topup={outcome}"
    return urlunsplit(parts._replace(query=query))
