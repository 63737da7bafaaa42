"""Take secrets and addresses of persons out of a text before it is logged.

This is the last line of defence. The code that writes to the log leaves them out itself.
"""

import re
import traceback
from collections.abc import Iterator

import psycopg

REMOVED = "[removed]"

# Most texts have none of these, so that one look is enough.
_SUSPECT = re.compile(
    r"@|%(?:25)*40|[wm]sk_|whsec_|[sr]k_|eyJ|://|bearer|basic|DETAIL|Failing row", re.IGNORECASE
)
# An address, also as it stands in a URL. It begins and ends where a text or a URL would part it. The lengths
# are those of the longest address, so that a long text takes no long time.
_PART = r"""[^\s"'<>()\[\]{},;:=/?&|\\@]"""
_ADDRESS = re.compile(rf"{_PART}{{1,320}}(?:@|%(?:25){{0,3}}40){_PART}{{1,255}}", re.IGNORECASE)
# The start of a word. An escaped character ends with a letter or a digit: key%3Dmsk_ is key=msk_.
_STARTS = r"(?:\b|(?<=%[0-9A-Fa-f]{2}))"
_SECRETS = (
    # The password of a URL, or a name without one.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/?#\"']*@", re.IGNORECASE), r"\1" + REMOVED + "@"),
    # The query of a URL or of a path, in which a person may have searched for an address.
    (re.compile(r"((?:\b[a-z][a-z0-9+.-]*://|(?<![\w:/])/)[^\s?#\"']*)\?[^\s\"']*", re.IGNORECASE), r"\1"),
    # Our keys, and those of Stripe. One of ours is known by its digits, whatever precedes it.
    (re.compile(r"[wm]sk_[0-9a-f]{16,}"), REMOVED),
    (re.compile(rf"{_STARTS}(?:wsk|msk|whsec|(?:sk|rk|pk)_(?:live|test))_[\w.-]+"), REMOVED),
    (re.compile(rf"{_STARTS}(?:sk|rk)_[A-Za-z0-9_]{{6,}}"), REMOVED),
    (re.compile(r"\b(bearer|basic)(\s+|%20)[\w.~+/=%-]+", re.IGNORECASE), r"\1 " + REMOVED),
    # A JSON Web Token: it begins with {" in base64.
    (re.compile(r"\beyJ[\w-]{4,}(?:\.[\w-]*)*"), REMOVED),
    # PostgreSQL puts values of the row into DETAIL. It ends where the next part of the message begins.
    (re.compile(r"\s*\bDETAIL:.*?(?=\n(?:HINT|CONTEXT|LINE|STATEMENT):|\Z)", re.DOTALL), ""),
    (re.compile(r"Failing row contains.*", re.DOTALL), ""),
)


def scrubbed(text: str) -> str:
    """Return the text without addresses, keys, tokens, passwords of URLs, and values of rows."""
    if not _SUSPECT.search(text) and "?" not in text:
        return text
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return _ADDRESS.sub(REMOVED, text)


def message_of(error: BaseException) -> str:
    """Return what an error says. Of an error of PostgreSQL, only the part without values of rows."""
    # Django's error repeats the whole message of psycopg's, which is its cause.
    of_database = error.__cause__ if type(error).__module__ == "django.db.utils" else error
    if isinstance(of_database, psycopg.Error):
        primary = of_database.diag.message_primary
        return scrubbed(primary or str(of_database).strip().partition("\n")[0])
    return scrubbed(str(error))


def name_of(error: BaseException) -> str:
    """Return the name of an error's type, with its module unless it is Python's own."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def traceback_of(error: BaseException) -> str:
    """Return where an error was raised, and the errors that led to it, the first one first.

    It has lines of code and messages, and no values of variables.
    """
    return "\n".join(
        f"{''.join(traceback.format_tb(each.__traceback__))}{name_of(each)}: {message_of(each)}"
        for each in reversed(list(_chain(error)))
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
