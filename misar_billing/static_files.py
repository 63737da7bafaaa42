"""Static files in production: style sheets without comments, compressed, with names that never repeat."""

from typing import Any

import rcssmin
from django.core.files.base import ContentFile, File
from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]


class StaticFilesStorage(CompressedManifestStaticFilesStorage):
    """What collectstatic writes to. A browser paints nothing before it has every sheet of a page."""

    def _save(self, name: str, content: "File[Any]") -> str:
        if name.endswith(".css"):
            # A comment that begins with ! may be a licence, and stays.
            whole = b"".join(content.chunks()).decode()
            small = rcssmin.cssmin(whole, keep_bang_comments=True)
            content = ContentFile(small.encode())
        return str(super()._save(name, content))
