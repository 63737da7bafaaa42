"""The image of a deployment: what the Dockerfile copies is enough to run, and holds no sandbox."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from django.conf import settings

from tests.misar_billing.test_settings import COMPLETE


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A folder with what the image holds."""
    folder = tmp_path_factory.mktemp("image")
    dockerfile = (settings.BASE_DIR / "Dockerfile").read_text()
    for sources, target in re.findall(r"^COPY ((?:[\w.]+ )+)([\w./]+)$", dockerfile, re.MULTILINE):
        for name in sources.split():
            source = settings.BASE_DIR / name
            if source.is_dir():
                shutil.copytree(source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
    return folder


def run(image, *command, **changes):
    """A command in that folder, in the environment of a deployment."""
    environment = {"PATH": os.environ["PATH"]} | COMPLETE | changes
    return subprocess.run(
        [sys.executable, *command], cwd=image, env=environment, capture_output=True, text=True, timeout=120
    )


def test_it_holds_every_app_of_ours_and_no_sandbox(image):
    ours = {app.partition(".")[0] for app in settings.INSTALLED_APPS}
    ours = {app for app in ours if (settings.BASE_DIR / app).is_dir()}
    folders = {each.name for each in image.iterdir() if each.is_dir()}
    assert ours == {"misar_billing", "backoffice", "accounts", "wallet", "monetization"}
    assert folders == {*ours, "foundation", "templates", "static"}


def test_it_passes_the_deployment_check_and_loads_what_gunicorn_serves(image):
    checked = run(image, "manage.py", "check", "--deploy")
    # There is no database here, so its role is not known.
    assert (checked.returncode, re.findall(r"\((\w+\.\w+)\)", checked.stderr)) == (0, ["misar.W002"])
    served = run(image, "-c", "import misar_billing.wsgi, misar_billing.urls, misar_billing.gunicorn_conf")
    assert served.returncode == 0, served.stderr


@pytest.mark.parametrize("command", ["quickstart", "demo"])
def test_what_needs_the_sandbox_is_refused_in_a_sentence(image, command):
    refused = run(image, "manage.py", command)
    assert refused.returncode == 2
    assert refused.stderr == f"{command} needs the sandbox, which is not part of this image.\n"


def test_a_command_without_a_database_is_refused_in_a_sentence(image):
    refused = run(image, "manage.py", "check_ledger", DATABASE_URL="")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "DATABASE_URL" in refused.stderr


def test_tokens_are_the_sandboxs_matter(image):
    refused = run(image, "manage.py", "issue_sso_token", "--user", "usr_1")
    assert refused.returncode == 1
    assert "in production, by the SSO issuer" in refused.stderr
