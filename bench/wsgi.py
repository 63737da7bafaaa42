"""The WSGI application of a run: the service's own, and beside it views under other middleware."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

from bench import middleware, plan
from misar_billing.wsgi import application as service


def under(names: Sequence[str]) -> WSGIHandler:
    """A handler of the same URLs with this middleware. Django reads the list once, when it is made."""
    usual, settings.MIDDLEWARE = settings.MIDDLEWARE, names
    try:
        return WSGIHandler()
    finally:
        settings.MIDDLEWARE = usual


HANDLERS = {
    plan.SELECT_FOR_UPDATE.path: under(middleware.OF_DJANGO),
    plan.NOOP_UNDER_ALL.path: under(middleware.OF_PAGES),
}


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Call the handler of this path; for all other paths, the service."""
    return HANDLERS.get(environ["PATH_INFO"], service)(environ, start_response)
