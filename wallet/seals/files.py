"""Files of JSON lines: written whole or not at all, and read in constant memory, however hostile they are.

A name that ends in .gz is written compressed. When a file is read, its first octets tell.
"""

import gzip
import io
import json
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from foundation.errors import BillingError
from foundation.text import is_printable_in_ids

STDOUT = "-"
# A line has one entry or one head. An entry that uses up 10,000 grants has about a megabyte.
LINE_OCTETS_MAX = 16 * 1024 * 1024
GZIP_BEGINS = b"\x1f\x8b"
# Twice as fast as the usual 6, and a tenth larger.
COMPRESSION = 4
NUMBER_MAX = 2**63 - 1
HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)

Row = dict[str, Any]
Write = Callable[[Row], None]


class Output(Protocol):
    """What a command writes its output to."""

    def write(self, msg: str, /) -> Any: ...
    def flush(self) -> Any: ...


class FileRefused(BillingError):
    """Raised when a file cannot be read or written. The sentence names the file."""

    sentence = "The file cannot be used."


class NotAsWritten(FileRefused):
    """Raised when a file can be read, but is not as this service writes it: damaged, or changed by hand.

    The sentence has the file and the line (0: not even the first could be read) once they are known; `detail`
    leaves out the file.
    """

    def __init__(self, detail: str, *, path: str = "", line: int = 0) -> None:
        self.detail = f"line {line}: {detail}" if line else detail
        self.is_placed = bool(path)
        file = path and f"{path}{', ' if line else ': '}"
        super().__init__(file + self.detail)


@contextmanager
def writing(path: str, *, stdout: Output) -> Iterator[Write]:
    """Yield a function that appends a row. The file is there only after the block ended without an error.

    `-` writes the rows to `stdout` as they come. A file that exists is never overwritten: raises FileRefused,
    as it does if the file cannot be written.
    """
    try:
        with _to_stdout(stdout) if path == STDOUT else _to_file(path) as append:
            yield append
    except OSError as error:
        reason = error.strerror or error
        raise FileRefused(f"Could not write {written_as(path)}: {reason}.") from error


def written_as(path: str) -> str:
    """Return the name of a file that is written, as a sentence has it."""
    return "stdout" if path == STDOUT else path


@contextmanager
def _to_stdout(stdout: Output) -> Iterator[Write]:
    yield lambda row: cast(None, stdout.write(_line(row)))
    stdout.flush()


@contextmanager
def _to_file(path: str) -> Iterator[Write]:
    target = Path(path)
    if os.path.lexists(target):
        raise FileRefused(f"{path} exists. Choose another name: a file is never overwritten.")
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    part = Path(name)
    try:
        with open(descriptor, "wb") as raw:
            with _compressed(raw) if path.endswith(".gz") else _plain(raw) as lines:
                yield lambda row: cast(None, lines.write(_line(row).encode()))
            raw.flush()
            os.fsync(raw.fileno())
        _rename(part, target)
    finally:
        part.unlink(missing_ok=True)


def _line(row: Row) -> str:
    # ASCII alone: a terminal or a pipe with another encoding changes nothing, and invisible letters are seen.
    return json.dumps(row, separators=(",", ":")) + "\n"


@contextmanager
def _plain(raw: BinaryIO) -> Iterator[BinaryIO]:
    yield raw


@contextmanager
def _compressed(raw: BinaryIO) -> Iterator[BinaryIO]:
    with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=COMPRESSION, mtime=0) as packed:
        with io.BufferedWriter(cast(io.RawIOBase, packed), 256 * 1024) as lines:
            yield cast(BinaryIO, lines)


def _rename(part: Path, target: Path) -> None:
    try:
        # Claims the name, so that no file of another process is replaced.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError as error:
        raise FileRefused(f"{target} exists by now. A file is never overwritten.") from error
    part.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Reader:
    """The rows of a file, read in constant memory. Iterate over it once.

    `line` is the number of the last row. The iteration raises FileRefused if the file cannot be read, and
    NotAsWritten for a line that is no row.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.line = 0
        self._rows = self._read()

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        return next(self._rows)

    def first(self) -> Row:
        """Return the first row, or raise NotAsWritten if there is none."""
        for row in self:
            return row
        raise NotAsWritten("the file is empty.")

    @contextmanager
    def naming_the_line(self) -> Iterator[None]:
        """Add the file and the line to what the block raises about the last row."""
        try:
            yield
        except NotAsWritten as error:
            if error.is_placed:
                raise
            raise NotAsWritten(error.detail, path=self.path, line=self.line) from error

    def _read(self) -> Iterator[Row]:
        try:
            with _opened(self.path) as lines:
                while line := lines.readline(LINE_OCTETS_MAX + 1):
                    self.line += 1
                    yield _row(line)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            where = "after this line" if self.line else "in its first line"
            raise NotAsWritten(f"the file breaks off or is damaged {where}.") from error
        except OSError as error:
            raise FileRefused(f"{self.path} cannot be read: {error.strerror or error}") from error
        except ValueError as error:  # A name with a NUL.
            raise FileRefused(f"{self.path!r} cannot be the name of a file.") from error


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    with open(path, "rb") as raw:
        if raw.peek(2)[:2] != GZIP_BEGINS:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as packed, io.BufferedReader(packed, 256 * 1024) as lines:
            yield cast(BinaryIO, lines)


def _row(line: bytes) -> Row:
    if len(line) > LINE_OCTETS_MAX:
        raise NotAsWritten(f"longer than {LINE_OCTETS_MAX} octets.")
    if not line.endswith(b"\n"):
        raise NotAsWritten("breaks off.")
    try:
        row = DECODER.decode(line.decode())
    except (
        ValueError,
        RecursionError,
    ) as error:  # ValueError: no UTF-8, no JSON, or a number of 5,000 digits.
        raise NotAsWritten("not a line of JSON that this service writes.") from error
    if not isinstance(row, dict):
        raise NotAsWritten("not an object of JSON.")
    return row


def _once(pairs: list[tuple[str, Any]]) -> Row:
    """Return the object. Two values of one name could show a reader one value, and this check another."""
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a name twice")
    return row


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no whole number")


DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number, parse_float=_no_number)


# --- Fields ---------------------------------------------------------------------------------------------


def text(row: Row, name: str) -> str:
    """Return a field that is a text, or raise NotAsWritten."""
    value = row.get(name)
    if not isinstance(value, str) or _is_no_text(value):
        raise NotAsWritten(f"{name} is no text.")
    return value


def number(row: Row, name: str, *, at_least: int = 0) -> int:
    """Return a field that is a whole number of at most 64 bits, or raise NotAsWritten."""
    value = row.get(name)
    if type(value) is not int or not at_least <= value <= NUMBER_MAX:
        raise NotAsWritten(f"{name} is no whole number from {at_least} on.")
    return value


def digest(row: Row, name: str) -> bytes:
    """Return a field that is a SHA-256 in 64 lower-case hexadecimal digits, or raise NotAsWritten."""
    value = row.get(name)
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise NotAsWritten(f"{name} is no SHA-256 in hexadecimal digits.")
    return bytes.fromhex(value)


def moment(row: Row, name: str) -> datetime:
    """Return a field that is a time as `time_text` writes it, or raise NotAsWritten."""
    value = row.get(name)
    try:
        at = datetime.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        at = None
    if at is None or at.utcoffset() != timedelta(0) or time_text(at) != value:
        raise NotAsWritten(f"{name} is no time in UTC with microseconds.")
    return at


def time_text(at: datetime) -> str:
    """Return a time as files have it: in UTC, with microseconds. `at` has a time zone."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def shown(name: str) -> str:
    """Return a name as a sentence may have it: a file may hold one that would steer a terminal."""
    return name if is_printable_in_ids(name) else json.dumps(name)


def only(row: Row, *names: str) -> None:
    """Raise NotAsWritten if a row has other fields than these, which no digest would cover."""
    if row.keys() != set(names):
        raise NotAsWritten(f"has other fields than {', '.join(names)}.")


def _is_no_text(value: str) -> bool:
    """Whether a text has half a character, as a surrogate alone is."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False
