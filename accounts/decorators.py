"""The decorator for user pages: it checks that the user is signed in before the view runs."""

from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import HttpResponseBase
from django.views.decorators.cache import cache_control

View = Callable[..., HttpResponseBase]


def page_of_the_user(view: View) -> View:
    """Let only a signed-in user open this page; others must sign in first. No cache may store the page."""
    return login_required(cache_control(private=True, no_store=True)(view))
