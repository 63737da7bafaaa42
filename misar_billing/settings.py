"""Every setting comes from the environment. The service does not start with a wrong or missing value.

`ENVIRONMENT` is `production` by default; the other value is `sandbox`. Production does not start if a
required variable is missing, or if a value is only for the sandbox. `.env.example` lists every variable.
"""

import os
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from foundation.database.configuration import configuration, standby_configuration
from misar_billing import logs

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()

ENVIRONMENT = env.str("ENVIRONMENT", default="production")
if ENVIRONMENT not in {"production", "sandbox"}:
    raise ImproperlyConfigured("ENVIRONMENT must be production or sandbox.")
PRODUCTION = ENVIRONMENT == "production"

# --- What production requires, and what it refuses ----------------------------------------------------

STRIPE_PRODUCTION_BASE = "https://api.stripe.com"
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default=STRIPE_PRODUCTION_BASE).rstrip("/")
PUBLIC_URL = env.str("PUBLIC_URL", default="").rstrip("/")
SSO_ISSUER = env.str("SSO_ISSUER", default="")
SSO_AUDIENCE = env.str("SSO_AUDIENCE", default="")
SSO_JWKS_URL = env.str("SSO_JWKS_URL", default="")
SSO_JWT_SECRET = env.str("SSO_JWT_SECRET", default="")
SSO_CLIENT_ID = env.str("SSO_CLIENT_ID", default="")
SSO_CLIENT_SECRET = env.str("SSO_CLIENT_SECRET", default="")
DEBUG = env.bool("DEBUG", default=False)


def _words(name: str, default: list[str]) -> list[str]:
    """Return the items of a comma-separated variable, without the spaces around each item."""
    return [word.strip() for word in env.list(name, default=default) if word.strip()]


def _origin(url: str) -> str:
    """Return the scheme and host of a URL; "" if the URL has no host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _count(name: str, default: int, *, least: int = 0) -> int:
    """Return a variable as a whole number. Raises ImproperlyConfigured if it is wrong or below `least`."""
    text = env.str(name, default="").strip() or str(default)
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise ImproperlyConfigured(f"{name} must be a whole number of at least {least}.")
    return int(text)


def _pairs(name: str, default: str) -> dict[str, str]:
    """Return the pairs of a text like blog=MisarBlog,mail=MisarMail."""
    pairs: dict[str, str] = {}
    text = env.str(name, default="").strip() or default
    for pair in filter(str.strip, text.split(",")):
        key, _, value = (part.strip() for part in pair.partition("="))
        if not (key and value):
            raise ImproperlyConfigured(f"{name} must read like {default}.")
        if key in pairs:
            raise ImproperlyConfigured(f"{name} names {key} twice.")
        pairs[key] = value
    return pairs


def _counts_by_role(name: str, default: str) -> dict[str, int]:
    """Return a whole number for each role, from a text like billing=1000,admin=100000.

    A role that is missing in the text has 0. checks.py checks that the named roles exist.
    """
    counts = _pairs(name, default)
    if not all(count.isascii() and count.isdigit() for count in counts.values()):
        raise ImproperlyConfigured(f"{name} must read like {default}.")
    return {role: int(count) for role, count in counts.items()}


STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_WEBHOOK_SECRETS = _words("STRIPE_WEBHOOK_SECRETS", default=[])


def _is_here(host: str) -> bool:
    """Return whether a host is this machine itself, or missing."""
    return host in {"", "localhost", "::1", "0.0.0.0"} or host.startswith("127.")  # noqa: S104 (compared)


VITAL = ("SECRET_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS", "PUBLIC_URL")


def _refusals() -> list[str]:
    """Return the reasons why production cannot start with this environment. Each reason is a sentence."""
    reasons = [f"{name} is not set." for name in VITAL if not env.str(name, default="").strip(" ,")]
    if DEBUG:
        reasons.append("DEBUG is on.")
    if len(env.str("SECRET_KEY", default="x" * 50)) < 50:
        reasons.append("SECRET_KEY is shorter than 50 characters.")
    if STRIPE_SECRET_KEY and not re.fullmatch(r"(sk|rk)_(live|test)_\S+", STRIPE_SECRET_KEY):
        reasons.append("STRIPE_SECRET_KEY is not a secret or restricted key of Stripe.")
    if not all(secret.startswith("whsec_") for secret in STRIPE_WEBHOOK_SECRETS):
        reasons.append("STRIPE_WEBHOOK_SECRETS holds something that is no signing secret.")
    public = urlsplit(PUBLIC_URL)
    if public.path or public.query or public.fragment or "@" in public.netloc:
        reasons.append("PUBLIC_URL is more than a scheme and a host.")
    if not env.str("EMAIL_URL", default="smtp://").startswith("smtp"):
        reasons.append("EMAIL_URL is not a mail server's.")
    if STRIPE_API_BASE != STRIPE_PRODUCTION_BASE:
        reasons.append("STRIPE_API_BASE points at a stand-in for Stripe.")
    if not all(
        re.fullmatch(r"https://[a-z0-9.:-]+", each) for each in _words("CHECKOUT_ORIGINS", default=[])
    ):
        reasons.append("CHECKOUT_ORIGINS holds something that is no origin such as https://pay.example.com.")
    if any(_is_here(urlsplit(each).hostname or "") for each in _words("CHECKOUT_ORIGINS", default=[])):
        reasons.append("CHECKOUT_ORIGINS names this machine, as the sandbox does.")
    addresses = {"PUBLIC_URL": PUBLIC_URL, "SSO_ISSUER": SSO_ISSUER, "SSO_JWKS_URL": SSO_JWKS_URL}
    for name, address in addresses.items():
        if address and (_is_here(urlsplit(address).hostname or "") or not address.startswith("https://")):
            reasons.append(f"{name} is not a public https address.")
    return reasons


if PRODUCTION and (refusals := _refusals()):
    raise ImproperlyConfigured("Production cannot start: " + " ".join(refusals))
if SSO_JWKS_URL and SSO_JWT_SECRET:
    raise ImproperlyConfigured("Set SSO_JWKS_URL or SSO_JWT_SECRET, not both.")
if SSO_JWT_SECRET and len(SSO_JWT_SECRET.encode()) < 32:
    raise ImproperlyConfigured("SSO_JWT_SECRET must be at least 32 bytes.")
if (SSO_JWKS_URL or SSO_JWT_SECRET) and not (SSO_ISSUER and SSO_AUDIENCE):
    raise ImproperlyConfigured("SSO needs SSO_ISSUER and SSO_AUDIENCE.")
if SSO_CLIENT_ID and not (SSO_CLIENT_SECRET and SSO_ISSUER):
    raise ImproperlyConfigured("Signing in by browser needs SSO_CLIENT_SECRET and SSO_ISSUER too.")
if SSO_CLIENT_ID and SSO_CLIENT_ID == SSO_AUDIENCE:
    raise ImproperlyConfigured("SSO_AUDIENCE must differ from SSO_CLIENT_ID: an ID token is no access token.")

# --- Django -----------------------------------------------------------------------------------------

SECRET_KEY = env.str("SECRET_KEY")
# Old values of SECRET_KEY: data that was signed or encrypted with an old value stays readable.
SECRET_KEY_FALLBACKS = _words("SECRET_KEY_FALLBACKS", default=[])
# Requests for /health may name any host, because /health is answered before the host check.
ALLOWED_HOSTS = _words("ALLOWED_HOSTS", default=[urlsplit(PUBLIC_URL).hostname or "localhost"])
CSRF_FAILURE_VIEW = "foundation.http.last_resort.form_too_old"
CSRF_TRUSTED_ORIGINS = _words("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "misar_billing.urls"
WSGI_APPLICATION = "misar_billing.wsgi.application"
APPEND_SLASH = False  # A URL with a trailing slash gets a 404, never a redirect (contract 5).
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
# The formats of days and times on the admin's pages. The other pages use template filters.
FORMAT_MODULE_PATH = "misar_billing.formats"

INSTALLED_APPS = [
    "backoffice.apps.BackOfficeSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.mfa",
    "axes",
    "corsheaders",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts",
    "wallet",
    "monetization",
    "backoffice.apps.BackOfficeConfig",
    "misar_billing.apps.BillingConfig",
]

# Those of misar_billing.middleware are Django's, csp's and whitenoise's; API requests pass them by.
MIDDLEWARE = [
    "foundation.http.request_ids.identify",
    "misar_billing.requests_of_keys.record",
    "misar_billing.requests_seen.watch",
    "misar_billing.health.answer_health",
    # The next two come early, so that every page has their headers, even if a later middleware answers.
    "misar_billing.middleware.ContentSecurityPolicy",
    "django.middleware.security.SecurityMiddleware",
    "foundation.http.https_only.require_https",
    "foundation.http.compression.Compression",  # Before static files: the sandbox has no compressed ones.
    "misar_billing.middleware.StaticFiles",
    "corsheaders.middleware.CorsMiddleware",
    "misar_billing.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "misar_billing.maintenance.refuse_changes",  # After the check of the host and https.
    "django.middleware.csrf.CsrfViewMiddleware",
    "misar_billing.middleware.SignedIn",
    "misar_billing.middleware.Messages",
    "misar_billing.metrics.pages.Pages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.signing_in.middleware.require_good_session",
    "foundation.http.last_resort.explain_wrong_methods",
    # This comes last: after too many wrong passwords, it replaces the view's answer.
    "axes.middleware.AxesMiddleware",
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
            "builtins": ["foundation.template_filters"],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# --- Signing in ---------------------------------------------------------------------------------------

# Users sign in with the SSO issuer (OpenID Connect). Staff can also sign in with a password. Staff always
# need a second factor. Other pages of allauth (sign-up, e-mail addresses, password resets) have no URL here.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "/wallet"
SIGN_INS_PER_MINUTE = _count("SIGN_INS_PER_MINUTE", 60, least=1)  # From one network.
SESSION_COOKIE_AGE = _count("SESSION_HOURS", 24, least=1) * 3600

ACCOUNT_ADAPTER = "accounts.signing_in.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = "misar_id"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_SESSION_REMEMBER = True  # Every session lasts SESSION_HOURS.
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if PRODUCTION else "http"
ACCOUNT_FORMS = {"login": "accounts.signing_in.forms.StaffSignInForm"}
# axes limits wrong passwords. These limits are for the codes of the second factor.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": "5/5m/key", "reauthenticate": "10/m/user"}

SOCIALACCOUNT_ADAPTER = "accounts.signing_in.adapters.SsoAdapter"
SOCIALACCOUNT_REQUESTS_TIMEOUT = 3
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": []}}
if SSO_CLIENT_ID:
    SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"] = [
        {
            "provider_id": "misar",
            "name": "Misar",
            "client_id": SSO_CLIENT_ID,
            "secret": SSO_CLIENT_SECRET,
            "settings": {"server_url": SSO_ISSUER.rstrip("/")},
        }
    ]

MFA_ADAPTER = "accounts.signing_in.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Misar Billing"
# Accept a code only in its own 30 seconds. allauth remembers a used code for 30 seconds, so with a tolerance
# a code could be used twice.
MFA_TOTP_TOLERANCE = 0
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # Staff have no e-mail addresses to verify.

AXES_FAILURE_LIMIT = _count("SIGN_IN_TRIES", 5, least=1)
AXES_COOLOFF_TIME = timedelta(minutes=_count("SIGN_IN_PAUSE_MINUTES", 15, least=1))
# axes counts tries by name and network together, so that a stranger cannot lock out a staff member.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "login"
AXES_USERNAME_CALLABLE = "accounts.signing_in.forms.name_tried"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_CLIENT_STR_CALLABLE = "misar_billing.logs.nameless"
AXES_CLIENT_IP_CALLABLE = "foundation.http.client_addresses.client_network"
AXES_LOCKOUT_CALLABLE = "accounts.signing_in.views.shut_out"

# --- Content security policy: what a page may load, and to which sites its forms may lead -------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # `data:` is for the QR code of the second factor.
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],  # content_security.py adds origins for two kinds of page.
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
STRIPE_CHECKOUT_ORIGIN = "https://checkout.stripe.com"
# The origins of Stripe's payment pages. The service redirects users to no other payment page. The content
# security policy has these origins too, because a browser applies the policy of a form's page to redirects.
CHECKOUT_ORIGINS = [
    STRIPE_CHECKOUT_ORIGIN,
    *_words(
        "CHECKOUT_ORIGINS",
        default=[] if PRODUCTION else [_origin(STRIPE_API_BASE), _origin(env.str("SANDBOX_URL", default=""))],
    ),
]
SSO_ORIGINS = _words("SSO_ORIGINS", default=[_origin(SSO_ISSUER)])

# --- Data -------------------------------------------------------------------------------------------

# ATOMIC_REQUESTS is off, because each domain function opens its own transaction.
DATABASES = {"default": configuration(os.environ)}
# A standby that may answer reads (foundation/database/standby.py). It is no database of DATABASES, so no
# command and no migration can get there.
STANDBY = standby_configuration(os.environ)
STANDBY_LAG_SECONDS_MAX = _count("STANDBY_LAG_SECONDS_MAX", 5, least=1)
# All processes share this cache. So a code of the second factor works only once, and wrong codes are counted
# across all processes. Charges and payments do not use the cache.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "accounts_cache"}}

# --- Mail -------------------------------------------------------------------------------------------

# Without EMAIL_URL no mail is queued or sent.
MAIL_ENABLED = bool(env.str("EMAIL_URL", default=""))
if MAIL_ENABLED:
    try:
        vars().update(env.email_url("EMAIL_URL"))
    except (KeyError, ValueError, ImproperlyConfigured):  # The original error contains the password.
        raise ImproperlyConfigured("EMAIL_URL cannot be read.") from None
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("MAIL_FROM", default="Misar Billing <billing@misar.io>")

# --- Static files -----------------------------------------------------------------------------------

STATIC_URL = "/static/"
# The sandbox serves static files from their source folder, without collectstatic.
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_ALLOW_ALL_ORIGINS = False  # No other site reads them.
WHITENOISE_AUTOREFRESH = not PRODUCTION  # A changed style sheet is used without a restart.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "misar_billing.static_files.StaticFilesStorage"
            if PRODUCTION
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}

# --- Transport --------------------------------------------------------------------------------------

# gunicorn_conf.py reads TRUSTED_PROXIES too. gunicorn sets the scheme from the X-Forwarded-Proto header of a
# trusted proxy. Django never reads this header.
TRUSTED_PROXIES = _words("TRUSTED_PROXIES", default=[])
SECURE_SSL_REDIRECT = PRODUCTION
# The API refuses plain http instead of redirecting (https_only.py). A redirect would come after the client
# has sent its key unencrypted. Also, many clients would follow the redirect with a GET instead of a POST.
SECURE_REDIRECT_EXEMPT = [r"^(io/wallet|mail/v1|v1)(/|$)"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
SESSION_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_SECURE = PRODUCTION
if PRODUCTION:
    # Because of the prefix __Host-, only this host can set the cookie. Other hosts of our domain cannot.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Stripe -----------------------------------------------------------------------------------------

# How many requests of one process may wait for Stripe at the same time: a quarter of its threads. If Stripe
# does not answer, products can still charge with the other threads.
WEB_THREADS = _count("WEB_THREADS", 8, least=1)
STRIPE_CALLS_AT_ONCE = max(1, WEB_THREADS // 4)

# --- Sites to which users return, and whose pages may read wallets ------------------------------------

RETURN_URL_HOSTS = _words(
    "RETURN_URL_HOSTS", default=["misar.io", "*.misar.io", "misar.blog", "*.misar.blog"]
)
CORS_URLS_REGEX = r"^/io/wallet/(balance|transactions|rates|funds)$"
CORS_ALLOWED_ORIGIN_REGEXES = [
    "^https://" + re.escape(host).replace(r"\*", r"[a-z0-9-]+(\.[a-z0-9-]+)*") + "$"
    for host in RETURN_URL_HOSTS
]
CORS_ALLOW_METHODS = ["GET"]
CORS_ALLOW_HEADERS = ["authorization", "content-type"]
CORS_EXPOSE_HEADERS = ["X-Request-ID", "Retry-After"]

# The names of products on users' pages and in mails, by the product of a service key.
PRODUCT_NAMES = _pairs("PRODUCT_NAMES", default="blog=MisarBlog,mail=MisarMail,reach=MisarReach")

# --- Limits -----------------------------------------------------------------------------------------

WALLET_READS_PER_MINUTE = _count("WALLET_READS_PER_MINUTE", 200)
# 0: no limit (contract 15). On a cluster the coordinator counts, so a limit brings it into each charge.
WALLET_CHARGES_PER_MINUTE = _count("WALLET_CHARGES_PER_MINUTE", 0)
WALLET_WRITES_PER_MINUTE = _count("WALLET_WRITES_PER_MINUTE", 600)  # Refunds, by product (contract 31).
TOP_UPS_PER_MINUTE = _count("TOP_UPS_PER_MINUTE", 10, least=1)  # Per user, on the wallet page.
CREATOR_REQUESTS_PER_MINUTE = _count("CREATOR_REQUESTS_PER_MINUTE", 60)
ADJUSTMENT_CREDITS_MAX = _count("ADJUSTMENT_CREDITS_MAX", 100_000)
# How many credits a staff member may move by hand in 24 hours, by role. If a staff member has several
# roles, the largest limit counts.
STAFF_CREDITS_A_DAY = _counts_by_role("STAFF_CREDITS_A_DAY", default="billing=1000,admin=100000")
# How many cents of top-ups a staff member may ask Stripe to refund in 24 hours, by role.
STAFF_TOPUP_REFUND_CENTS_A_DAY = _counts_by_role(
    "STAFF_TOPUP_REFUND_CENTS_A_DAY", default="billing=50000,admin=500000"
)
# How much of one tip a staff member may refund, by role, in the smallest unit of the tip's currency.
STAFF_REFUND_CENTS_MAX = _counts_by_role("STAFF_REFUND_CENTS_MAX", default="billing=20000,admin=100000")

# --- Receipts ---------------------------------------------------------------------------------------

# Who sells the credits, as receipts and statements name the issuer. Lines of the address are separated by
# semicolons. What is empty is left out; `check --deploy` warns about it.
_NAME, _ADDRESS, _TAX_NUMBER = (
    ("", "", "") if PRODUCTION else ("Misar (sandbox)", "1 Sandbox Street; Nowhere", "XX000000000")
)
ISSUER_NAME = env.str("ISSUER_NAME", default=_NAME).strip()
ISSUER_ADDRESS = [
    line.strip() for line in env.str("ISSUER_ADDRESS", default=_ADDRESS).split(";") if line.strip()
]
ISSUER_TAX_NUMBER = env.str("ISSUER_TAX_NUMBER", default=_TAX_NUMBER).strip()

# --- Fees -------------------------------------------------------------------------------------------

# Whether a refund of a tip also returns the platform's fee, in proportion to the refunded amount.
REFUNDS_RETURN_THE_FEE = env.bool("REFUNDS_RETURN_THE_FEE", default=True)

# --- REST -------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "foundation.http.envelope.exception_handler",
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
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "misar_billing.schema.with_words",
        "misar_billing.schema.with_examples",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_PUBLIC": True,
    "SCHEMA_PATH_PREFIX": "/(io/wallet|mail/v1)",
    "ENUM_NAME_OVERRIDES": {
        "EntryKind": "wallet.books.models.Entry.Kind",
        "HoldState": "wallet.charges.models.Hold.State",
        "GrantState": "wallet.charges.models.Lot.State",
        "ErrorCode": "wallet.api.codes.Code",
    },
}

# --- Log --------------------------------------------------------------------------------------------

try:
    LOG_FORMAT = logs.format_of(os.environ, production=PRODUCTION)
except ValueError as error:
    raise ImproperlyConfigured(str(error)) from None
if LOG_FORMAT == "json":
    logs.log_what_python_prints()
LOGGING = logs.configuration(LOG_FORMAT, env.str("LOG_LEVEL", default="INFO"))
# Whether each request is logged with its method, pattern of the path, status and time.
LOG_REQUESTS = env.bool("LOG_REQUESTS", default=PRODUCTION)
