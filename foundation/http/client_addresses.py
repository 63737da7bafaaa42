"""The address of the caller, also behind trusted proxies."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The caller's address: behind trusted proxies, the last forwarded one that is not a proxy's."""
    address = request.META.get("REMOTE_ADDR") or "127.0.0.1"
    forwarded = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    while forwarded and _is_proxy(address) and _is_address(forwarded[-1]):
        address = forwarded.pop()
    return address


def client_network(request: HttpRequest) -> str:
    """The same for counting: an IPv6 subscriber has a whole /64, so that is what counts."""
    address = client_address(request)
    if not _is_address(address) or ipaddress.ip_address(address).version == 4:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


def _is_proxy(address: str) -> bool:
    """Whether TRUSTED_PROXIES names this address, or a network of it."""
    # `*` trusts every connection for the scheme alone: a header that any caller may send proves no address.
    networks = [network for network in settings.TRUSTED_PROXIES if network != "*"]
    return _is_address(address) and any(
        ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False) for network in networks
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
