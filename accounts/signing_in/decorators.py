"""Decorators that check a request before the view of a sign-in page runs."""

import logging
import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import requests
from allauth.socialaccount.models import SocialApp
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.sessions.backends.base import UpdateError
from django.http import Http404, HttpRequest, HttpResponseBase

from accounts.signing_in.adapters import DID_NOT_WORK, SIGN_IN_AGAIN
from accounts.throttling import hit
from foundation.http.client_addresses import client_network
from foundation.http.last_resort import answer

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]
OUT_OF_REACH = "Signing in is not possible right now."
WAIT_A_MINUTE = "Please wait a minute, then try again. Nothing was changed."
TRY_AGAIN = "Misar's sign-in does not answer. Please try again in a minute; nothing was changed."


def for_staff(view: View) -> View:
    """Let only staff open this page. Other users get a 404, or the sign-in page if they are not signed in."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_staff:
            raise Http404
        return view(request, *args, **kwargs)

    return login_required(wrapped)


def not_too_often(what: str) -> Callable[[View], View]:
    """Limit a view that needs no sign-in. Above SIGN_INS_PER_MINUTE from one network, the answer is a 429."""

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            count = hit(what, client_network(request), limit=settings.SIGN_INS_PER_MINUTE)
            if count.allowed:
                return view(request, *args, **kwargs)
            sentence = "Too many sign-ins from your network."
            return answer(request, 429, sentence, WAIT_A_MINUTE, retry_after_seconds=count.wait_seconds)

        return wrapped

    return decorator


def issuer_in_reach(step: str) -> Callable[[View], View]:
    """Protect a view that calls the SSO issuer. If the issuer does not answer, the view answers with a 503.

    `step` is a step of the sign-in, "start" or "callback". At each step, at most a quarter of a process's
    threads may wait for the issuer; further requests get a 503 immediately. So the other threads can serve
    charges while the issuer does not answer. Users who start a sign-in cannot block users who finish one.
    """

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not _places(step).acquire(blocking=False):
                return _out_of_reach(request)
            try:
                return view(request, *args, **kwargs)
            except SocialApp.DoesNotExist:
                raise Http404 from None  # No issuer is set up.
            except UpdateError:
                # While this request waited, another one ended its session: it finished the same sign-in, or
                # signed the user out.
                return answer(request, 400, DID_NOT_WORK, SIGN_IN_AGAIN)
            except (requests.RequestException, ValueError, KeyError) as error:  # No answer, or a wrong one.
                logger.warning(
                    "The SSO issuer did not answer, or gave a wrong answer: %s", type(error).__name__
                )
                return _out_of_reach(request)
            finally:
                _places(step).release()

        return wrapped

    return decorator


@cache
def _places(step: str) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(max(1, settings.WEB_THREADS // 4))


def _out_of_reach(request: HttpRequest) -> HttpResponseBase:
    return answer(request, 503, OUT_OF_REACH, TRY_AGAIN, retry_after_seconds=60)
