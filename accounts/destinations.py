"""What the sign-in page calls the page that opens after the sign-in. Each app names its own pages."""

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

Name = Callable[[Mapping[str, str]], str]
_names: dict[str, Name] = {}


def register(path: str, name: Name) -> None:
    """Name the page at a path and all pages below it. `name` gets the query, and its text follows "to"."""
    _names[path] = name


def name_of(url: str) -> str:
    """Return the name of the page at this URL of our site, as in "your wallet"; "" if it has none."""
    parts = urlsplit(url)
    paths = [path for path in _names if f"{parts.path}/".startswith(f"{path}/")]
    return _names[max(paths, key=len)](dict(parse_qsl(parts.query))) if paths else ""
