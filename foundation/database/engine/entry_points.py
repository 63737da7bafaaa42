"""Connect through one of several servers, each of which is a full entry point (decision 0047).

psycopg can try several hosts too, but it waits at least two seconds for each, and tries a host that was found
dead again for each new connection.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from foundation import deadlines

# How long to wait for a server while another one is left to try: a third of a request's time.
ENTRY_SECONDS_MAX = 1.0
# How long a server that failed is tried after the others.
AVOIDED_SECONDS = 5.0


@dataclass(frozen=True)
class Address:
    """The address of a server."""

    host: str
    port: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


# Until when each server is avoided, by the monotonic clock.
_avoided: dict[Address, float] = {}


def addresses(host: str, port: str) -> list[Address]:
    """Return the servers of two lists as libpq writes them: one port is for all hosts, "" is the default."""
    hosts, ports = host.split(","), port.split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return [Address(*each) for each in zip(hosts, ports, strict=True)]


def connect(connect_to_one: Callable[..., Any], **parameters: Any) -> Any:
    """Connect by `connect_to_one` with psycopg's parameters, to the first of these servers that lets us in.

    With `load_balance_hosts=random` their order is random. Servers that failed a moment ago come last.
    """
    several = addresses(str(parameters.get("host") or ""), str(parameters.get("port") or ""))
    if len(several) == 1:
        return connect_to_one(**parameters)
    if parameters.pop("load_balance_hosts", None) == "random":
        random.shuffle(several)
    now = time.monotonic()
    several.sort(key=lambda address: _avoided.get(address, 0) > now)
    errors = []
    for number, address in enumerate(several, start=1):
        # Other threads do not wait for it as well, while this one tries it again.
        was_avoided = _avoided.pop(address, None)
        if was_avoided is not None:
            _avoided[address] = time.monotonic() + AVOIDED_SECONDS
        try:
            with _briefly() if number < len(several) else _as_usual():
                session = connect_to_one(**parameters | {"host": address.host, "port": address.port})
        except psycopg.OperationalError as error:
            _avoided[address] = time.monotonic() + AVOIDED_SECONDS
            errors.append(error)
        else:
            _avoided.pop(address, None)
            return session
    # One that says more than that the time is over comes first.
    raise errors[0]


@contextmanager
def _briefly() -> Iterator[None]:
    left = deadlines.seconds_left()
    with deadlines.within(ENTRY_SECONDS_MAX if left is None else min(left, ENTRY_SECONDS_MAX)):
        yield


@contextmanager
def _as_usual() -> Iterator[None]:
    yield
