"""The background thread: sessions expire, delayed payments succeed, webhooks are sent."""

import logging
import sqlite3
import threading
import time

from sandbox import sessions
from sandbox.webhooks import Courier

TICK_SECONDS = 0.1

logger = logging.getLogger(__name__)


def start() -> None:
    """Run in the background until the process ends."""
    threading.Thread(target=_tick_for_ever, name="clock", daemon=True).start()


def _tick_for_ever() -> None:
    courier = Courier()
    while True:
        try:
            sessions.let_time_pass(time.time())
            courier.carry_what_is_due()
        except sqlite3.Error:  # The file is busy or was removed: try again at the next tick.
            logger.exception("The clock missed a tick")
        time.sleep(TICK_SECONDS)
