"""The mailbox: mails of Django's file backend are listed and shown, and nothing in a mail can run."""

import html
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import environ
import pytest
import requests
from django.core import mail
from django.core.mail import EmailMultiAlternatives

from sandbox import environment
from tests.sandbox.conftest import StandIn

BACKEND = "django.core.mail.backends.filebased.EmailBackend"
HOSTILE = "<script>alert(1)</script>"


def words(page: requests.Response) -> str:
    """The page's text without its tags."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.text))


class Box:
    """The mail folder of a running sandbox, and its pages."""

    def __init__(self, stand_in: StandIn) -> None:
        self.url = f"{stand_in.url}/mail"
        self.folder = environment.mail_directory(stand_in.data_dir)

    def send(self, *subjects: str, html_part: str | None = None, **fields: Any) -> None:
        """Send all mails in one connection, as the service does."""
        sent = [
            EmailMultiAlternatives(subject, **({"body": "Hello.", "to": ["dana@example.com"]} | fields))
            for subject in subjects
        ]
        for each in sent:
            if html_part is not None:
                each.attach_alternative(html_part, "text/html")
        mail.get_connection(BACKEND, file_path=str(self.folder)).send_messages(sent)

    def write(self, name: str, content: bytes) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_bytes(content)

    def look(self) -> requests.Response:
        return requests.get(self.url, timeout=120)

    def addresses(self) -> list[str]:
        return [f"{self.url}/{each}" for each in re.findall(r'href="/mail/([^"]+)"', self.look().text)]

    def open(self, address: str = "") -> requests.Response:
        return requests.get(address or self.addresses()[0], timeout=120)


@pytest.fixture
def box(stand_in: StandIn) -> Iterator[Box]:
    box = Box(stand_in)
    yield box
    if box.folder.exists():
        for file in box.folder.iterdir():
            file.unlink()


def test_the_environment_keeps_the_mail_in_files(tmp_path: Path):
    data_dir = tmp_path / "with a blank+%20"
    made = {"DATA_DIR": str(data_dir)}
    environment.prepare(made)
    email = environ.Env.email_url_config(made["EMAIL_URL"])
    assert email["EMAIL_BACKEND"] == BACKEND
    assert email["EMAIL_FILE_PATH"] == str(data_dir / "mail")
    later = {"DATA_DIR": str(data_dir)}
    environment.adopt(later)
    assert later["EMAIL_URL"] == made["EMAIL_URL"]


def test_the_callers_mail_server_wins_and_is_not_saved(tmp_path: Path):
    made = {"DATA_DIR": str(tmp_path), "EMAIL_URL": "smtp://billing:hunter2@mail.test:25"}
    environment.prepare(made)
    assert made["EMAIL_URL"].startswith("smtp://")
    assert "EMAIL_URL" not in (tmp_path / "sandbox.env").read_text()


def test_a_demonstration_sends_no_mail(tmp_path: Path):
    made = {"DATA_DIR": str(tmp_path), "EMAIL_URL": "smtp://mail.test:25"}
    environment.set_apart(made)
    environment.prepare(made)
    assert made["EMAIL_URL"] == environment.mail_url(tmp_path / "demo")


def test_an_empty_mailbox_says_so(box: Box):
    assert "No mail yet" in box.look().text
    assert "elsewhere" not in box.look().text


def test_a_mailbox_that_receives_no_mail_says_so(start_another):
    another = start_another(EMAIL_URL="smtp://mail.test:25")
    assert "EMAIL_URL sends the service's mail elsewhere" in words(
        requests.get(f"{another.url}/mail", timeout=120)
    )


def test_mails_are_listed_newest_first(box: Box):
    box.send("The first", "The second")
    box.send("The third")
    os.utime(next(iter(sorted(box.folder.iterdir(), key=lambda file: file.stat().st_size))), (2e9, 2e9))
    listed = re.findall(r">(The \w+)</a>", box.look().text)
    assert listed == ["The third", "The second", "The first"]
    assert len(set(box.addresses())) == 3


def test_a_mail_shows_its_headers_and_text(box: Box):
    box.send(
        "Grüße von Misar: 25 credits",
        body="Hello Dana,\n\nread https://misar.example/credits?a=1&b=2 now.\n",
        from_email="Misar <billing@misar.example>",
        cc=["ines@example.com"],
    )
    page = box.open()
    assert "Grüße von Misar: 25 credits" in box.look().text
    for expected in ("Misar <billing@misar.example>", "dana@example.com", "ines@example.com", "Message-ID"):
        assert expected in words(page)
    assert "Hello Dana,\n\nread " in page.text
    assert 'href="https://misar.example/credits?a=1&amp;b=2"' in page.text
    assert "<iframe" not in page.text


def test_the_html_of_a_mail_is_shown_in_a_frame_without_rights(box: Box):
    box.send("Both", html_part=f"<p style='color: red'>Grüße</p>{HOSTILE}")
    page = box.open()
    frame = re.search(r'<iframe class="mail-frame" src="([^"]+)"[^>]* sandbox ', page.text)
    assert frame is not None
    assert HOSTILE not in page.text
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    inner = requests.get(box.url.removesuffix("/mail") + frame[1], timeout=120)
    assert inner.content.decode() == f"<p style='color: red'>Grüße</p>{HOSTILE}"
    assert inner.headers["X-Frame-Options"] == "SAMEORIGIN"
    policy = inner.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "sandbox"} <= set(policy)
    assert "frame-ancestors 'self'" in policy


def test_only_a_mail_with_html_has_an_html_part(box: Box):
    box.send("Plain")
    assert box.open(box.addresses()[0] + "/html").status_code == 404


def test_hostile_content_is_text(box: Box):
    box.send(HOSTILE, body=f"{HOSTILE} javascript:alert(1)", to=[f'"{HOSTILE}" <dana@example.com>'])
    for page in (box.look(), box.open()):
        assert "<script" not in page.text
        assert html.escape(HOSTILE) in page.text
        assert 'href="javascript' not in page.text


def test_a_line_of_dashes_inside_a_mail_does_not_end_it(box: Box):
    box.send("Dashes", "After", body="above\n" + "-" * 79 + "\nbelow")
    assert len(box.addresses()) == 2
    assert "below" in box.open(box.addresses()[1]).text


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00 no mail at all",
        b"Subject: =?nonsense?b?!!!?=\nDate: never\nTo: <<>>,,;\n\nbody",
        b"Content-Type: text/plain; charset=nonsense\nSubject: x\n\n\xff\xfe",
        b"Content-Type: multipart/mixed; boundary=\n\n--\n",
        b"Content-Type: multipart/alternative; boundary=a\n\n--a\nContent-Type: text/html\n\n<p>cut",
        b"Date: Mon, 99 Foo 20000000 99:99:99 +9999\nFrom: \xc3\x28\n\n\x00",
        b"Content-Transfer-Encoding: base64\nSubject: x\n\n!!!",
        b"\n\n\n" + b"-" * 79 + b"\n",
        b"",
    ],
)
def test_a_broken_mail_does_not_break_the_mailbox(box: Box, content: bytes):
    box.write("20260101-000000-1.log", content)
    box.send("A good one")
    assert "A good one" in box.look().text
    for address in box.addresses():
        assert box.open(address).status_code == 200


@pytest.mark.parametrize("mail_id", ["nothing", "..%2F..%2Fsandbox.env-0", "%00"])
def test_an_unknown_mail_is_not_found(box: Box, mail_id: str):
    for ending in ("", "/html"):
        assert box.open(f"{box.url}/{mail_id}{ending}").status_code == 404
