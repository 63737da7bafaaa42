"""All settings, all from the environment. Wrong or missing values stop the start.

`ENVIRONMENT` is `production` unless it says `sandbox`; production refuses to start without what it needs
and with anything that belongs to the sandbox. `.env.example` lists every variable.
"""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from misar_billing import database

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()

ENVIRONMENT = env.str("ENVIRONMENT", default="production")
if ENVIRONMENT not in {"production", "sandbox"}:
    raise ImproperlyConfigured("ENVIRONMENT must be production or sandbox.")
PRODUCTION = ENVIRONMENT == "production"

# --- What must be there, and what must not ------------------------------------------------------------

STRIPE_PRODUCTION_BASE = "https://api.stripe.com"
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default=STRIPE_PRODUCTION_BASE).rstrip("/")
PUBLIC_URL = env.str("PUBLIC_URL", default="").rstrip("/")
SSO_ISSUER = env.str("SSO_ISSUER", default="")
SSO_AUDIENCE = env.str("SSO_AUDIENCE", default="")
SSO_JWKS_URL = env.str("SSO_JWKS_URL", default="")
SSO_JWT_SECRET = env.str("SSO_JWT_SECRET", default="")
DEBUG = env.bool("DEBUG", default=False)


def _words(name: str, default: list[str]) -> list[str]:
    """A list separated by commas, blanks around its words forgiven."""
    return [word.strip() for word in env.list(name, default=default) if word.strip()]


def _count(name: str, default: int, *, least: int = 0) -> int:
    """A whole number, or a sentence instead of a traceback."""
    text = env.str(name, default=str(default)).strip() or str(default)
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise ImproperlyConfigured(f"{name} must be a whole number of at least {least}.")
    return int(text)


STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_WEBHOOK_SECRETS = _words("STRIPE_WEBHOOK_SECRETS", default=[])

VITAL = ("SECRET_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS", "PUBLIC_URL")


def _refusals() -> list[str]:
    """Why this environment cannot be production, a sentence each."""
    found = [f"{name} is not set." for name in VITAL if not env.str(name, default="").strip(" ,")]
    if DEBUG:
        found.append("DEBUG is on.")
    if len(env.str("SECRET_KEY", default="x" * 50)) < 50:
        found.append("SECRET_KEY is shorter than 50 characters.")
    if STRIPE_SECRET_KEY and not re.fullmatch(r"(sk|rk)_(live|test)_\S+", STRIPE_SECRET_KEY):
        found.append("STRIPE_SECRET_KEY is not a secret or restricted key of Stripe.")
    if not all(secret.startswith("whsec_") for secret in STRIPE_WEBHOOK_SECRETS):
        found.append("STRIPE_WEBHOOK_SECRETS holds something that is no signing secret.")
    public = urlsplit(PUBLIC_URL)
    if public.path or public.query or public.fragment or "@" in public.netloc:
        found.append("PUBLIC_URL is more than a scheme and a host.")
    if STRIPE_API_BASE != STRIPE_PRODUCTION_BASE:
        found.append("STRIPE_API_BASE points at a stand-in for Stripe.")
    addresses = {"PUBLIC_URL": PUBLIC_URL, "SSO_ISSUER": SSO_ISSUER, "SSO_JWKS_URL": SSO_JWKS_URL}
    for name, address in addresses.items():
        host = urlsplit(address).hostname or ""
        here = host in {"", "localhost", "::1", "0.0.0.0"} or host.startswith("127.")  # noqa: S104 (compared)
        if address and (here or not address.startswith("https://")):
            found.append(f"{name} is not a public https address.")
    return found


if PRODUCTION and (refusals := _refusals()):
    raise ImproperlyConfigured("Production cannot start: " + " ".join(refusals))
if SSO_JWKS_URL and SSO_JWT_SECRET:
    raise ImproperlyConfigured("Set SSO_JWKS_URL or SSO_JWT_SECRET, not both.")
if SSO_JWT_SECRET and len(SSO_JWT_SECRET.encode()) < 32:
    raise ImproperlyConfigured("SSO_JWT_SECRET must be at least 32 bytes.")
if (SSO_JWKS_URL or SSO_JWT_SECRET) and not (SSO_ISSUER and SSO_AUDIENCE):
    raise ImproperlyConfigured("SSO needs SSO_ISSUER and SSO_AUDIENCE.")

# --- Django -----------------------------------------------------------------------------------------

SECRET_KEY = env.str("SECRET_KEY")
# The health check answers before the host check, so an address is never needed here for probes.
ALLOWED_HOSTS = _words("ALLOWED_HOSTS", default=[urlsplit(PUBLIC_URL).hostname or "localhost"])
CSRF_TRUSTED_ORIGINS = _words("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "misar_billing.urls"
WSGI_APPLICATION = "misar_billing.wsgi.application"
APPEND_SLASH = False  # A trailing slash is 404, never a redirect (contract 5).
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

INSTALLED_APPS = [
    "misar_billing.apps.BillingConfig",
    "misar_billing.apps.BackOfficeConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts",
    "wallet",
    "monetization",
]

MIDDLEWARE = [
    "misar_billing.requests.identify",
    "misar_billing.health.answer_health",
    "misar_billing.requests.require_https",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# --- Data -------------------------------------------------------------------------------------------

# ATOMIC_REQUESTS stays off: the verb owns its transaction.
DATABASES = {"default": database.configuration(os.environ)}

# --- Static files -----------------------------------------------------------------------------------

STATIC_URL = "/static/"
# The sandbox serves static files from where they lie, without a collectstatic.
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "whitenoise.storage.CompressedManifestStaticFilesStorage"
            if PRODUCTION
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}

# --- Transport --------------------------------------------------------------------------------------

# Whose X-Forwarded-Proto is believed is gunicorn's matter (TRUSTED_PROXIES in gunicorn_conf.py):
# it sets the scheme, and Django never reads the header.
TRUSTED_PROXIES = _words("TRUSTED_PROXIES", default=[])
SECURE_SSL_REDIRECT = PRODUCTION
# An API is refused over plain http instead (requests.require_https): a redirect would come too late for the
# key that was sent, and many clients repeat a POST as a GET.
SECURE_REDIRECT_EXEMPT = [r"^(io/wallet|mail/v1|v1)(/|$)"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
SESSION_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_SECURE = PRODUCTION
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Stripe -----------------------------------------------------------------------------------------

# How many requests of one process may wait for Stripe at once: a quarter of its threads, so that a
# silent Stripe leaves the rest to charges.
WEB_THREADS = _count("WEB_THREADS", 8, least=1)
STRIPE_CALLS_AT_ONCE = max(1, WEB_THREADS // 4)

# --- Who may be returned to, and who may read from a browser ------------------------------------------

RETURN_URL_HOSTS = _words(
    "RETURN_URL_HOSTS", default=["misar.io", "*.misar.io", "misar.blog", "*.misar.blog"]
)
CORS_URLS_REGEX = r"^/io/wallet/(balance|transactions|rates)$"
CORS_ALLOWED_ORIGIN_REGEXES = [
    "^https://" + re.escape(host).replace(r"\*", r"[a-z0-9-]+(\.[a-z0-9-]+)*") + "$"
    for host in RETURN_URL_HOSTS
]
CORS_ALLOW_METHODS = ["GET"]
CORS_ALLOW_HEADERS = ["authorization", "content-type"]
CORS_EXPOSE_HEADERS = ["X-Request-ID", "Retry-After"]

# --- Limits -----------------------------------------------------------------------------------------

WALLET_READS_PER_MINUTE = _count("WALLET_READS_PER_MINUTE", 200)
WALLET_CHARGES_PER_MINUTE = _count("WALLET_CHARGES_PER_MINUTE", 0)  # 0: no limit (contract 15).
CREATOR_REQUESTS_PER_MINUTE = _count("CREATOR_REQUESTS_PER_MINUTE", 60)
ADJUSTMENT_CREDITS_MAX = _count("ADJUSTMENT_CREDITS_MAX", 100_000)

# --- Fees -------------------------------------------------------------------------------------------

# Whether the platform's fee goes back, pro rata, with a refunded tip.
REFUNDS_RETURN_THE_FEE = env.bool("REFUNDS_RETURN_THE_FEE", default=True)

# --- REST -------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "misar_billing.api.exception_handler",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Misar Billing",
    "DESCRIPTION": "One credit balance per Misar user, shared by every Misar product. 1 credit = US$1.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "PREPROCESSING_HOOKS": ["misar_billing.schema.without_aliases"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_PUBLIC": True,
    "SCHEMA_PATH_PREFIX": "/(io/wallet|mail/v1)",
    "ENUM_NAME_OVERRIDES": {"EntryKind": "wallet.models.Entry.Kind"},
}

# --- Log --------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request": {"()": "misar_billing.requests.RequestFilter"},
        "unexpected": {"()": "misar_billing.requests.UnexpectedFilter"},
    },
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request"]}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # 4xx are the callers' affair and stand in the access log.
        "django.request": {"level": "ERROR", "filters": ["unexpected"]},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "stripe": {"level": "WARNING"},
    },
}
