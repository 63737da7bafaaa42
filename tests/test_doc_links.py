"""Every link in a document leads to a file that exists, and to a heading that this file has."""

import re
from pathlib import Path

from tests.test_doc_pictures import DOCUMENTS

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors_of(document: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    headings = HEADING.findall(document.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_to_a_file_and_a_heading():
    broken, seen = [], 0
    for document in DOCUMENTS:
        for link in LINK.findall(document.read_text()):
            if "://" in link:
                continue
            seen += 1
            name, _, anchor = link.partition("#")
            target = (document.parent / name).resolve() if name else document
            if not target.exists() or (anchor and anchor not in anchors_of(target)):
                broken.append(f"{document.name}: {link}")
    assert seen > 100
    assert broken == []
