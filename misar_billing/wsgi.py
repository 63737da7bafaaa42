"""The WSGI application that gunicorn runs. Settings come from the environment, never from sandbox files."""

import os
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from foundation import deadlines
from misar_billing import bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "misar_billing.settings")

django = get_wsgi_application()
# Import the views of all addresses now, in one thread, and not in the first requests of each thread.
get_resolver().url_patterns  # noqa: B018 (it imports them)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Read the body completely, then let Django answer within the time of a request.

    The parts of a long file are sent after that, so each has only the limits of its statements.
    """
    bodies.read_whole(environ)
    is_of_staff = environ["PATH_INFO"].startswith("/admin/")
    seconds = deadlines.STAFF_PAGE_SECONDS if is_of_staff else deadlines.REQUEST_SECONDS
    with deadlines.within(seconds):
        return django(environ, start_response)
