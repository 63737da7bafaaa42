"""The service's settings, the views that it is compared with, and a separate database."""

from typing import Any

from misar_billing import settings as service
from misar_billing.settings import *  # noqa: F403 (the settings under test, all of them)

INSTALLED_APPS = [*service.INSTALLED_APPS, "bench.select_for_update_wallet"]
ROOT_URLCONF = "bench.urls"

# On the same server as the database of the environment, which is never touched.
DATABASE_NAME = "misar_billing_bench"
# The usual wallet reaches the same database through Django's own engine, with the settings that most projects
# choose. So it does not get faster or slower when the service's engine changes.
USUAL = "usual"
_default: dict[str, Any] = {**service.DATABASES["default"], "NAME": DATABASE_NAME}
DATABASES = {
    "default": _default,
    USUAL: {
        **_default,
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    },
}
DATABASE_ROUTERS = ["bench.select_for_update_wallet.routers.UsualRouter"]
