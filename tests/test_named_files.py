"""Every file that a document or a comment names exists."""

import re

from tests.source import NOT_OURS, ROOT

# With or without its folder: wallet/books/ledger.py, ledger.py.
NAMED = re.compile(r"(?<![\w./:\\-])((?:[\w-]+/)*\w[\w-]*\.(?:py|sql))\b")
SUFFIXES = {".py", ".md", ".sql", ".html", ".css", ".js", ".yaml", ".toml"}


def test_every_named_file_exists():
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
