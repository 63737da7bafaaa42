"""Docstrings and comments name the actor: a creator, a member of staff, the caller, another process."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.source import ROOT, python_files, tree_of

BANNED = re.compile(
    r"\b(?:(?:who|whom|which|some|no|any)(?:ever|body)|someone|anyone)(?:'s)?\b", re.IGNORECASE
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def comments_of(text: str) -> Iterator[tuple[int, str]]:
    """Each comment and its line."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def docstrings_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Each line of each docstring, with its number."""
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            string = node.body[0].value  # type: ignore[attr-defined]
            yield from enumerate(string.value.splitlines(), start=string.lineno)


def banned_in(path: Path) -> list[str]:
    """The banned words of a file, as file:line: word."""
    text = path.read_text()
    if not BANNED.search(text):
        return []
    prose = [*comments_of(text), *docstrings_of(tree_of(path))]
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
    # A name in code, such as the account `nobody`, is no prose.
    sentences = [(line, re.sub("`[^`]*`", "", words)) for line, words in sorted(prose)]
    return [f"{name}:{line}: {word}" for line, words in sentences for word in BANNED.findall(words)]


def test_docstrings_and_comments_name_the_actor():
    found = [each for path in python_files() for each in banned_in(path)]
    assert not found, "Name the actor:\n" + "\n".join(found)


def test_this_test_would_notice(tmp_path):
    (tmp_path / "sample").write_text(
        '"""Not for nobody, but for `nobody`."""\n\n\n'
        'def everybody(somebody="nobody"):\n'
        '    """One line.\n\n    Anybody\'s, and whomever it may concern.\n    """\n'
        '    return "whoever"  # Whoever asks.\n'
    )
    assert banned_in(tmp_path / "sample") == [
        "sample:1: nobody",
        "sample:7: Anybody's",
        "sample:7: whomever",
        "sample:9: Whoever",
    ]
