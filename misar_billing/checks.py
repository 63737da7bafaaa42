"""System checks for wrong settings that settings.py does not refuse. They run before each command."""

import os
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import Error as DatabaseError
from django.db import connection
from django.http.request import validate_host

from backoffice import roles
from foundation.errors import first_line

# The shortest prefix of a network of proxies, by version of IP: if it is private, and if it is public.
PREFIX_MIN = {4: (8, 16), 6: (7, 32)}
POSTGRESQL_PORT = 5432
ISSUER = ("ISSUER_NAME", "ISSUER_ADDRESS", "ISSUER_TAX_NUMBER")
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


@register(deploy=True)
def receipts_name_their_issuer(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Return a warning if a receipt does not say who sold the credits. Only `check --deploy` does this."""
    missing = [name for name in ISSUER if not getattr(settings, name)]
    if not missing:
        return []
    hint = "Receipts and statements leave out what is missing, and a tax office may refuse them."
    return [Warning(f"{' and '.join(missing)} not set.", hint=hint, id="misar.W003")]


@register(Tags.security, deploy=True)
def no_setting_lets_every_host_in(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Return an error for each setting that trusts hosts of other people. Only `check --deploy` does this."""
    ours = urlsplit(settings.PUBLIC_URL).hostname or ""
    found = [
        *(
            ("E004", "ALLOWED_HOSTS", host, f"Name the hosts of this service, such as {ours}.")
            for host in settings.ALLOWED_HOSTS
            if is_of_anyone(host.removeprefix("."))
        ),
        *(
            (
                "E005",
                "CSRF_TRUSTED_ORIGINS",
                origin,
                "Its pages could send forms as their visitors. Name only https origins of this service.",
            )
            for origin in settings.CSRF_TRUSTED_ORIGINS
            if not is_ours(origin, ours)
        ),
        *(
            ("E006", "TRUSTED_PROXIES", proxy, "Name the address or the small network of your proxy.")
            for proxy in settings.TRUSTED_PROXIES
            if is_wide(proxy)
        ),
        *(
            ("E007", "RETURN_URL_HOSTS", host, "Name the hosts to which users may return.")
            for host in settings.RETURN_URL_HOSTS
            if is_of_anyone(host.removeprefix("*."))
        ),
        *(
            ("E008", "CHECKOUT_ORIGINS", origin, "Name only https origins of Stripe's payment page.")
            for origin in settings.CHECKOUT_ORIGINS
            if not origin.startswith("https://") or is_of_this_machine(urlsplit(origin).hostname or "")
        ),
    ]
    return [
        Error(f"{name} has {value!r}.", hint=hint, id=f"misar.{number}")
        for number, name, value, hint in found
    ]


def is_of_anyone(domain: str) -> bool:
    """Return whether other people may have hosts under this domain: it is `*`, or has no dot, as `com`."""
    return "*" in domain or ("." not in domain and domain != "localhost")


def is_ours(origin: str, ours: str) -> bool:
    """Return whether this service itself answers at an origin, or at all hosts of `https://*.<domain>`."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    domain = host.removeprefix("*.")
    if parts.scheme != "https" or "*" in domain:
        return False
    if domain == ours or domain.endswith(f".{ours}"):
        return True
    answered = [each for each in settings.ALLOWED_HOSTS if not is_of_anyone(each.removeprefix("."))]
    return not host.startswith("*.") and validate_host(host, answered)


def is_wide(proxy: str) -> bool:
    """Return whether this trusts addresses of other people: `*`, or a network that is too wide."""
    try:
        network = ip_network(proxy, strict=False)
    except ValueError:
        return True  # It is `*`, or no address at all.
    if_private, if_public = PREFIX_MIN[network.version]
    return network.prefixlen < (if_private if network.is_private else if_public)


def is_of_this_machine(host: str) -> bool:
    """Return whether a host is a name or an address of this machine itself."""
    try:
        address = ip_address(host)
    except ValueError:
        return host in ("", "localhost") or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


@register(Tags.security, deploy=True)
def the_standby_is_another_server(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Return an error if STANDBY_URL has the address of DATABASE_URL. This asks neither server."""
    if settings.STANDBY is None:
        return []
    standby, primary = (
        (str(each.get("HOST") or ""), str(each.get("PORT") or POSTGRESQL_PORT), each["NAME"])
        for each in (settings.STANDBY, settings.DATABASES["default"])
    )
    if standby != primary:
        return []
    return [
        Error(
            "STANDBY_URL has the address of DATABASE_URL.",
            hint="Name the standby's own address, or unset STANDBY_URL.",
            id="misar.E010",
        )
    ]


# Passwords of other roles. compose.yaml of earlier releases put them into the environment of the service.
OF_OTHERS = ("POSTGRES_PASSWORD", "OPERATOR_DATABASE_URL", "RUNTIME_DATABASE_URL")


@register(Tags.security, deploy=True)
def the_service_has_no_password_of_others(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Return an error for each variable with a password that earlier releases had in .env."""
    return [
        Error(
            f"{name} is in the environment of this process.",
            hint="Take it out of .env: passwords of the database are in deploy/secrets. docs/upgrading.md, "
            '"From an earlier compose.yaml", has the steps.',
            id="misar.E009",
        )
        for name in OF_OTHERS
        if os.environ.get(name)
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
