"""The machine and settings of a run. Do not compare figures of different machines or settings."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

from django.db import connection

from misar_billing import gunicorn_conf

DATABASE_SETTINGS = ("server_version", "fsync", "synchronous_commit", "shared_buffers")


def facts() -> dict[str, str]:
    """The facts about the machine, as texts."""
    database = {name: _database_setting(name) for name in DATABASE_SETTINGS}
    return {
        "Date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "Processor": f"{_processor()}, {_cores()} cores for client, web server and database together",
        "System": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Packages": ", ".join(
            f"{name} {version(name)}" for name in ("Django", "djangorestframework", "psycopg", "gunicorn")
        ),
        "PostgreSQL": f"{database.pop('server_version')}, "
        + ", ".join(f"{name} {value}" for name, value in database.items()),
        "Web server": f"gunicorn {gunicorn_conf.worker_class}, {gunicorn_conf.workers} workers "
        f"with {gunicorn_conf.threads} threads",
        "Load before": f"{os.getloadavg()[0]:.2f} (one minute)",
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.partition(": ")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def _database_setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return str(cursor.fetchone()[0])
