"""The second factor of the demo's staff: the present code, as an app on a phone shows it."""

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from sandbox.second_factor import code_at
from tests.sandbox.conftest import StandIn

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
# RFC 6238, appendix B: the last six of the eight digits.
OF_THE_STANDARD = base64.b32encode(b"12345678901234567890").decode()
CODES_OF_THE_STANDARD = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.fixture
def demo_file(stand_in: StandIn) -> Iterator[Path]:
    file = stand_in.data_dir / "demo.json"
    yield file
    file.unlink(missing_ok=True)


def open_page(stand_in: StandIn) -> requests.Response:
    answer = requests.get(f"{stand_in.url}/second-factor", timeout=120)
    assert answer.status_code == 200
    return answer


@pytest.mark.parametrize(("at", "code"), CODES_OF_THE_STANDARD)
def test_the_codes_are_those_of_the_standard(at: int, code: str):
    assert code_at(OF_THE_STANDARD, at) == code


def test_a_secret_may_have_spaces_and_small_letters():
    assert code_at("jbsw y3dp ehpk 3pxp", 0) == code_at("JBSWY3DPEHPK3PXP", 29.9)


def test_the_page_shows_the_present_code_and_reloads(stand_in: StandIn, demo_file: Path):
    demo_file.write_text(json.dumps({"staff_totp_secret": SECRET}))
    before = time.time()
    page = open_page(stand_in)
    shown = re.search(r'class="figure">(\d{6})<', page.text)
    assert shown is not None
    assert shown[1] in {code_at(SECRET, before), code_at(SECRET, time.time())}
    left = re.search(r"Valid for (\d+) more second", page.text)
    assert left is not None
    assert 1 <= int(page.headers["Refresh"]) <= int(left[1]) <= 30


@pytest.mark.parametrize(
    "kept", [None, "", "{", "[]", "{}", '{"staff_totp_secret": 5}', '{"service_key": "x"}']
)
def test_without_a_secret_the_page_says_so(stand_in: StandIn, demo_file: Path, kept: str | None):
    if kept is not None:
        demo_file.write_text(kept)
    assert "No second factor yet" in open_page(stand_in).text


def test_an_invalid_secret_is_reported(stand_in: StandIn, demo_file: Path):
    demo_file.write_text(json.dumps({"staff_totp_secret": "not base32: 0189"}))
    assert "is not base32" in open_page(stand_in).text


def test_the_overview_leads_there(stand_in: StandIn):
    page = requests.get(stand_in.url, timeout=120).text
    assert 'href="/second-factor"' in page
    assert 'href="/mail"' in page
