"""The pattern of a request's path, such as `/io/wallet/holds/<hold_id>`: it names no user and no row.

The log and the metrics have it instead of the path, and there are only as many as URLs in the code.
"""

import re
from functools import lru_cache

from django.http import HttpRequest
from django.urls import Resolver404, resolve

UNKNOWN = "(unknown)"
FIXED = ("/health", "/ready", "/metrics")
STATIC = "/static/"

CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
GROUP = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")


def route_of(request: HttpRequest) -> str:
    """Return the pattern of the path. If a middleware has answered before a URL was found, look it up."""
    match = request.resolver_match
    if match is None:
        path = request.path_info
        if path in FIXED:
            return path
        if path.startswith(STATIC):
            return STATIC
        try:
            match = resolve(path)
        except Resolver404:
            return UNKNOWN
    return readable(match.route)


@lru_cache(maxsize=2048)
def readable(route: str) -> str:
    """Return Django's route as a path with the names of its parts."""
    named = CONVERTER.sub(r"<\1>", GROUP.sub(r"<\1>", route))
    # The admin sends each address that it does not know to one view.
    return "/" + re.sub(r"[\^$\\?]|\.\*", "", named).lstrip("/")
