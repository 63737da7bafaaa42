"""The project's own Python files and their syntax trees."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PRODUCTION = ("foundation", "accounts", "wallet", "monetization", "backoffice", "misar_billing")
NOT_OURS = {".venv", ".git", "var", "node_modules", "staticfiles"}


def python_files(*folders: str) -> list[Path]:
    places = [ROOT / folder for folder in folders] or [ROOT]
    paths = (path for place in places for path in sorted(place.rglob("*.py")))
    return [path for path in paths if not NOT_OURS & set(path.relative_to(ROOT).parts)]


def name_of(path: Path) -> str:
    """The module's name: wallet.api.views."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def imports_of(path: Path, *, lazy: bool = True) -> Iterator[str]:
    """The modules that a file imports anywhere; without `lazy`, only those that it imports when it is loaded.

    `from a import b` gives a.b, because `b` may be a module or a name in one.
    """
    for node in ast.walk(tree_of(path)) if lazy else tree_of(path).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
