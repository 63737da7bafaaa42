"""The parameters of a call: Stripe's form encoding, read strictly, with Stripe's error messages.

A parameter that a handler reads is known; `require_nothing_else` refuses all others, as Stripe does.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from sandbox.errors import InvalidParameter

METADATA_KEYS_MAX = 50
METADATA_KEY_LENGTH_MAX = 40
METADATA_VALUE_LENGTH_MAX = 500
URL_LENGTH_MAX = 5000
DEPTH_MAX = 8
# A host that a browser's content policy can name: no user name, no unusual characters.
AUTHORITY = re.compile(r"([A-Za-z0-9-]+\.)*[A-Za-z0-9-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?")
UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")

Tree = dict[str, Any]


def decoded(pairs: Iterable[tuple[str, str]]) -> Tree:
    """`a[b][0]=x` as nested dicts; `a[]=x` is numbered. Raises InvalidParameter for a malformed name."""
    tree: Tree = {}
    for name, value in pairs:
        *path, last = _keys(name)
        branch = tree
        for key in path:
            branch = branch.setdefault(key, {})
            if not isinstance(branch, dict):
                raise _malformed(name)
        last = last or str(len(branch))
        if isinstance(branch.get(last), dict):
            raise _malformed(name)
        branch[last] = value
    return tree


def _keys(name: str) -> list[str]:
    match = re.fullmatch(r"([^\[\]]+)((?:\[[^\[\]]*\])*)", name)
    if not match:
        raise _malformed(name)
    keys = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
    if len(keys) > DEPTH_MAX:
        raise _malformed(name)
    return keys


def _malformed(name: str) -> InvalidParameter:
    return InvalidParameter(f"Invalid parameter name: {name}", code="parameter_unknown", param=name)


class Parameters:
    """A tree of parameters, read name by name. `prefix` is its path, for the error's `param`."""

    def __init__(self, tree: Mapping[str, Any], *, prefix: str = "") -> None:
        self._tree = tree
        self._prefix = prefix
        self._read: set[str] = set()
        self._branches: list[Parameters] = []

    def require_nothing_else(self) -> None:
        """Raise InvalidParameter for the first parameter, at any depth, that no handler has read."""
        for name in self._tree:
            if name not in self._read:
                param = self._name(name)
                raise InvalidParameter(
                    f"Received unknown parameter: {param}", code="parameter_unknown", param=param
                )
        for branch in self._branches:
            branch.require_nothing_else()

    def ignore(self, *names: str) -> None:
        """Accept parameters that Stripe knows and that have no effect here."""
        self._read.update(names)

    # --- Values ---

    def text(self, name: str, *, length_max: int = 5000) -> str | None:
        """A text, or None if there is none. An empty value unsets a parameter, as at Stripe."""
        value = self._take(name)
        if value is None or value == "":
            return None
        if isinstance(value, dict):
            raise self.invalid(name, f"Invalid string: {self._name(name)}")
        if len(value) > length_max:
            raise self.invalid(
                name, f"Invalid string: {value[:20]}...; must be at most {length_max} characters"
            )
        return str(value)

    def integer(self, name: str, *, least: int | None = None, most: int | None = None) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise self.invalid(name, f"Invalid integer: {value}", code="parameter_invalid_integer")
        number = int(value)
        if least is not None and number < least:
            raise self.invalid(name, f"This value must be greater than or equal to {least}.")
        if most is not None and number > most:
            raise self.invalid(name, f"This value must be less than or equal to {most}.")
        return number

    def boolean(self, name: str) -> bool | None:
        value = self.choice(name, "true", "false")
        return None if value is None else value == "true"

    def choice(self, name: str, *choices: str) -> str | None:
        value = self.text(name)
        if value is not None and value not in choices:
            raise self.invalid(name, f"Invalid {self._name(name)}: must be one of {', '.join(choices)}")
        return value

    def url(self, name: str) -> str | None:
        """An http or https address that a browser may be sent to."""
        value = self.text(name, length_max=URL_LENGTH_MAX)
        if value is None:
            return None
        try:
            parts = urlsplit(value)
        except ValueError:
            raise self.invalid(name, "Not a valid URL", code="url_invalid") from None
        valid = parts.scheme in ("http", "https") and AUTHORITY.fullmatch(parts.netloc)
        if not valid or UNPRINTABLE.search(value) or "\\" in value:
            raise self.invalid(name, "Not a valid URL", code="url_invalid")
        return value

    def metadata(self, name: str) -> dict[str, str]:
        """Keys and values within Stripe's limits; an empty value unsets its key."""
        metadata = self._dict(name)
        if len(metadata) > METADATA_KEYS_MAX:
            raise self.invalid(name, f"You can specify up to {METADATA_KEYS_MAX} metadata keys.")
        for key, value in metadata.items():
            if not isinstance(value, str):
                raise self.invalid(name, "Metadata values must be strings.")
            if len(key) > METADATA_KEY_LENGTH_MAX:
                raise self.invalid(
                    name, f"Metadata keys can have up to {METADATA_KEY_LENGTH_MAX} characters."
                )
            if len(value) > METADATA_VALUE_LENGTH_MAX:
                raise self.invalid(
                    name, f"Metadata values can have up to {METADATA_VALUE_LENGTH_MAX} characters."
                )
        return {key: value for key, value in metadata.items() if value}

    def texts(self, name: str) -> list[str]:
        """A list of texts; [] if there is none."""
        if self._tree.get(name) and self.is_text(name):
            raise self.invalid(name, "Invalid array")
        items = _in_order(self._dict(name))
        if not all(isinstance(item, str) for item in items):
            raise self.invalid(name, "Invalid array")
        return items

    # --- Branches ---

    def branch(self, name: str) -> "Parameters":
        """The parameters below a name; empty if it is missing."""
        branch = Parameters(self._dict(name), prefix=self._name(name))
        self._branches.append(branch)
        return branch

    def branches(self, name: str) -> list["Parameters"]:
        """A list of branches, in the order of their numbers."""
        branches = []
        for position, item in enumerate(_in_order(self._dict(name))):
            if not isinstance(item, dict):
                raise self.invalid(name, "Invalid array")
            branches.append(Parameters(item, prefix=f"{self._name(name)}[{position}]"))
        self._branches.extend(branches)
        return branches

    def has(self, name: str) -> bool:
        return name in self._tree

    def is_text(self, name: str) -> bool:
        """Whether the parameter is a single value and not a branch."""
        return isinstance(self._tree.get(name), str)

    # --- Errors ---

    def missing(self, name: str) -> InvalidParameter:
        param = self._name(name)
        return InvalidParameter(f"Missing required param: {param}.", code="parameter_missing", param=param)

    def invalid(self, name: str, message: str, *, code: str | None = None) -> InvalidParameter:
        return InvalidParameter(message, code=code, param=self._name(name))

    def _take(self, name: str) -> Any:
        self._read.add(name)
        return self._tree.get(name)

    def _dict(self, name: str) -> dict[str, Any]:
        value = self._take(name)
        if value is None or value == "":
            return {}
        if not isinstance(value, dict):
            raise self.invalid(name, "Invalid object")
        return value

    def _name(self, name: str) -> str:
        return f"{self._prefix}[{name}]" if self._prefix else name


def _in_order(items: Mapping[str, Any]) -> list[Any]:
    return [items[key] for key in sorted(items, key=lambda key: (len(key), key))]
