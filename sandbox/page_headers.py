"""The headers of every answer: only our own styles, no framing, no forms to other sites."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def add_page_headers(get_response: GetResponse) -> GetResponse:
    """Middleware that adds the headers a view has not set itself."""

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
    """The content security policy.

    A form may also lead to the origins of `form_targets`: browsers apply the rule to the redirect after a
    form too. With `frames`, the page may show our own pages in frames.
    """
    targets = " ".join(["'self'", *sorted({_origin(url) for url in form_targets if url})])
    framed = "frame-src 'self'; " if frames else ""
    return (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
        f"{framed}frame-ancestors 'none'; form-action {targets}"
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
