"""The keys page and each key's page: what a key may do, a secret shown once, its last requests."""

import getopt
import re
import shlex
from functools import partial
from html import unescape

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from accounts import api_keys
from accounts.errors import InvalidApiKey
from accounts.models import ApiKey
from foundation.forms import new_key
from monetization.dashboard import curl
from monetization.dashboard.keys.forms import SCOPES_ELSEWHERE, SCOPES_HERE
from monetization.models import FirstAnswer, Tip
from tests.crowd import at_once
from tests.factories import UserFactory
from tests.html import browser_of, hidden, table, words
from tests.monetization.conftest import STATS, caller_with, key_of
from tests.monetization.dashboard.list_pages import (
    HOSTILE,
    NO_KEYS,
    is_missing_for,
    is_text_only,
    requires_sign_in,
    strict_browser_of,
)
from tests.monetization.records import days, tip

KEYS = "/dashboard/keys"
SECRET = re.compile(r"msk_[0-9a-f]{64}")

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(creator):
    return browser_of(creator)


def filled(**changes):
    return {"name": "Website", "scopes": ["monetization"], "key": new_key()} | changes


def a_key(owner, name="Server", **options):
    return api_keys.issue(owner=owner, name=name, scopes=["monetization"], within_limit=False, **options)


def page_of(key):
    return f"{KEYS}/{key.pk}"


def revoke_of(key):
    return f"{KEYS}/{key.pk}/revoke"


def text_after(answer, page):
    assert answer.status_code == 302, words(answer)
    return words(page.get(answer["Location"]))


# --- Who sees it ------------------------------------------------------------------------------------


def test_every_page_requires_a_sign_in(creator):
    requires_sign_in(KEYS)
    key, _ = a_key(creator)
    requires_sign_in(revoke_of(key))
    requires_sign_in(page_of(key))


def test_another_creators_key_is_not_there(creator, stranger):
    key, secret = a_key(creator, "Secret server")
    caller_with(secret).get(STATS)
    is_missing_for(stranger, revoke_of(key), "get", "post")
    is_missing_for(stranger, page_of(key), "get", "post")
    assert key.requests.count() == 1
    assert "Secret server" not in words(browser_of(stranger).get(KEYS))
    assert ApiKey.objects.get().revoked_at is None


# --- The list ---------------------------------------------------------------------------------------


def test_each_row_shows_its_record(creator, page):
    key, secret = a_key(creator)
    api_keys.find(secret)
    expired, _ = a_key(creator, "Old", expires_at=timezone.now() - days(1))
    api_keys.revoke(owner=creator, key_id=a_key(creator, "Gone")[0].pk)
    rows = {row[0]: row[1:] for row in table(page.get(KEYS), "list_title")}
    assert rows["Server"][:3] == ["Active", f"{key.prefix}…", "monetization"]
    assert rows["Server"][4] != "never"
    assert rows["Old"][0] == "Expired"
    assert rows["Old"][5] == f"{expired.expires_at.day} {expired.expires_at:%b %Y}"
    assert rows["Gone"][0] == "Revoked"
    assert rows["Gone"][-1] == ""


def test_no_secret_is_in_the_list(creator, page):
    _, secret = a_key(creator)
    assert secret not in page.get(KEYS).content.decode()


@pytest.mark.parametrize(
    ("revoked", "sentence"),
    [(20, ""), (21, "1 more key was revoked earlier."), (25, "5 more keys were revoked earlier.")],
)
def test_keys_revoked_long_ago_are_only_counted(creator, page, revoked, sentence):
    a_key(creator, "Server")
    for number in range(revoked):
        api_keys.revoke(owner=creator, key_id=a_key(creator, f"Gone {number}")[0].pk)
    answer = page.get(KEYS)
    names = [row[0] for row in table(answer, "list_title")]
    assert names[0] == "Server"
    assert set(names[1:]) == {f"Gone {number}" for number in range(revoked - 20, revoked)}
    assert "revoked earlier" not in words(answer) if not sentence else sentence in words(answer)


def test_without_a_key_the_page_says_what_will_be_here(page):
    page_text = words(page.get(KEYS))
    assert "No keys yet" in page_text
    assert "Your plan, Free, allows 1 active key; you have none." in page_text


def test_every_scope_has_its_box_and_those_of_this_service_a_sentence(page):
    html = page.get(KEYS).content.decode()
    for scope in api_keys.SCOPES:
        assert f'name="scopes" value="{scope}"' in html
    for sentence in SCOPES_HERE.values():
        assert sentence in html
    assert set(SCOPES_HERE) | set(SCOPES_ELSEWHERE) == set(api_keys.SCOPES)
    assert re.findall(r'value="([a-z:]+)" checked', html) == ["monetization"]


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_text_stays_text(creator, page, word):
    key, _ = a_key(creator, word)
    for answer in (
        page.get(KEYS),
        page.get(revoke_of(key)),
        page.get(page_of(key)),
        page.post(KEYS, filled(name=word, scopes=[word])),
    ):
        is_text_only(answer)
    assert word in words(page.get(KEYS))


def scopes_asked_for():
    """Every scope that an endpoint of this service accepts."""
    views = [getattr(pattern.callback, "cls", None) for pattern in every_pattern(get_resolver().url_patterns)]
    accesses = [each for view in views for each in getattr(view, "access", {}).values()]
    return {scope for access in accesses for scope in access.scopes or ()}


def every_pattern(patterns):
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from every_pattern(pattern.url_patterns)
        else:
            yield pattern


def test_the_scopes_of_this_service_are_those_its_endpoints_ask_for():
    assert set(SCOPES_HERE) == scopes_asked_for()


# --- Making one -------------------------------------------------------------------------------------


def test_the_secret_is_shown_once_and_works(creator, page):
    answer = page.post(KEYS, filled(scopes=["monetization", "read"]))
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    secret = SECRET.findall(answer.content.decode())[0]
    assert "<h1>Your new key</h1>" in answer.content.decode()
    key = ApiKey.objects.get()
    assert (key.owner_id, key.name, key.scopes) == (creator.pk, "Website", ["monetization", "read"])
    assert caller_with(secret).get(STATS).status_code == 200
    assert not SECRET.search(page.get(KEYS).content.decode())
    kept = FirstAnswer.objects.get()
    assert secret not in kept.answer + kept.key


def test_the_next_step_is_a_test_tip_where_the_key_can_record_one(page, creator):
    tip(creator, currency="JPY")
    page_text = words(page.post(KEYS, filled()))
    assert "Next: record a test tip" in page_text
    assert '"currency": "JPY"' in page_text


def test_a_key_that_only_reads_is_tried_by_reading(page):
    page_text = words(page.post(KEYS, filled(scopes=["read"])))
    assert "record a test tip" not in page_text
    assert "/mail/v1/monetization/stats" in page_text


@pytest.mark.parametrize("scope", ["monetization", "read"])
def test_the_line_with_the_new_key_works_as_it_is(page, scope):
    html = page.post(KEYS, filled(scopes=[scope])).content.decode()
    [line] = re.findall(r'<code id="line">(.*?)</code>', html, re.DOTALL)
    assert "YOUR_KEY" not in html
    method, address, headers, body = sent_by(unescape(line))
    answer = Client().generic(method, address.removeprefix("http://testserver"), body, headers=headers)
    assert answer.status_code == 200, answer.content
    assert Tip.objects.exists() == (scope == "monetization")


def sent_by(line):
    """What curl sends with this line: the method, the address, the headers and the body."""
    options, [address] = getopt.gnu_getopt(shlex.split(line.replace("\\\n", " "))[1:], "X:H:d:")
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    first = dict(reversed(options))
    return first.get("-X", "GET"), address, headers, first.get("-d", "")


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD", "ISK"])
@pytest.mark.parametrize("kind", ["sponsors", "subscriptions", "tips"])
def test_the_curl_line_pasted_twice_records_once(creator, kind, currency):
    secret = key_of(creator, "monetization")
    line = curl.curl_of(kind, "https://x.example/it's", at=timezone.now(), currency=currency)
    parts = shlex.split(line.replace("\\\n", " ").replace("YOUR_KEY", secret))
    address, body = parts[3], parts[-1]
    headers = dict(header.split(": ", 1) for header in parts[5:-2:2])
    answers = [
        Client().post(
            address.removeprefix("https://x.example/it's"),
            body,
            content_type=headers["Content-Type"],
            headers={name: value for name, value in headers.items() if name != "Content-Type"},
        )
        for _ in range(2)
    ]
    assert all(answer.status_code in (200, 201) for answer in answers), answers[0].content
    assert answers[0].json() == answers[1].json()


def test_the_page_has_no_inline_script_or_style(page):
    html = page.post(KEYS, filled()).content.decode()
    assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=", html)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "Write a name."),
        ({"name": "x" * 81}, "This must be at most 80 characters."),
        ({"scopes": []}, "Choose at least one thing that the key may do."),
        ({"scopes": ["everything"]}, "Choose from these only."),
        *(({"key": key}, "This page was incomplete, so nothing was recorded.") for key in NO_KEYS),
    ],
)
def test_an_error_is_shown_beside_its_field_and_no_key_is_made(page, changes, sentence):
    answer = page.post(KEYS, filled(**changes))
    assert answer.status_code == 400
    assert sentence in words(answer)
    assert not ApiKey.objects.exists()
    assert page.post(KEYS, filled(key=hidden(answer, "key"))).status_code == 200


def test_what_was_chosen_is_kept_and_seen(page):
    html = page.post(KEYS, filled(name="", scopes=["read", "contacts"])).content.decode()
    assert re.findall(r'value="([a-z:]+)" checked', html) == ["read", "contacts"]
    assert "<details open>" in html


def test_what_was_chosen_is_kept_with_a_new_key_too(page):
    html = page.post(KEYS, filled(key="", scopes=["read", "contacts"])).content.decode()
    assert re.findall(r'value="([a-z:]+)" checked', html) == ["read", "contacts"]


def test_the_plans_limit_is_shown_and_holds(creator, page):
    a_key(creator)
    answer = page.get(KEYS)
    assert "Your plan allows no more keys." in words(answer)
    assert "Create key" not in words(answer)
    refused = page.post(KEYS, filled())
    assert refused.status_code == 403
    assert "Your plan allows 1 active API key. Revoke one, or change your plan." in words(refused)
    assert ApiKey.objects.count() == 1


def test_a_plan_without_a_limit_says_so():
    user = UserFactory.create(plan_id="max")
    assert "Your plan, Max, allows any number of active keys." in words(browser_of(user).get(KEYS))


# --- Twice is once ----------------------------------------------------------------------------------


def test_the_same_form_sent_twice_makes_one_key(page):
    sent = filled()
    assert page.post(KEYS, sent).status_code == 200
    answer = page.post(KEYS, sent)
    assert answer.status_code == 409
    assert "This form was sent before, and its key was made then." in words(answer)
    assert not SECRET.search(answer.content.decode())
    assert ApiKey.objects.count() == 1


def test_the_same_form_with_another_name_makes_no_key(page):
    sent = filled()
    page.post(KEYS, sent)
    assert page.post(KEYS, sent | {"name": "Other"}).status_code == 409
    assert ApiKey.objects.count() == 1


def test_a_form_that_was_refused_can_be_sent_again(creator, page):
    key, _ = a_key(creator)
    sent = filled()
    assert page.post(KEYS, sent).status_code == 403
    api_keys.revoke(owner=creator, key_id=key.pk)
    assert page.post(KEYS, sent).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_sent_many_times_at_once_it_makes_one_key():
    user = UserFactory.create(plan_id="max")
    sent, browsers = filled(), [browser_of(user) for _ in range(4)]
    answers = at_once([partial(browser.post, KEYS, sent) for browser in browsers])
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert ApiKey.objects.count() == 1


# --- The last requests of a key ---------------------------------------------------------------------


def requests_on(answer):
    return [row[1:3] for row in table(answer, "requests")]


def test_a_keys_page_shows_its_requests_newest_first(creator, page):
    key, secret = a_key(creator, expires_at=timezone.now() + days(1))
    caller = caller_with(secret)
    ids = [caller.get(path)["X-Request-ID"] for path in (f"{STATS}?x=1", "/v1/monetization/tipps")]
    answer = page.get(page_of(key))
    assert requests_on(answer) == [
        ["GET /v1/monetization/tipps", "404 Not Found"],
        [f"GET {STATS}", "200 OK"],
    ]
    assert [row[3] for row in table(answer, "requests")] == ids[::-1]
    page_text = words(answer)
    assert "Active Begins with" in page_text
    assert f"{key.prefix}…" in page_text
    assert requests_on(page.get(f"{page_of(key)}?show=errors")) == [
        ["GET /v1/monetization/tipps", "404 Not Found"]
    ]


def test_the_requests_of_a_revoked_key_stay_and_later_ones_are_shown(creator, page):
    key, secret = a_key(creator)
    caller_with(secret).get(STATS)
    page.post(revoke_of(key))
    caller_with(secret).get(STATS)
    answer = page.get(page_of(key))
    assert requests_on(answer) == [[f"GET {STATS}", "401 Unauthorized"], [f"GET {STATS}", "200 OK"]]
    assert "You can't reactivate a revoked key." in words(answer)
    assert "Revoke this key" not in words(answer)


def test_requests_are_deleted_by_post_and_new_ones_are_recorded(creator, page):
    key, secret = a_key(creator)
    other, of_other = a_key(creator, "Other")
    for each in (secret, secret, of_other):
        caller_with(each).get(STATS)
    assert "The recorded requests of Server are deleted." in text_after(page.post(page_of(key)), page)
    assert (key.requests.count(), other.requests.count()) == (0, 1)
    caller_with(secret).get(STATS)
    assert requests_on(page.get(page_of(key))) == [[f"GET {STATS}", "200 OK"]]


def test_without_requests_the_page_says_what_will_be_here(creator, page):
    key, secret = a_key(creator)
    assert "No requests in the last 7 days." in words(page.get(page_of(key)))
    assert "Delete these requests" not in words(page.get(page_of(key)))
    caller_with(secret).get(STATS)
    assert "None of the last requests was refused or failed." in words(
        page.get(f"{page_of(key)}?show=errors")
    )


def test_a_keys_page_takes_the_same_queries_for_many_requests(creator, page, django_assert_max_num_queries):
    key, secret = a_key(creator)

    def queries():
        with django_assert_max_num_queries(100) as captured:
            page.get(page_of(key))
        return len(captured)

    caller_with(secret).get(STATS)
    queries()
    few = queries()
    for _ in range(20):
        caller_with(secret).get(STATS)
    assert queries() == few


# --- Revoking ---------------------------------------------------------------------------------------


def test_a_key_is_revoked_by_post_after_a_confirmation_page(creator, page):
    key, secret = a_key(creator)
    assert "Revoke Server?" in words(page.get(revoke_of(key)))
    assert api_keys.find(secret)
    assert "Server is revoked." in text_after(page.post(revoke_of(key)), page)
    with pytest.raises(InvalidApiKey):
        api_keys.find(secret)


def test_revoking_twice_revokes_once(creator, page):
    key, _ = a_key(creator)
    page.post(revoke_of(key))
    at = ApiKey.objects.get().revoked_at
    assert "Server was revoked already." in text_after(page.post(revoke_of(key)), page)
    assert "Server was revoked already." in text_after(page.get(revoke_of(key)), page)
    assert ApiKey.objects.get().revoked_at == at


def test_a_form_without_its_token_is_refused(creator):
    key, _ = a_key(creator)
    strict = strict_browser_of(creator)
    assert strict.post(revoke_of(key)).status_code == 403
    assert strict.post(page_of(key)).status_code == 403
    assert strict.post(KEYS, filled()).status_code == 403
    assert ApiKey.objects.get().revoked_at is None
