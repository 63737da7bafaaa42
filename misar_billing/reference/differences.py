"""What one request has otherwise than another one, in a few words."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.utils.safestring import SafeString

from misar_billing.reference.exchanges import Request
from misar_billing.reference.prose import inline
from misar_billing.reference.samples import JSON


def difference(request: Request, first: Request) -> SafeString:
    """Return what only one of two requests has, as this one has it; nothing if they are alike."""
    new: list[str] = []
    missing: list[str] = []
    for here, there, form in _compared(request, first):
        new += [form.format(name, each) for name, each in here.items() if there.get(name) != each]
        missing += [name for name in there if name not in here]
    if isinstance(request.body, str) and request.body != first.body:
        new.append(request.body)
    parts = [_marked(new), f"without {_marked(missing)}" if missing else ""]
    return inline(", ".join(filter(None, parts)))


def as_a_line(request: Request) -> SafeString:
    """Return the method and the path of a request, and its body if that is what is wrong with it."""
    line = f"`{request.method} {request.path}`"
    return inline(f"{line} with `{request.body}`" if isinstance(request.body, str) else line)


def _compared(request: Request, first: Request) -> Iterator[tuple[Mapping[str, str], Mapping[str, str], str]]:
    """Yield what the requests have of each kind by its name, and how it is written."""
    here, there = (urlsplit(each.path) for each in (request, first))
    yield _segments(here.path), _segments(there.path), "{1}"
    yield dict(parse_qsl(here.query)), dict(parse_qsl(there.query)), "{}={}"
    yield request.headers, first.headers, "{}: {}"
    yield _written(request.body), _written(first.body), '"{}": {}'


def _segments(path: str) -> dict[str, str]:
    return {str(place): each for place, each in enumerate(path.split("/"))}


def _written(body: Any) -> dict[str, str]:
    return {name: JSON.one_line(each) for name, each in body.items()} if isinstance(body, dict) else {}


def _marked(texts: list[str]) -> str:
    return ", ".join(f"`{each}`" for each in texts)
