"""What some pages ask before their view runs."""

import logging
import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import requests
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponseBase

from misar_billing.last_resort import answer

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]
OUT_OF_REACH = "Signing in is not possible right now."
TRY_AGAIN = "Misar's sign-in does not answer. Please try again in a minute; nothing was changed."


def for_staff(view: View) -> View:
    """For a page of the back-office's people alone; for everybody else there is nothing at its address."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_staff:
            raise Http404
        return view(request, *args, **kwargs)

    return login_required(wrapped)


def issuer_in_reach(view: View) -> View:
    """For a view that asks the SSO issuer: 503 where it does not answer, or where too many ask it at once.

    At most a quarter of a process's threads wait for it, so that charges go on while it is silent.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not _places().acquire(blocking=False):
            return _out_of_reach(request)
        try:
            return view(request, *args, **kwargs)
        except (requests.RequestException, ValueError, KeyError) as error:  # Silent, or no issuer at all.
            logger.warning("The SSO issuer is out of reach: %s", type(error).__name__)
            return _out_of_reach(request)
        finally:
            _places().release()

    return wrapped


@cache
def _places() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(max(1, settings.WEB_THREADS // 4))


def _out_of_reach(request: HttpRequest) -> HttpResponseBase:
    answered = answer(request, 503, OUT_OF_REACH, TRY_AGAIN)
    answered["Retry-After"] = "60"
    return answered
