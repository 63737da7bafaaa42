"""A WSGI application that holds every request while the file `hold` is in the folder HELD_IN.

It answers with what has arrived. For each request that arrives, it leaves a file in that folder.
"""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

FOLDER = Path(os.environ["HELD_IN"])


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    texts = {name: value for name, value in environ.items() if isinstance(value, str)}
    seen: dict[str, Any] = {**texts, "pid": os.getpid(), "body_bytes": len(body)}
    (FOLDER / f"arrived-{uuid4()}").write_text(json.dumps(seen))
    while (FOLDER / "hold").exists():
        time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
