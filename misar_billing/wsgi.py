"""What gunicorn serves. Settings come from the environment alone; no sandbox file is ever read here."""

import io
import os
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "misar_billing.settings")

# One byte more than any path reads, so that a longer body is noticed.
BODY_BYTES_MAX = 1024 * 1024 + 1

django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django, with the length of a chunked body. Django takes a body without a length to be empty."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        try:
            body = environ["wsgi.input"].read(BODY_BYTES_MAX)
        except Exception:  # The client fell silent or speaks no HTTP: the body is not complete.
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = _Broken(), "1"
        else:
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    return django(environ, start_response)


class _Broken(io.RawIOBase):
    """A body that did not arrive."""

    def read(self, size: int = -1) -> bytes:
        raise OSError("the body did not arrive")
