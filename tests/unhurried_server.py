"""gunicorn's configuration for tests of a request's limits, with each limit longer.

So the extra time of a busy machine does not decide whether a wait ends in time.
"""

import os

from foundation import deadlines
from foundation.database import configuration
from foundation.database.engine import base
from misar_billing.gunicorn_conf import *  # noqa: F403 (as in production, except for the limits)

TIMES = int(os.environ["LIMITS_TIMES"])

configuration.CONNECT_TIMEOUT_SECONDS *= TIMES
configuration.STATEMENT_TIMEOUT_MS *= TIMES
configuration.LOCK_TIMEOUT_MS *= TIMES
base.PING_SECONDS_MAX *= TIMES
base.DatabaseWrapper._seconds_max = base.ANSWER_SECONDS_MAX * TIMES
deadlines.REQUEST_SECONDS *= TIMES
deadlines.STAFF_PAGE_SECONDS *= TIMES
