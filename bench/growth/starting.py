"""What a web process needs to start: processor time and memory, step by step."""

import json
import subprocess
import sys
from dataclasses import dataclass

from bench.growth.commands import ROOT

# A new process goes through these in turn.
STEPS = {
    "Python": "",
    "Django and the settings": "from django.conf import settings; settings.INSTALLED_APPS",
    "the models and all apps": "import django; django.setup()",
    "the views": "from django.urls import get_resolver; get_resolver().url_patterns",
    "the application that gunicorn serves": "import misar_billing.wsgi",
}
MEASURE = """
import json, sys, time
steps = []
for statement in json.loads(sys.argv[1]):
    exec(statement)
    with open("/proc/self/status") as status:
        sizes = [int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon:")]
    steps.append([time.process_time() * 1000, sum(sizes), len(sys.modules)])
print(json.dumps(steps))
"""


@dataclass(frozen=True)
class Step:
    """What a new process has used by the end of a step: milliseconds, bytes of its own, modules loaded."""

    title: str
    milliseconds: float
    own_bytes: int
    modules: int


def steps() -> list[Step]:
    """Start a process and measure it. The files of compiled modules are there, as in production."""
    command = [sys.executable, "-W", "ignore", "-c", MEASURE, json.dumps(list(STEPS.values()))]
    for _ in range(2):  # The first one may have to compile modules.
        process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return [Step(title, *step) for title, step in zip(STEPS, json.loads(process.stdout), strict=True)]
