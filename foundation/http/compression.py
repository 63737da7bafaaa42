"""Which answers are compressed: pages, the schema, files of text. Answers of the API and secrets are not.

The length of a compressed answer tells how much of it repeats. If an attacker can put words of their choice
into a page, load it often in a victim's browser and see its length, they can guess a secret of that page
letter by letter (BREACH). So the default is narrow: only a successful answer to a GET is compressed. All
secrets but two are shown in answers to a POST; the pages of these two have `shows_a_secret`. Form tokens are
masked anew for each page, and each answer gets up to 100 random bytes, so that lengths say little
(docs/decisions/0052).
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import cache_control

from foundation.http.envelope import is_api_path

WEIGHT = re.compile(r"q\s*=\s*([01](?:\.[0-9]{0,3})?)", re.ASCII)
View = Callable[..., HttpResponseBase]
TEXTS = (
    "text/",
    "application/json",
    "application/javascript",
    "application/vnd.oai.openapi",
    "image/svg+xml",
)


def shows_a_secret(view: View) -> View:
    """Mark a view that shows a secret on GET: neither this service nor a proxy compresses its answer."""
    return cache_control(no_transform=True)(view)


class Compression(GZipMiddleware):
    """Middleware: compress an answer if the caller accepts gzip and the answer has no secret."""

    def __call__(self, request: HttpRequest) -> Any:
        response: Any = self.get_response(request)
        if not _may_shrink(request, response):
            return response
        if not accepts_gzip(request.headers.get("Accept-Encoding", "")):
            patch_vary_headers(response, ["Accept-Encoding"])  # A cache must not give this to all callers.
            return response
        return self.process_response(request, response)


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a caller names gzip, does not refuse it (q=0), and does not prefer the plain answer.

    Django's middleware looks for the word alone. A coding without a weight, or with one that is no number,
    counts as 1.
    """
    weights = {}
    for each in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in each.split(";"))
        weight = WEIGHT.fullmatch(parameters[0]) if parameters else None
        weights[coding] = float(weight[1]) if weight else 1.0
    gzip = weights.get("gzip", 0)
    return gzip > 0 and gzip >= weights.get("identity", 0)


def _may_shrink(request: HttpRequest, response: HttpResponseBase) -> bool:
    return (
        not is_api_path(request.path)
        # A stream is compressed while it is sent, so the answer to a HEAD would get a body.
        and (request.method == "GET" or (request.method == "HEAD" and not response.streaming))
        and response.status_code == HTTPStatus.OK
        and response.get("Content-Type", "").startswith(TEXTS)
        and "no-transform" not in response.get("Cache-Control", "")
    )
