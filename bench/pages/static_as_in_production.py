"""The settings of either checkout's sandbox, with static files as production serves them.

They are compressed, and their names change with their contents. Each checkout reads its own settings, since
this module is on its path, not in its tree.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from misar_billing import settings as service
from misar_billing.settings import *  # noqa: F403 (all settings of that checkout)

STATIC_ROOT = Path(os.environ["BENCH_STATIC_ROOT"])
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = False
STORAGES = {
    **service.STORAGES,
    "staticfiles": {
        "BACKEND": (
            "misar_billing.static_files.StaticFilesStorage"
            if find_spec("misar_billing.static_files")
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"  # Of an earlier commit.
        )
    },
}
