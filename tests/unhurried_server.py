"""gunicorn's configuration for tests that are about a request's limits: each of them is longer.

Between a wait that ends in time and one that does not is then room for what a busy machine adds.
"""

import os

from foundation.database import configuration
from foundation.database.engine import base
from misar_billing.gunicorn_conf import *  # noqa: F403 (all but the limits is as in production)

TIMES = int(os.environ["LIMITS_TIMES"])

configuration.CONNECT_TIMEOUT_SECONDS *= TIMES
configuration.STATEMENT_TIMEOUT_MS *= TIMES
configuration.LOCK_TIMEOUT_MS *= TIMES
base.PING_SECONDS_MAX *= TIMES
base.DatabaseWrapper._seconds_max = base.ANSWER_SECONDS_MAX * TIMES
