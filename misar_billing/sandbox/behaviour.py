"""How the stand-in misbehaves on request: lost or late webhooks, a slow or failing API."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from misar_billing.sandbox import store
from misar_billing.sandbox.errors import Refused

SECONDS_MAX = 3600


@dataclass(frozen=True)
class Behaviour:
    """What is switched on now; as created, nothing is."""

    drop_webhooks: bool = False
    webhook_delay_seconds: float = 0
    api_delay_seconds: float = 0
    api_failure: int | None = None


def current() -> Behaviour:
    return Behaviour(**store.settings())


def change(changes: Mapping[str, Any]) -> Behaviour:
    """Change what is named, leave the rest. A value without sense raises Refused and nothing changes."""
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
    elif name in ("webhook_delay_seconds", "api_delay_seconds"):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= SECONDS_MAX:
            raise Refused(f"{name} is a number from 0 to {SECONDS_MAX}.")
    elif name == "api_failure":
        if value is not None and (type(value) is not int or not 400 <= value <= 599):
            raise Refused("api_failure is an HTTP status from 400 to 599, or null.")
    else:
        raise Refused(f"There is no setting {name}.")
