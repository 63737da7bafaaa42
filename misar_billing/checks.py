"""System checks: what settings.py cannot refuse by itself, said by `manage.py check --deploy`."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def sandbox_is_for_development(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A deployment speaks to Stripe itself."""
    found: list[CheckMessage] = []
    if not settings.PRODUCTION:
        found.append(Error("ENVIRONMENT is sandbox.", hint="Set it to production.", id="misar.E001"))
    if settings.STRIPE_API_BASE != settings.STRIPE_PRODUCTION_BASE:
        found.append(
            Error("STRIPE_API_BASE points at a stand-in.", hint="Unset it in production.", id="misar.E002")
        )
    return found
