"""Every file of ours that a document or a comment names is there."""

import re

from tests.source import NOT_OURS, ROOT

# With a folder before it, or alone: wallet/books/ledger.py, ledger.py.
NAMED = re.compile(r"(?<![\w./:\\-])((?:[\w-]+/)*\w[\w-]*\.(?:py|sql))\b")
SUFFIXES = {".py", ".md", ".sql", ".html", ".css", ".js", ".yaml", ".toml"}


def test_every_file_that_is_named_is_there():
    files = [
        path.relative_to(ROOT)
        for path in ROOT.rglob("*")
        if path.suffix in SUFFIXES and not NOT_OURS & set(path.relative_to(ROOT).parts)
    ]
    there = {f"/{path}" for path in files}
    missing = {
        (str(path), name)
        for path in files
        for name in NAMED.findall((ROOT / path).read_text())
        if not any(each.endswith(f"/{name}") for each in there)
    }
    assert len(files) > 500
    assert missing == set()
