"""Compression: pages, the schema and files of text get small, and no answer that holds a secret does."""

import gzip
import zlib
from itertools import count

import pytest
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from accounts import api_keys
from foundation.http.compression import Compression, shows_a_secret
from tests.codes import code_of
from tests.factories import StaffFactory, UserFactory

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
TEXT = "A page with words. " * 100


@pytest.fixture
def browser():
    """A browser of a signed-in user, which accepts gzip as all browsers do."""
    client = Client(headers={"Accept-Encoding": "gzip, deflate, br"})
    client.force_login(UserFactory.create(misar_id="usr_dana"))
    return client


def answer_to(view, method="GET", path="/page", accepted="gzip"):
    request = RequestFactory().generic(method, path, headers={"Accept-Encoding": accepted})
    return Compression(view)(request)


def page(**headers):
    return lambda request: HttpResponse(TEXT, headers=headers)


def is_compressed(answer):
    return answer.get("Content-Encoding") == "gzip"


@pytest.mark.parametrize("path", ["/wallet", "/dashboard", "/account", "/schema"])
def test_a_page_is_compressed(browser, path):
    answer = browser.get(path)
    assert is_compressed(answer)
    assert "Accept-Encoding" in answer["Vary"]
    assert int(answer["Content-Length"]) == len(answer.content)
    assert len(answer.content) < 0.6 * len(gzip.decompress(answer.content))


def test_a_caller_that_does_not_accept_it_gets_the_text(browser):
    answer = browser.get("/account", headers={"Accept-Encoding": "identity"})
    assert not is_compressed(answer)
    assert "Accept-Encoding" in answer["Vary"]  # A cache keeps both.
    assert answer.text.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("accepted", "is_gzip"),
    [
        ("gzip", True),
        ("gzip;q=0.5", True),
        ("deflate, gzip ; q=1.0, *;q=0.5", True),
        ("gzip, identity; q=0", True),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("gzip;q=x", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, deflate", False),
        ("*, gzip;q=0", False),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=0.2, identity;q=0.7", False),
        ("gzipped", False),
        ("*", False),
        ("", False),
    ],
)
def test_gzip_is_sent_to_callers_that_want_it(accepted, is_gzip):
    answer = answer_to(page(), accepted=accepted)
    assert is_compressed(answer) is is_gzip
    assert answer["Vary"] == "Accept-Encoding"


def test_the_length_of_the_same_page_differs():
    assert len({len(answer_to(page()).content) for _ in range(40)}) > 10


def test_the_sandbox_compresses_style_sheets_and_scripts_too(browser):
    for path in ("/static/css/look.css", "/static/js/page.js"):
        answer = browser.get(path)
        assert is_compressed(answer)
        source = settings.BASE_DIR / path.removeprefix("/")
        assert gzip.decompress(b"".join(answer.streaming_content)) == source.read_bytes()


def test_answers_of_the_api_are_as_they_were(browser):
    for path in ("/io/wallet/transactions", "/io/wallet/rates", "/v1/keys", "/mail/v1/monetization/stats"):
        answer = browser.get(path)
        assert not is_compressed(answer), path
        assert "Accept-Encoding" not in answer.get("Vary", ""), path
    assert not is_compressed(answer_to(page(), path="/io/wallet/transactions"))


# --- Secrets ----------------------------------------------------------------------------------------


def test_the_answer_to_a_form_is_not_compressed(browser):
    form = browser.get("/dashboard/keys").context["form"]
    answer = browser.post(
        "/dashboard/keys", {"key": form["key"].value(), "name": "Server", "scopes": "monetization"}
    )
    secret = answer.context["secret"]
    assert api_keys.find(secret) is not None
    assert secret in answer.text
    assert not is_compressed(answer)


def test_the_second_factor_and_its_recovery_codes_are_not_compressed():
    newcomer = StaffFactory.create(misar_id="staff:new", with_second_factor=False)
    newcomer.set_password(PASSWORD)
    newcomer.save()
    client = Client(headers={"Accept-Encoding": "gzip"})
    set_up = client.post("/sign-in/staff", {"login": "new", "password": PASSWORD}, follow=True)
    secret = set_up.context["form"].secret
    assert (secret in set_up.text, is_compressed(set_up)) == (True, False)
    codes = client.post("/account/second-factor", {"code": code_of(secret)}, follow=True)
    assert codes.request["PATH_INFO"] == "/account/recovery-codes"
    assert (codes.text.count("<li><code>"), is_compressed(codes)) == (10, False)
    for each in (set_up, codes):
        assert "no-transform" in each["Cache-Control"]  # A proxy does not compress it either.


def test_only_a_successful_answer_to_a_get_without_a_secret_is_compressed():
    assert is_compressed(answer_to(page()))
    assert not is_compressed(answer_to(page(), method="POST"))
    assert not is_compressed(answer_to(shows_a_secret(page())))
    assert not is_compressed(answer_to(page(**{"Content-Type": "application/pdf"})))
    assert not is_compressed(answer_to(lambda request: HttpResponse(TEXT, status=404)))


# --- What HTTP asks for ------------------------------------------------------------------------------


def test_a_head_has_the_headers_of_the_get(browser):
    get, head = browser.get("/account"), browser.head("/account")
    assert head.content == b""
    for name in ("Content-Encoding", "Content-Type", "Vary"):
        assert head[name] == get[name]


def test_a_head_of_a_stream_gets_no_body(browser):
    answer = browser.head("/static/css/look.css")
    assert b"".join(answer.streaming_content) == b""
    assert not is_compressed(answer)


def test_a_strong_etag_becomes_weak_and_a_304_stays_empty():
    assert answer_to(page(ETag='"v1"'))["ETag"] == 'W/"v1"'
    answer = answer_to(lambda request: HttpResponse(status=304, headers={"ETag": '"v1"'}))
    assert (answer.content, answer["ETag"], is_compressed(answer)) == (b"", '"v1"', False)


def test_a_file_is_sent_while_it_is_still_being_read():
    read = count()
    closed = []

    def rows():
        try:
            for number in range(200_000):
                next(read)
                yield f"{number},{number * 7919 % 10007}\r\n"
        finally:
            closed.append(True)

    answer = answer_to(lambda request: StreamingHttpResponse(rows(), content_type="text/csv"))
    assert is_compressed(answer)
    assert "Content-Length" not in answer
    parts = iter(answer.streaming_content)
    text = zlib.decompressobj(wbits=31)
    while not text.decompress(next(parts)):
        pass
    assert 1 <= next(read) < 100_000
    # As if the browser went away. close() itself would end the test's connection to the database.
    for close in answer._resource_closers:
        close()
    assert closed == [True]


def test_a_csv_file_arrives_whole(browser, give):
    for number in range(50):
        give("usr_dana", 1 + number)
    plain = browser.get("/wallet/history.csv", headers={"Accept-Encoding": "identity"})
    packed = browser.get("/wallet/history.csv")
    assert is_compressed(packed)
    assert gzip.decompress(b"".join(packed.streaming_content)) == b"".join(plain.streaming_content)
