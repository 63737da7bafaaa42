"""Writes the inventories of guards as the migrations of this checkout make them: `python -m tests.guards`.

To be run after a migration has changed a trigger or a function, and after two branches were merged.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from foundation.database.guards import Guards, found_query

ROOT = Path(__file__).parent.parent
APPS = {"accounts": "accounts", "wallet": "wallet/books", "monetization": "monetization"}

FILE = '''"""The triggers and functions of the {app} app in this release: `python -m tests.guards` writes this file."""

from foundation.database.guards import Guards

GUARDS = Guards(
    names="{names}",
    triggers={{
{triggers}
    }},
    functions={{
{functions}
    }},
)
'''


def names_of(app: str) -> str:
    """The regular expression that the names of an app's tables and functions match."""
    return f"^{app}_"


def found(names: str) -> Guards:
    """What the database of the default connection has."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(found_query(names))
        rows: list[tuple[str, str, str, str, str]] = sorted(cursor.fetchall())
    return Guards(
        names,
        {name: (table, digest) for name, table, _, _, digest in rows if table},
        {name: digest for name, table, _, _, digest in rows if not table},
    )


def text_of(app: str, guards: Guards) -> str:
    """The file of an app's inventory."""

    def lines(inventory: Any) -> str:
        return "\n".join(
            f"        {_quoted(name)}: {_quoted(value)}," for name, value in sorted(inventory.items())
        )

    text = FILE.format(
        app=app, names=guards.names, triggers=lines(guards.triggers), functions=lines(guards.functions)
    )
    formatter = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(path_of(app)), "-"]
    return subprocess.run(formatter, input=text, capture_output=True, text=True, check=True).stdout


def _quoted(value: Any) -> str:
    return repr(value).replace("'", '"')


def path_of(app: str) -> Path:
    return ROOT / APPS[app] / "guards.py"


def write(app: str) -> None:
    """Write an app's inventory as this database has it."""
    path_of(app).write_text(text_of(app, found(names_of(app))))


if __name__ == "__main__":
    # The tests migrate a database of their own, so one of them writes the files.
    command = [sys.executable, "-m", "pytest", "-q", "tests/foundation/test_guards.py", "-k", "inventory"]
    sys.exit(subprocess.call(command, cwd=ROOT, env=os.environ | {"WRITE_GUARDS": "1"}))
