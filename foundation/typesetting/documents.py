"""Set a PDF file: tagged, in every script that the fonts know, with bounded memory and time.

A child process sets each file and ends. So no memory stays in use, a file that takes too long is ended from
outside, and the compiler sees none of the service's secrets: it gets a template, the data, and nothing else.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from foundation.errors import TryAgainLater

FILES_AT_ONCE = 2  # Of one web process. One file is the work of a processor for a tenth of a second or two.
# How many requests wait for their turn, and how long.
WAITING_AT_ONCE = 2
WAIT_SECONDS = 2.0
SECONDS_MAX = 8.0  # With the wait for a turn, within the 10 seconds that a stopping server gives a request.
# One thread: on a machine with many processors, the stacks of as many threads would pass the child's limit.
ENVIRONMENT = {"PATH": os.defpath, "RAYON_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
CHILD = Path(__file__).with_name("child.py")

_turns = threading.BoundedSemaphore(FILES_AT_ONCE)


@cache
def _places() -> threading.BoundedSemaphore:
    """The places of requests for files. Each occupies a thread; half of the threads stay free for charges."""
    return threading.BoundedSemaphore(min(FILES_AT_ONCE + WAITING_AT_ONCE, max(1, settings.WEB_THREADS // 2)))


class CannotTypeset(TryAgainLater):
    """Raised when a file cannot be made now: too many are being made, or this one took too long."""

    sentence = "This file cannot be made right now. Nothing was changed; please try again in a moment."
    headers = {"Retry-After": "5"}


def pdf(template: Path, data: Mapping[str, Any]) -> bytes:
    """Return the PDF file that a Typst template makes of this data. The same data gives the same bytes.

    The template reads the data as JSON from `sys.inputs.data`, so no text of it is ever run as a program. If
    a text has a character that no font knows, `sys.inputs.unknown` is "yes" and the template says so in the
    file. Raises CannotTypeset.
    """
    with _turn():
        try:
            child = subprocess.run(  # noqa: S603  (our own program; the data is on its standard input)
                [sys.executable, "-I", str(CHILD), str(template)],
                input=json.dumps(data).encode(),
                capture_output=True,
                env=ENVIRONMENT,
                timeout=SECONDS_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CannotTypeset from None
    if child.returncode:
        # What the child wrote may name a person, so the log gets the exit code alone.
        raise RuntimeError(f"{template.name} was not set: exit code {child.returncode}")
    return child.stdout


@contextmanager
def _turn() -> Iterator[None]:
    places = _places()
    if not places.acquire(blocking=False):
        raise CannotTypeset
    try:
        if not _turns.acquire(timeout=WAIT_SECONDS):
            raise CannotTypeset
        try:
            yield
        finally:
            _turns.release()
    finally:
        places.release()
