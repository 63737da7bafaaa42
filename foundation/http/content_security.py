"""Which other sites the form of a page may lead to.

The content security policy of every page is in settings.py. A browser applies the policy of the form's page
to each redirect that follows, so the two pages whose forms end on another site extend it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

View = Callable[..., HttpResponseBase]


def leads_to_checkout(view: View) -> View:
    """A page whose form ends at Stripe's payment page."""
    return _leading_to(lambda: settings.CHECKOUT_ORIGINS, view)


def leads_to_sign_in(view: View) -> View:
    """A page whose form ends at the SSO issuer."""
    return _leading_to(lambda: settings.SSO_ORIGINS, view)


def _leading_to(origins: Callable[[], list[str]], view: View) -> View:
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return csp_update({"form-action": origins()})(view)(request, *args, **kwargs)

    return wrapped
