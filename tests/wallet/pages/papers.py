"""Read the text of a PDF file back."""

import io

from pypdf import PdfReader


def text_of(content: bytes) -> str:
    """The text of a PDF file, in one line."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages).split())
