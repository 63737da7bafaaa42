"""Where a request comes from, behind the proxies that are trusted."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The address of whoever asks: behind trusted proxies, the last one that they did not add themselves."""
    address = request.META.get("REMOTE_ADDR") or "127.0.0.1"
    forwarded = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    while forwarded and _is_proxy(address) and _is_address(forwarded[-1]):
        address = forwarded.pop()
    return address


def client_network(request: HttpRequest) -> str:
    """The same for counting: of an IPv6 address the /64, which is what one subscriber has."""
    address = client_address(request)
    if not _is_address(address) or ipaddress.ip_address(address).version == 4:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


def _is_proxy(address: str) -> bool:
    """Whether TRUSTED_PROXIES names it: an address or a network. (`*` trusts whoever connects, for the scheme
    alone: nobody could be told from anybody by what everybody may send.)"""
    networks = [each for each in settings.TRUSTED_PROXIES if each != "*"]
    return _is_address(address) and any(
        ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False) for network in networks
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
