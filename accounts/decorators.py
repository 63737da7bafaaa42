"""What every page of a user checks before its view runs."""

from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import HttpResponseBase
from django.views.decorators.cache import cache_control

View = Callable[..., HttpResponseBase]


def page_of_the_user(view: View) -> View:
    """A page of the signed-in user, kept by no cache. An anonymous visitor signs in first."""
    return login_required(cache_control(private=True, no_store=True)(view))
