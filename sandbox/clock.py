"""What happens by itself: sessions expire, delayed payments succeed, webhooks go out."""

import logging
import sqlite3
import threading
import time

from sandbox import sessions
from sandbox.webhooks import Courier

TICK_SECONDS = 0.1

logger = logging.getLogger(__name__)


def start() -> None:
    """Tick in the background until the process ends."""
    threading.Thread(target=_tick_for_ever, name="clock", daemon=True).start()


def _tick_for_ever() -> None:
    courier = Courier()
    while True:
        try:
            sessions.let_time_pass(time.time())
            courier.carry_what_is_due()
        except sqlite3.Error:  # The file is busy or was removed: the next tick sees.
            logger.exception("The clock missed a tick")
        time.sleep(TICK_SECONDS)
