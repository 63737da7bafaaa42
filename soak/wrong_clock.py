"""gunicorn's configuration for a server whose clock libfaketime makes wrong.

libfaketime 0.9.10 leaves the monotonic clock alone, but moves the end of a sleep on it: the sleep fails, or
takes two days. `select` has a duration instead of an end. So sleeping is done with it here.
"""

import select
import time

from misar_billing.gunicorn_conf import *  # noqa: F403 (as in production)


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep  # type: ignore[assignment]  # Only numbers are passed.
