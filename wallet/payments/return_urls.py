"""The addresses that a user may return to after a checkout: Misar's alone (contract 10)."""

import re
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings

LENGTH_MAX = 2048
OUR_OWN_NAME = "Misar"
# No backslash (browsers read it as a slash), no space, nothing outside ASCII.
PLAIN = re.compile(r"[!-\[\]-~]+")
# Labels of letters, digits and hyphens: a %2f in a host is read as a slash by some.
HOST_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


def success(return_url: str) -> str:
    """Where a user returns after paying."""
    return _with_outcome(_allowed(return_url), "success")


def cancelled(return_url: str) -> str:
    """Where a user returns who left the checkout."""
    return _with_outcome(_allowed(return_url), "cancelled")


def is_allowed(url: str) -> bool:
    """Whether users may be sent there: a path on our own site, or an address of Misar's."""
    return is_relative_path(url) or is_allowed_address(url)


def name_of(url: str) -> str:
    """What an allowed address is called in "Back to ...": its host, or Misar for a path on our own site."""
    host = (urlsplit(url).hostname or "") if is_allowed_address(url) else ""
    return host.removeprefix("www.") or OUR_OWN_NAME


def _allowed(return_url: str) -> str:
    """The address itself if it is allowed, else our wallet page."""
    if is_relative_path(return_url):
        return settings.PUBLIC_URL + return_url
    if is_allowed_address(return_url):
        return return_url
    return f"{settings.PUBLIC_URL}/wallet"


def is_relative_path(url: str) -> bool:
    """Whether this is a path on our own site. `//host` would name another one."""
    return (
        bool(PLAIN.fullmatch(url))
        and url.startswith("/")
        and not url.startswith("//")
        and len(url) <= LENGTH_MAX
    )


def is_allowed_address(url: str) -> bool:
    """Whether this is an https address, without user or port, of a host on the allow-list."""
    if not PLAIN.fullmatch(url) or len(url) > LENGTH_MAX:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    # Nothing but the host between the slashes: no user, and no port but the usual one.
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
