"""Every picture in a document exists, and every picture is in a document."""

import re

from tests.environment import ROOT

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PICTURE = re.compile(r'!\[[^\]]*\]\(([^)\s]+)\)|<img [^>]*src="([^"]+)"')


def pictures_of(document):
    named = ("".join(groups) for groups in PICTURE.findall(document.read_text()))
    return {(document.parent / name).resolve() for name in named if "://" not in name}


def test_every_picture_in_a_document_exists(subtests):
    for document in DOCUMENTS:
        with subtests.test(document=document.name):
            assert [picture.name for picture in sorted(pictures_of(document)) if not picture.is_file()] == []


def test_every_picture_is_in_a_document():
    shown = set().union(*map(pictures_of, DOCUMENTS))
    assert len(shown) > 30
    assert (
        sorted(path.name for path in (ROOT / "docs/pictures").iterdir() if path.resolve() not in shown) == []
    )
