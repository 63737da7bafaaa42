"""The background thread: sessions expire, delayed payments succeed, webhooks are sent."""

import logging
import sqlite3
import threading
import time

from sandbox import sessions, store
from sandbox.webhooks import Courier

WAIT_SECONDS_MIN = 0.1
# Another process may write to the file without waking this one, and the machine's clock may be changed.
WAIT_SECONDS_MAX = 5

logger = logging.getLogger(__name__)


def start() -> None:
    """Run in the background until the process ends."""
    threading.Thread(target=_run_for_ever, name="clock", daemon=True).start()


def _run_for_ever() -> None:
    """Do what is due, then wait until the next thing is due or this process changes the store."""
    courier = Courier()
    while True:
        store.changed.clear()  # First: a change during the next lines leads to another round.
        due_at = float("inf")
        try:
            sessions.let_time_pass(time.time())
            courier.carry_what_is_due()
            due_at = min(store.next_due("checkout.session"), courier.next_due())
        except sqlite3.Error:  # The file is busy or was removed: try again later.
            logger.exception("The clock missed a round")
        store.changed.wait(min(max(due_at - time.time(), WAIT_SECONDS_MIN), WAIT_SECONDS_MAX))
