"""The other commit: its name and its files, from git."""

import io
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foundation.database import configuration
from foundation.errors import BillingError


class NoCommit(BillingError):
    """Raised when git has no such commit."""


@dataclass(frozen=True)
class Commit:
    """A commit of this repository: its full id, and a title with its short id and its subject."""

    id: str
    title: str

    @contextmanager
    def files(self) -> Iterator[Path]:
        """A folder under DATA_DIR with the files of the commit, removed at the end."""
        folder = configuration.data_directory(os.environ) / "checkout"
        shutil.rmtree(folder, ignore_errors=True)  # Left by a run that was killed.
        archive = _git("archive", "--format=zip", self.id)
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as files:
                files.extractall(folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def resolved(name: str) -> Commit:
    """The commit with this id, branch or tag. Raises NoCommit if git has none."""
    full = _git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").decode().strip()
    return Commit(full, _git("show", "--no-patch", "--format=%h (%s)", full).decode().strip())


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=configuration.ROOT, capture_output=True)  # noqa: S603, S607
    except FileNotFoundError:
        raise NoCommit("git is not installed, so there is no other commit to compare with.") from None
    if done.returncode:
        complaint = done.stderr.decode("utf-8", "replace").strip().splitlines()[0]
        name = arguments[-1].removesuffix("^{commit}")
        raise NoCommit(f"{name} is no commit that git can read here ({complaint}).")
    return done.stdout
