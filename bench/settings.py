"""The service's settings, the two views that it is compared with, and a separate database."""

from misar_billing import settings as service
from misar_billing.settings import *  # noqa: F403 (the settings under test, all of them)

INSTALLED_APPS = [*service.INSTALLED_APPS, "bench.select_for_update_wallet"]
ROOT_URLCONF = "bench.urls"

# On the same server as the database of the environment, which is never touched.
DATABASE_NAME = "misar_billing_bench"
DATABASES = {"default": {**service.DATABASES["default"], "NAME": DATABASE_NAME}}
