"""The mail that the service sent, read from the files of Django's file backend, which sends nothing.

The backend writes a file for each connection, and a line of 79 dashes after each mail. A mail can contain any
text, so it is shown as far as it can be read.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

from foundation.database import configuration
from sandbox import environment

FILES_READ_MAX = 200  # The newest ones.
# A line of dashes ends a mail only at the end of the file or before something like a header.
END_OF_MAIL = re.compile(rb"^-{79}\n(?=[A-Za-z][A-Za-z0-9-]*: |\Z)", re.MULTILINE)
SHOWN_FIRST = ("From", "To", "Cc", "Reply-To")


@dataclass(frozen=True)
class Mail:
    """One decoded mail. `sent_at` is its Date, or when its file was written if it has none."""

    id: str
    sent_at: datetime
    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    attachments: tuple[str, ...]

    @property
    def subject(self) -> str:
        return self.header("Subject")

    @property
    def to(self) -> str:
        return self.header("To")

    @property
    def main_headers(self) -> list[tuple[str, str]]:
        """The headers that are shown first, if the mail has them."""
        return [(name, value) for name in SHOWN_FIRST if (value := self.header(name))]

    def header(self, name: str) -> str:
        """The first header of that name, "" if there is none."""
        same = (value for key, value in self.headers if key.lower() == name.lower())
        return next(same, "")


def directory() -> Path:
    """The folder of this DATA_DIR; it exists after the first mail."""
    return environment.mail_directory(configuration.data_directory(os.environ))


def is_elsewhere() -> bool:
    """Whether EMAIL_URL sends the service's mail somewhere else."""
    chosen = os.environ.get("EMAIL_URL")
    return bool(chosen) and chosen != environment.mail_url(configuration.data_directory(os.environ))


def listed() -> list[Mail]:
    """Every mail, newest first."""
    files = sorted(directory().glob("*.log"), key=_written_at, reverse=True)[:FILES_READ_MAX]
    mails = [mail for file in reversed(files) for mail in _mails(file)]
    # The oldest file comes first, and the sort is stable: within one second, the last written is the newest.
    return sorted(mails, key=lambda mail: mail.sent_at)[::-1]


def find(mail_id: str) -> Mail | None:
    """The mail with this id, None if there is none."""
    return next((mail for mail in listed() if mail.id == mail_id), None)


# --- Reading ----------------------------------------------------------------------------------------


def _written_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # Removed since it was listed.
        return 0


def _mails(file: Path) -> Iterator[Mail]:
    written_at = datetime.fromtimestamp(_written_at(file), tz=UTC)
    try:
        parts = END_OF_MAIL.split(file.read_bytes())
    except OSError:
        return
    for number, part in enumerate(parts):
        if part.strip():
            message = message_from_bytes(part, policy=policy.default)
            yield _mail(message, mail_id=f"{file.stem}-{number}", written_at=written_at)


def _mail(message: EmailMessage, *, mail_id: str, written_at: datetime) -> Mail:
    return Mail(
        id=mail_id,
        sent_at=_tolerant(lambda: _date(message)) or written_at,
        headers=tuple(_headers(message)),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        attachments=tuple(_tolerant(lambda: _attachments(message)) or ()),
    )


def _tolerant(read: Callable[[], Any]) -> Any:
    """The result of `read`; None if the parser fails, which it does in many ways for broken mails."""
    try:
        return read()
    except Exception:
        return None


def _date(message: EmailMessage) -> datetime | None:
    date: datetime | None = message["Date"].datetime if message["Date"] else None
    return date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC) if date else None


def _headers(message: EmailMessage) -> Iterator[tuple[str, str]]:
    for name, raw in message.raw_items():
        parsed = _tolerant(partial(policy.default.header_fetch_parse, name, raw))
        yield name, _printable(str(raw if parsed is None else parsed))


def _body(message: EmailMessage, subtype: str) -> str | None:
    """The text of this kind, None if the mail has none."""
    part = _tolerant(lambda: message.get_body((subtype,)))
    if part is None:
        return None
    content = _tolerant(part.get_content)
    if content is None:  # An unknown character set, for example.
        content = _tolerant(lambda: bytes(part.get_payload(decode=True)).decode(errors="replace"))
    return _printable(content or "")


def _attachments(message: EmailMessage) -> list[str]:
    return [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]


def _printable(text: str) -> str:
    """The text without lone surrogates, which stand for unreadable bytes and cannot be encoded."""
    return text.encode(errors="replace").decode()
