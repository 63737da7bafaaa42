"""Which other sites a form may redirect to, and which page may show images of other sites.

The content security policy of every page is in settings.py. When a form is sent, the browser applies the
policy of the form's page to each redirect. Two pages have forms that redirect to another site, so these pages
extend the policy. One page shows logos that its creator's sponsors serve.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

View = Callable[..., HttpResponseBase]


def leads_to_checkout(view: View) -> View:
    """Allow the form of this page to redirect to Stripe's payment page."""
    return _leading_to(lambda: settings.CHECKOUT_ORIGINS, view)


def leads_to_sign_in(view: View) -> View:
    """Allow the form of this page to redirect to the SSO issuer."""
    return _leading_to(lambda: settings.SSO_ORIGINS, view)


def shows_logos(view: View) -> View:
    """Allow the images of this page to come from any https address."""
    return _extending(lambda: {"img-src": ["https:"]}, view)


def _leading_to(origins: Callable[[], list[str]], view: View) -> View:
    return _extending(lambda: {"form-action": origins()}, view)


def _extending(directives: Callable[[], dict[str, list[str]]], view: View) -> View:
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return csp_update(directives())(view)(request, *args, **kwargs)

    return wrapped
