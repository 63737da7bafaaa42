"""Looking for what must be there."""

import re


def matched(pattern: str, text: str) -> re.Match[str]:
    """The first place where a pattern fits; the test fails where there is none."""
    match = re.search(pattern, text)
    assert match, f"{pattern} is not in:\n{text}"
    return match
