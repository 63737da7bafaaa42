"""The settings that can change while the sandbox runs: failures, delays, and the terms of the sign-in."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sandbox import store
from sandbox.errors import Refused

SECONDS_MAX = 3600


@dataclass(frozen=True)
class Behaviour:
    """The settings; by default the sandbox behaves well.

    `redirect_origins` are the origins of other services, besides PUBLIC_URL, that may use the sign-in, such
    as http://localhost:8123. A code of the sign-in is valid for `code_seconds`.
    """

    drop_webhooks: bool = False
    webhook_delay_seconds: float = 0
    api_delay_seconds: float = 0
    api_failure: int | None = None
    redirect_origins: list[str] = field(default_factory=list)
    code_seconds: float = 60


def current() -> Behaviour:
    return Behaviour(**store.settings())


def change(changes: Mapping[str, Any]) -> Behaviour:
    """Change the named settings and keep the others. An invalid value raises Refused and changes nothing."""
    for name, value in changes.items():
        _require_sense(name, value)
    store.change_settings(changes)
    return current()


def as_json() -> dict[str, Any]:
    return asdict(current())


def _require_sense(name: str, value: Any) -> None:
    if name == "drop_webhooks":
        if not isinstance(value, bool):
            raise Refused("drop_webhooks is true or false.")
    elif name in ("webhook_delay_seconds", "api_delay_seconds", "code_seconds"):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= SECONDS_MAX:
            raise Refused(f"{name} is a number from 0 to {SECONDS_MAX}.")
    elif name == "api_failure":
        if value is not None and (type(value) is not int or not 400 <= value <= 599):
            raise Refused("api_failure is an HTTP status from 400 to 599, or null.")
    elif name == "redirect_origins":
        if not isinstance(value, list) or not all(_is_origin(each) for each in value):
            raise Refused("redirect_origins is a list of origins such as http://localhost:8123.")
    else:
        raise Refused(f"There is no setting {name}.")


def _is_origin(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and value == f"{parts.scheme}://{parts.netloc}"
        and bool(parts.netloc)
    )
