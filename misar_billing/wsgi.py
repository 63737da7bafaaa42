"""The WSGI application that gunicorn runs. Settings come from the environment, never from sandbox files."""

import io
import os
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "misar_billing.settings")

# One byte more than any endpoint accepts, so that Django can see that a body is too long and refuse it.
BODY_BYTES_MAX = 1024 * 1024 + 1

django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Read a chunked body completely and set its length, then call Django.

    Without a length, Django would treat the body as empty.
    """
    if "HTTP_TRANSFER_ENCODING" in environ:
        try:
            body = environ["wsgi.input"].read(BODY_BYTES_MAX)
        except Exception:  # The client stopped sending, or sent wrong chunks.
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = _Broken(), "1"
        else:
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    return django(environ, start_response)


class _Broken(io.RawIOBase):
    """A body that did not arrive completely: reading it raises OSError."""

    def read(self, size: int = -1) -> bytes:
        raise OSError("the body did not arrive")
