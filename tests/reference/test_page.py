"""The page `/docs`: whole, light, the same for every reader, and with links that lead somewhere."""

import json
import re
from html import unescape
from typing import Any

import pytest
import yaml
from django.conf import settings as django_settings
from django.test import Client

from misar_billing.reference import errors, exchanges, page, views
from misar_billing.reference.fields import Reader
from misar_billing.reference.prose import blocks
from tests.browser.conftest import inline_parts
from tests.html import browser_of
from wallet.api.codes import Code

pytestmark = pytest.mark.django_db

BYTES_MAX = 150 * 1024
HTML_BYTES_MAX = 160 * 1024  # As the browser reads it.


def html_of(client: Client | None = None) -> str:
    response = (client or Client()).get("/docs")
    assert response.status_code == 200
    return str(response.content.decode())


@pytest.fixture(scope="module")
def html() -> str:
    return views.rendered("http://testserver", "curl").content.decode()


def operations() -> list[tuple[str, str, Any]]:
    return [
        (method.upper(), path, operation)
        for path, methods in page.schema()["paths"].items()
        for method, operation in methods.items()
    ]


def test_caches_may_keep_it_and_one_copy_serves_every_reader(db):
    anonymous, signed_in = Client().get("/docs"), browser_of(name="Dana Demo").get("/docs")
    assert anonymous.content == signed_in.content
    for answer in (anonymous, signed_in):
        assert answer["Cache-Control"] == "public, max-age=300"
        assert not answer.cookies
    assert "Cookie" not in anonymous.get("Vary", "")


def test_a_reader_who_has_it_gets_no_copy(db):
    first = Client().get("/docs")
    again = Client().get("/docs", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "Accept-Encoding" in again["Vary"]  # A cache takes it from here, and has a copy in one encoding.
    assert Client().get("/docs", headers={"If-None-Match": '"another"'}).status_code == 200
    assert Client().head("/docs")["ETag"] == first["ETag"]


def test_the_samples_have_the_readers_own_address(db, settings):
    settings.ALLOWED_HOSTS = ["api.test"]
    client = Client(headers={"host": "api.test"})
    assert "https://api.test/io/wallet/webhook" in client.get("/docs", secure=True).content.decode()
    settings.PRODUCTION, settings.PUBLIC_URL = True, "https://api.misar.io"
    html = client.get("/docs").content.decode()
    assert "https://api.misar.io/io/wallet/webhook" in html
    assert "api.test" not in html


def test_nothing_in_it_is_inline(html):
    assert inline_parts(html) == []


def test_every_operation_is_there_once_with_its_path_and_its_link(html):
    assert html.count("<article") == len(operations())
    for method, path, operation in operations():
        slug = page.slug_of(operation["operationId"])
        assert html.count(f'<h3 id="{slug}">') == 1, slug
        assert f'href="#{slug}"' in html.partition('id="contents"')[2].partition("</nav>")[0]
        assert re.search(rf"<b [^>]*>{method}</b> ?<code>{re.escape(path)}</code>", html), path


def test_every_field_that_the_schema_names_is_there(html):
    reader = Reader(page.schema())
    for _, _, operation in operations():
        article = html.partition(f'<h3 id="{page.slug_of(operation["operationId"])}">')[2]
        article = article.partition("</article>")[0]
        for media in operation.get("requestBody", {}).get("content", {}).values():
            for field in (field for shape in reader.shapes(media["schema"]) for field in shape.fields):
                assert f"<dt>{field.name} <i>" in article, (operation["operationId"], field.name)
        for parameter in operation.get("parameters", ()):
            assert f"<dt>{parameter['name']} <i>" in article, operation["operationId"]


def test_every_field_of_an_answer_is_there_or_where_its_object_is_listed(html):
    """An object that several operations answer is listed by one of them; the others link to it."""
    articles = {page.slug_of(operation["operationId"]): "" for _, _, operation in operations()}
    for slug in articles:
        articles[slug] = html.partition(f'<h3 id="{slug}">')[2].partition("</article>")[0]
    reader = Reader(page.schema())
    linked = 0
    for _, _, operation in operations():
        article = articles[page.slug_of(operation["operationId"])]
        content = next(each for status, each in operation["responses"].items() if status < "300")
        homes = re.findall(r'fields are those of <a href="#([^"]+)"', article)
        linked += len(homes)
        places = [article, *(articles[each] for each in homes)]
        for shape in reader.shapes(content["content"]["application/json"]["schema"]):
            for field in (inner for outer in shape.fields for inner in (outer, *outer.fields)):
                assert any(f"<dt>{field.name} <i>" in each for each in places), (article[:80], field.name)
    assert linked > 8


def test_every_link_within_the_page_has_a_target_and_every_target_is_one(html):
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'href="#([^"]+)"', html))
    assert targets <= set(ids), targets - set(ids)
    assert {slug for slug, _ in views.SECTIONS} <= targets


def test_the_links_to_other_pages_lead_to_pages(html):
    for address in set(re.findall(r'href="(/[^"#]*)"', html)):
        assert Client().get(unescape(address)).status_code in (200, 302), address


def test_every_code_has_its_row(html):
    assert [row.code for row in errors.TABLE] == list(Code)
    for row in errors.TABLE:
        assert html.count(f'id="{row.code}"') == 1
    for each in exchanges.all_exchanges():
        body = each.answer.body
        if isinstance(body, dict) and "code" in body and each.answer.status >= 400:
            (row,) = (row for row in errors.TABLE if row.code == body["code"])
            assert str(each.answer.status) in row.statuses, each


def test_every_exchange_that_was_recorded_is_shown(html):
    shown = {unescape(each) for each in re.findall(r"<pre>(.*?)</pre>", html, re.DOTALL)}
    sentences = " ".join(shown)
    for operation in {each.operation: None for each in exchanges.all_exchanges()}:
        for each in page.shown_of(operation):
            if each.is_about_the_caller:  # Alike but for the keys around the sentence, they are shown once.
                assert json.dumps(each.same[1]) in sentences, each
            else:
                text = unescape(each.text).replace(exchanges.BASE, "http://testserver")
                assert text in shown, each


def test_an_error_names_what_was_sent_otherwise_than_in_the_sample():
    sent = {
        (operation, each.exchange.name): each.sent
        for operation in ("wallet_deduct", "wallet_hold_capture", "wallet_holds", "wallet_grants", None)
        for each in page.shown_of(operation)
    }
    assert sent["wallet_deduct", "allowed"] == ""
    assert sent["wallet_deduct", "replayed"] == ""
    assert sent["wallet_deduct", "key_reused"] == '<code>"count": 4</code>'
    assert sent["wallet_deduct", "denied"] == (
        '<code>"count": 500</code>, without <code>idempotency_key</code>'
    )
    assert "<code>x-wallet-service-key</code>" in sent["wallet_deduct", "no_credentials"]
    assert re.fullmatch("<code>hold_[0-9a-z]{26}</code>.*", sent["wallet_hold_capture", "not_found"])
    assert "<code>state=done</code>" in sent["wallet_holds", "invalid"]
    assert sent[None, "wrong_method"] == "<code>GET /io/wallet/refund</code>"
    assert sent[None, "not_json"].endswith('with <code>{"user_id": "usr_demo",}</code>')


@pytest.mark.parametrize("language", views.LANGUAGES)
def test_each_language_has_an_address_of_its_own(language):
    start = {"curl": "curl ", "python": "import os", "javascript": "const answer = await fetch("}
    html = Client().get("/docs", {"lang": language}).content.decode()
    samples = re.findall('<pre class="sample">(.*?)</pre>', html, re.DOTALL)
    assert len(samples) == len(operations())  # The first program, and none for what only Stripe sends.
    assert sum(each.startswith(start[language]) for each in samples) > len(samples) - 3
    assert re.findall('<a href="([^"]+)" aria-current="true">', html) == [f"/docs?lang={language}"]


def test_an_unknown_language_is_the_first_one(html):
    assert Client().get("/docs", {"lang": "cobol"}).content == Client().get("/docs").content


def test_it_is_light_on_its_way():
    """The page is compressed. The style sheets and the script are not, in the sandbox."""
    files = ("css/base.css", "css/look.css", "css/reference.css", "js/reference.js")
    static = django_settings.BASE_DIR / "static"
    response = Client().get("/docs", headers={"Accept-Encoding": "gzip"})
    assert response["Content-Encoding"] == "gzip"
    for language in views.LANGUAGES:
        assert len(views.rendered("http://testserver", language).content) <= HTML_BYTES_MAX
    size = len(response.content) + sum((static / each).stat().st_size for each in files)
    assert size <= BYTES_MAX, size


def test_a_reader_of_the_compressed_page_gets_no_copy_either():
    headers = {"Accept-Encoding": "gzip"}
    first = Client().get("/docs", headers=headers)
    again = Client().get("/docs", headers={**headers, "If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


# --- The schema ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [
        ("*/*", "application/vnd.oai.openapi"),
        ("application/json", "application/json"),
        ("application/vnd.oai.openapi+json", "application/vnd.oai.openapi+json"),
    ],
)
def test_the_schema_is_made_once_and_kept(accepted, sent, monkeypatch):
    first = Client().get("/schema", headers={"Accept": accepted})
    assert first["Content-Type"].startswith(sent)
    assert first["Cache-Control"] == "public, max-age=300"
    assert "Accept" in first["Vary"]
    monkeypatch.setattr(page, "schema", None)
    again = Client().get("/schema", headers={"Accept": accepted})
    assert (again.content, again["ETag"]) == (first.content, first["ETag"])
    headers = {"Accept": accepted, "If-None-Match": first["ETag"]}
    assert Client().get("/schema", headers=headers).status_code == 304


def test_each_form_of_the_schema_says_the_same():
    as_yaml = Client().get("/schema")
    as_json = Client().get("/schema", headers={"Accept": "application/json"})
    assert as_yaml["ETag"] != as_json["ETag"]
    assert yaml.safe_load(as_yaml.content) == json.loads(as_json.content)


def test_descriptions_become_html_and_hold_none():
    assert blocks("Say `a < b` & **no**.\nMore: [list](#x).\n\n* one\n* `two`\n\n<b>") == (
        '<p>Say <code>a &lt; b</code> &amp; <strong>no</strong>. More: <a href="#x">list</a>.'
        "<ul><li>one<li><code>two</code></ul><p>&lt;b&gt;"
    )
