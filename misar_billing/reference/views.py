"""The API reference at `/docs`, and its schema at `/schema`: for every reader the same."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.encoding import force_bytes
from django.views.decorators.http import condition, require_safe
from django.views.decorators.vary import vary_on_headers
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

from misar_billing.reference import errors, exchanges, page
from misar_billing.reference.prose import code
from wallet.payments.handlers import HANDLERS

MAX_AGE_SECONDS = 300
INDENTATION = re.compile(r">\s*\n\s*<")  # No blank between words: it would be on one line.
LANGUAGES = {"curl": "curl", "python": "Python", "javascript": "JavaScript"}
# The settings of limits, and whom each counts.
LIMITS = {
    "WALLET_READS_PER_MINUTE": "for each user and credential",
    "WALLET_WRITES_PER_MINUTE": "for each product, together",
    "WALLET_CHARGES_PER_MINUTE": "for each product, together",
    "CREATOR_REQUESTS_PER_MINUTE": "for each key, or for each user with a session",
}
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


@lru_cache(maxsize=4 * len(LANGUAGES))
def rendered(base: str, language: str) -> Rendered:
    """Return the page for readers who reach the service at `base`. In production there is one base."""
    context = {
        "base": base,
        "language": language,
        "languages": LANGUAGES,
        "first": code(program(f"first_charge.{language}", base)),
        "retry": code(program("retry.python", base)),
        "tags": page.tags(base, language),
        "common": page.common_errors(),
        "codes": errors.TABLE,
        "sections": SECTIONS,
        # charge.refund.updated is an older name of refund.updated; accounts that send both need only one.
        "events": [name for name in HANDLERS if name != "charge.refund.updated"],
        "rate_headers": page.rate_headers(),
        "limits": {name: _a_minute(getattr(settings, name), whom) for name, whom in LIMITS.items()},
        "is_sandbox": not settings.PRODUCTION,
    }
    html = render_to_string("reference/page.html", context).replace(exchanges.BASE, base)
    return named(INDENTATION.sub("><", html).encode())


def named(content: bytes) -> Rendered:
    return Rendered(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def program(name: str, base: str) -> str:
    """Return a program of the introduction, such as `first_charge.python`."""
    return render_to_string(f"reference/{name}.txt", {"base": base}).strip()


def _a_minute(limit: int, whom: str) -> str:
    return f"{limit:,} a minute {whom}" if limit else "No limit"


def base_of(request: HttpRequest) -> str:
    """Return the scheme and host at which the reader reaches this service."""
    return settings.PUBLIC_URL if settings.PRODUCTION else request.build_absolute_uri("/").rstrip("/")


def rendered_for(request: HttpRequest) -> Rendered:
    language = request.GET.get("lang", "")
    return rendered(base_of(request), language if language in LANGUAGES else "curl")


# A cache updates what it keeps by the headers of a 304, which is not compressed.
@vary_on_headers("Accept-Encoding")
@require_safe
@condition(etag_func=lambda request: rendered_for(request).etag)
def reference(request: HttpRequest) -> HttpResponse:
    """Show the reference. Its header does not name the user, so caches may keep one copy for all readers."""
    response = HttpResponse(rendered_for(request).content)
    patch_cache_control(response, public=True, max_age=MAX_AGE_SECONDS)
    return response


@cache
def document(media_type: str) -> Rendered:
    """Return the schema in the form of one of the renderers."""
    renderer = next(each for each in OpenApiDocument.renderer_classes if each.media_type == media_type)
    return named(force_bytes(renderer().render(page.schema(), renderer_context={})))


class OpenApiDocument(SpectacularAPIView):
    """Answers the schema in YAML, or in JSON if `Accept` asks for it."""

    authentication_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer = request.accepted_renderer
        made = document(renderer.media_type)
        response = HttpResponse(made.content, content_type=renderer.media_type)
        name = self._get_filename(request, "")
        response["Content-Disposition"] = f'inline; filename="{name}"'
        response["ETag"] = made.etag
        patch_cache_control(response, public=True, max_age=MAX_AGE_SECONDS)
        return get_conditional_response(request, made.etag, response=response) or response
