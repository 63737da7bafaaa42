"""The API reference at `/docs`: one page, the same for every reader."""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control
from django.views.decorators.http import condition, require_safe
from django.views.decorators.vary import vary_on_headers

from misar_billing.reference import errors, page
from misar_billing.reference.prose import code
from wallet.payments.handlers import HANDLERS

MAX_AGE_SECONDS = 300
INDENTATION = re.compile(r">\s*\n\s*<")  # No blank between words: it would be on one line.
LANGUAGES = ("curl", "python", "javascript")
LIMITS = (
    "WALLET_READS_PER_MINUTE",
    "WALLET_WRITES_PER_MINUTE",
    "WALLET_CHARGES_PER_MINUTE",
    "CREATOR_REQUESTS_PER_MINUTE",
)
# The sections of the introduction: the anchor and the title of each. `introduction.html` has their texts.
SECTIONS = (
    ("start", "First charge"),
    ("credentials", "Credentials"),
    ("errors", "Errors"),
    ("idempotency", "Idempotency"),
    ("unknown", "When no answer comes"),
    ("limits", "Limits"),
    ("formats", "Formats"),
    ("pages", "Pages of a list"),
    ("credits", "Credits, holds, grants"),
    ("versions", "Versions"),
    ("stripe", "Events from Stripe"),
)


@dataclass(frozen=True)
class Rendered:
    """The page as it is sent, and what names this version of it."""

    content: bytes
    etag: str


@lru_cache(maxsize=4)
def rendered(base: str) -> Rendered:
    """Return the page for readers who reach the service at `base`. In production there is one base."""
    context = {
        "base": base,
        "first": {each: code(program(f"first_charge.{each}", base)) for each in LANGUAGES},
        "retry": code(program("retry.python", base)),
        "tags": page.tags(base),
        "common": page.common_errors(),
        "codes": errors.TABLE,
        "sections": SECTIONS,
        # charge.refund.updated is an older name of refund.updated; accounts that send both need only one.
        "events": [name for name in HANDLERS if name != "charge.refund.updated"],
        "rate_headers": page.rate_headers(),
        "limits": {name: _a_minute(getattr(settings, name)) for name in LIMITS},
        "is_sandbox": not settings.PRODUCTION,
    }
    html = render_to_string("reference/page.html", context)
    content = INDENTATION.sub("><", html).encode()
    return Rendered(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def program(name: str, base: str) -> str:
    """Return a program of the introduction, such as `first_charge.python`."""
    return render_to_string(f"reference/{name}.txt", {"base": base}).strip()


def _a_minute(limit: int) -> str:
    return f"{limit:,} a minute" if limit else "No limit"


def base_of(request: HttpRequest) -> str:
    """Return the scheme and host at which the reader reaches this service."""
    return settings.PUBLIC_URL if settings.PRODUCTION else request.build_absolute_uri("/").rstrip("/")


# A cache updates what it keeps by the headers of a 304, which is not compressed.
@vary_on_headers("Accept-Encoding")
@require_safe
@condition(etag_func=lambda request: rendered(base_of(request)).etag)
def reference(request: HttpRequest) -> HttpResponse:
    """Show the reference. Its header does not name the user, so caches may keep one copy for all readers."""
    response = HttpResponse(rendered(base_of(request)).content)
    patch_cache_control(response, public=True, max_age=MAX_AGE_SECONDS)
    return response
