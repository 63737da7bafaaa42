"""The service's own settings, and beside it the two views it is compared with, on a database of their own."""

from misar_billing import settings as service
from misar_billing.settings import *  # noqa: F403 (the settings under test, all of them)

INSTALLED_APPS = [*service.INSTALLED_APPS, "bench.usual"]
ROOT_URLCONF = "bench.urls"

# Beside the one that the environment names, which is never touched.
DATABASE_NAME = "misar_billing_bench"
DATABASES = {"default": {**service.DATABASES["default"], "NAME": DATABASE_NAME}}
