"""Name the style sheets of each page in a header too, so that the browser asks for them one moment earlier.

A browser paints nothing before it has every style sheet, and finds them only when the page's first lines have
arrived and are unpacked. A proxy that knows Early Hints (103) can send this header before the page is ready.
"""

import re

from django.http import HttpRequest
from django.http.response import HttpResponse, HttpResponseBase

from foundation.http.request_ids import Handler

_SHEET = re.compile(rb'<link rel="stylesheet" href="([^"]+)">')


def name_style_sheets(get_response: Handler) -> Handler:
    """Return a middleware that writes the sheets in a page's head into a `Link` header."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if isinstance(response, HttpResponse) and response.get("Content-Type", "").startswith("text/html"):
            head, _, _ = response.content.partition(b"</head>")
            if sheets := _SHEET.findall(head):
                response["Link"] = ", ".join(f"<{sheet.decode()}>; rel=preload; as=style" for sheet in sheets)
        return response

    return middleware
