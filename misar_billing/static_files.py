"""Static files in production: style sheets without comments and imports, compressed, with hashed names."""

import re
from pathlib import Path
from typing import Any

import rcssmin
from django.contrib.staticfiles import finders
from django.core.files.base import ContentFile, File
from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]

# The imported name may have its hash already. So a sheet gets a new name when the imported one changes.
IMPORT = re.compile(r'^@import url\("([a-z-]+)(?:\.[0-9a-f]{12})?\.css"\);$', re.MULTILINE)


class StaticFilesStorage(CompressedManifestStaticFilesStorage):
    """What collectstatic writes to. A browser paints nothing before it has every sheet of a page."""

    def _save(self, name: str, content: "File[Any]") -> str:
        if name.endswith(".css"):
            # A comment that begins with ! may be a licence, and stays.
            whole = _with_imports(name, b"".join(content.chunks()).decode())
            small = rcssmin.cssmin(whole, keep_bang_comments=True)
            content = ContentFile(small.encode())
        return str(super()._save(name, content))


def _with_imports(name: str, sheet: str) -> str:
    """Put the sheets that a sheet imports from its folder in the place of the lines that import them.

    One sheet is one request, and two sheets together compress better than each alone. A sheet that names
    files stays imported, such as one of Django: in another sheet, their names would get no hash.
    """

    def text_of(imported: re.Match[str]) -> str:
        source = finders.find(str(Path(name).with_name(f"{imported[1]}.css")))
        text = Path(source).read_text() if source else "url("
        return imported[0] if "url(" in text else text

    return IMPORT.sub(text_of, sheet)
