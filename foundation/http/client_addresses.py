"""The IP address of the caller, also behind trusted proxies."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the caller's address.

    Behind trusted proxies, this is the last address in X-Forwarded-For that is not a trusted proxy.
    """
    address = request.META.get("REMOTE_ADDR") or "127.0.0.1"
    forwarded = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    while forwarded and _is_proxy(address) and _is_address(forwarded[-1]):
        address = forwarded.pop()
    return address


def client_network(request: HttpRequest) -> str:
    """Return the caller's network, for counting requests.

    For IPv4, this is the address. For IPv6, this is the /64, because an IPv6 subscriber has a whole /64.
    """
    address = client_address(request)
    if not _is_address(address) or ipaddress.ip_address(address).version == 4:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


def _is_proxy(address: str) -> bool:
    """Return whether TRUSTED_PROXIES names this address, or a network that contains it."""
    # `*` trusts every connection, but only for the scheme (http or https). For addresses, `*` is ignored,
    # because every caller can send X-Forwarded-For.
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
