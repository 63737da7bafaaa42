"""What collectstatic makes for production."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import ROOT

CODE = """
import django
from django.conf import settings
django.setup()
settings.STATIC_ROOT = {folder!r}
settings.STORAGES["staticfiles"]["BACKEND"] = "misar_billing.static_files.StaticFilesStorage"
from django.core.management import call_command
call_command("collectstatic", interactive=False, verbosity=0)
"""


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    subprocess.run(
        [sys.executable, "-c", CODE.format(folder=str(folder))],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "misar_billing.settings"},
        check=True,
    )
    return folder


def whole(name: str) -> list[str]:
    """The names of a sheet and of those that it imports, which name no files of their own."""
    imported = re.findall(r'@import url\("([^"]+)"\);', (ROOT / "static" / "css" / name).read_text())
    assert not any("url(" in (ROOT / "static" / "css" / each).read_text() for each in imported)
    return [*imported, name]


def test_style_sheets_lose_their_comments_and_keep_their_rules(collected: Path):
    paths = json.loads((collected / "staticfiles.json").read_text())["paths"]
    sheets = [path.name for path in (ROOT / "static" / "css").glob("*.css")]
    assert sheets
    for name in sheets:
        small = (collected / paths[f"css/{name}"]).read_text()
        written = "".join((ROOT / "static" / "css" / each).read_text() for each in whole(name))
        assert "/*" not in small
        assert "@import" not in small  # A browser would wait for one sheet after the other.
        assert small.count("{") == written.count("{"), name
        assert len(small) < len(written), name


def test_the_look_of_all_pages_is_one_file(collected: Path):
    paths = json.loads((collected / "staticfiles.json").read_text())["paths"]
    look = (collected / paths["css/look.css"]).read_text()
    assert look.startswith((collected / paths["css/base.css"]).read_text())
    assert whole("look.css") == ["base.css", "look.css"]


def test_files_are_compressed(collected: Path):
    paths = json.loads((collected / "staticfiles.json").read_text())["paths"]
    small = collected / paths["css/base.css"]
    assert gzip.decompress(Path(f"{small}.gz").read_bytes()) == small.read_bytes()


def test_a_sheet_that_names_files_stays_imported_so_that_their_names_have_a_hash(collected: Path):
    paths = json.loads((collected / "staticfiles.json").read_text())["paths"]
    forms = (collected / paths["admin/css/forms.css"]).read_text()
    named = re.findall(r'url\("?([^")]+)"?\)', forms)
    assert Path(paths["admin/css/widgets.css"]).name in named
    assert all(re.search(r"\.[0-9a-f]{12}\.\w+$", each) for each in named), named
