"""System checks for wrong settings that settings.py does not refuse. They run before each command."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import Error as DatabaseError
from django.db import connection

from backoffice import roles
from foundation.errors import first_line

LIMITS_BY_ROLE = ("STAFF_CREDITS_A_DAY", "STAFF_REFUND_CENTS_MAX", "STAFF_TOPUP_REFUND_CENTS_A_DAY")


@register(Tags.security, deploy=True)
def sandbox_is_for_development(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Return errors if the service is a sandbox or uses no real Stripe. Only `check --deploy` does this."""
    errors: list[CheckMessage] = []
    if not settings.PRODUCTION:
        errors.append(Error("ENVIRONMENT is sandbox.", hint="Set it to production.", id="misar.E001"))
    if settings.STRIPE_API_BASE != settings.STRIPE_PRODUCTION_BASE:
        errors.append(
            Error("STRIPE_API_BASE points at a stand-in.", hint="Unset it in production.", id="misar.E002")
        )
    return errors


@register()
def limits_are_of_roles(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Return an error for each limit of an unknown role.

    If the name of a role is misspelled in the settings, the limit of the real role is 0.
    """
    return [
        Error(
            f"{name} names {role!r}, which is no role.",
            hint=f"The roles are {', '.join(roles.NAMES)}.",
            id="misar.E003",
        )
        for name in LIMITS_BY_ROLE
        for role in getattr(settings, name)
        if role not in roles.NAMES
    ]


# The owner of the entries can drop the triggers that protect them.
ROLE = """
SELECT current_user, rolsuper, coalesce((SELECT pg_has_role(current_user, relowner, 'MEMBER') FROM pg_class
                                          WHERE oid = to_regclass('public.wallet_entry')), false)
  FROM pg_roles WHERE rolname = current_user
"""


@register(Tags.security, deploy=True)
def role_owns_no_books(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Return a warning if the database role of the service could drop the laws of the books."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(ROLE)
            role, is_superuser, may_be_owner = cursor.fetchone()
    except DatabaseError as error:
        reason = first_line(error)
        return [Warning(f"The database role could not be checked: {reason}", id="misar.W002")]
    if not (is_superuser or may_be_owner):
        return []
    power = "is a superuser" if is_superuser else "may act as the owner of the tables"
    return [
        Warning(
            f"The database role {role} {power}, so it could change the books and drop their triggers.",
            hint="Run `manage.py database_roles`, and let the service use the runtime role.",
            id="misar.W001",
        )
    ]
