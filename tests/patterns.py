"""Regular expressions that must match."""

import re


def matched(pattern: str, text: str) -> re.Match[str]:
    """The first match of a pattern; the test fails if there is none."""
    match = re.search(pattern, text)
    assert match, f"{pattern} is not in:\n{text}"
    return match
