"""Django's settings for the sandbox's own process. It has no Django database; store.py keeps its state."""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent
WILDCARD_HOSTS = {"0.0.0.0", "::"}  # noqa: S104 (compared with, not listened on)

HOST = os.environ.get("HOST") or "127.0.0.1"
PORT = int(os.environ.get("SANDBOX_PORT") or 8001)

SECRET_KEY = secrets.token_hex(32)  # It signs nothing that must survive the process.
DEBUG = False
ALLOWED_HOSTS = [HOST, "127.0.0.1", "localhost", "[::1]"]
if HOST in WILDCARD_HOSTS:
    ALLOWED_HOSTS = ["*"]
elif address := os.environ.get("SANDBOX_URL"):
    ALLOWED_HOSTS.append(urlsplit(address).hostname or "")
ROOT_URLCONF = "sandbox.urls"
APPEND_SLASH = False
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

INSTALLED_APPS = ["django.contrib.staticfiles"]
MIDDLEWARE = [
    "sandbox.page_headers.add_page_headers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",  # It refuses other hosts.
    "django.middleware.csrf.CsrfViewMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
# Cookies ignore ports: the service on the same host has its own csrftoken.
CSRF_COOKIE_NAME = "sandbox_csrftoken"
CSRF_COOKIE_HTTPONLY = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL") or "INFO"},
    # Refusals are normal in a sandbox.
    "loggers": {
        "django.server": {"level": "ERROR", "handlers": ["stderr"], "propagate": False},
        "django.request": {"level": "ERROR"},
    },
}
