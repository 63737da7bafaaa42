"""The settings that can change while the sandbox runs: failures, delays, and the terms of the sign-in."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sandbox import store
from sandbox.errors import Refused

SECONDS_MAX = 3600
NUMBERS_MAX = {
    "drop_share": 1,
    "webhook_delay_seconds": SECONDS_MAX,
    "shuffle_seconds": SECONDS_MAX,
    "api_delay_seconds": SECONDS_MAX,
    "code_seconds": SECONDS_MAX,
}


@dataclass(frozen=True)
class Behaviour:
    """The settings; by default the sandbox behaves well.

    `redirect_origins` are the origins of other services, besides PUBLIC_URL, that may use the sign-in, such
    as http://localhost:8123. A code of the sign-in is valid for `code_seconds`.

    `drop_share` is the share of webhooks that are lost, from 0 to 1; `drop_webhooks` loses all of them.
    With `double_webhooks` each is sent twice. Each waits for `webhook_delay_seconds`, and for a random time
    up to `shuffle_seconds`, so that they arrive in another order. With `refunds_pending` new refunds wait.
    """

    drop_webhooks: bool = False
    drop_share: float = 0
    double_webhooks: bool = False
    webhook_delay_seconds: float = 0
    shuffle_seconds: float = 0
    api_delay_seconds: float = 0
    api_failure: int | None = None
    refunds_pending: bool = False
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
    if name in ("drop_webhooks", "double_webhooks", "refunds_pending"):
        if not isinstance(value, bool):
            raise Refused(f"{name} is true or false.")
    elif name in NUMBERS_MAX:
        most = NUMBERS_MAX[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
            raise Refused(f"{name} is a number from 0 to {most}.")
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
