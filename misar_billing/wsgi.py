"""What gunicorn serves. Settings come from the environment alone; no sandbox file is ever read here."""

import io
import os
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "misar_billing.settings")

# One byte more than any path reads, so that a longer body is still seen to be too long.
BODY_BYTES_MAX = 1024 * 1024 + 1

django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django, with the length of a chunked body told: it would take one without a length to be empty."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        try:
            body = environ["wsgi.input"].read(BODY_BYTES_MAX)
        except Exception:  # A client that fell silent, or speaks no HTTP: what came is no whole body.
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = _Broken(), "1"
        else:
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    return django(environ, start_response)


class _Broken(io.RawIOBase):
    """A body that did not arrive."""

    def read(self, size: int = -1) -> bytes:
        raise OSError("the body did not arrive")
