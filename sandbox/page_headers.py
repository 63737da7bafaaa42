"""The headers of every answer: nothing but our own styles, no framing, no forms that lead elsewhere."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def add_page_headers(get_response: GetResponse) -> GetResponse:
    """Middleware; a view that set a header itself keeps it."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", content_policy())
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return answer


def content_policy(*form_targets: str | None, frames: bool = False) -> str:
    """The content security policy. A form may lead to the origins of `form_targets` as well: browsers
    hold the redirect after a form to the same rule as the form. With `frames`, the page may show pages of
    ours inside."""
    targets = " ".join(["'self'", *sorted({_origin(url) for url in form_targets if url})])
    framed = "frame-src 'self'; " if frames else ""
    return (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
        f"{framed}frame-ancestors 'none'; form-action {targets}"
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
