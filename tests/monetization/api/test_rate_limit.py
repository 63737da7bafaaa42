"""60 requests a minute per key, exact over threads and processes; and what every answer tells of it."""

from functools import partial

import pytest
from django.db.models import F
from django.test import Client

from accounts import api_keys
from accounts.models import RateCounter
from monetization.models import Tip
from tests.accounts.test_throttling import seconds_left, with_time_left
from tests.crowd import at_once
from tests.monetization.conftest import (
    KEYS,
    SPONSORS,
    STATS,
    TIP,
    TIP_BODY,
    Browser,
    CreatorsCaller,
    caller_with,
    key_of,
    refused,
)
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db

SENTENCE = "Too many requests. Please slow down."
HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


@pytest.fixture
def unhurried():
    """Here creators may ask as often as they may."""


@pytest.fixture
def three_requests(settings, one_window, db):
    """Three requests a window."""
    settings.CREATOR_REQUESTS_PER_MINUTE = 3


def end_of_the_minute() -> int:
    """In Unix seconds, by the clock of the database."""
    [[end]] = sql("SELECT (floor(extract(epoch FROM clock_timestamp()) / 60) + 1)::bigint * 60")
    return end


def statuses(caller: CreatorsCaller, count: int = 4, path: str = STATS) -> list[int]:
    return [caller.get(path).status_code for _ in range(count)]


# --- Exactly as many --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_75_at_once_exactly_60_pass(creator, one_window):
    secret = key_of(creator, "read")
    callers = [caller_with(secret) for _ in range(25)]
    answers = at_once([partial(statuses, caller, 3, SPONSORS) for caller in callers])
    found = [status for answer in answers for status in answer]
    assert (found.count(200), found.count(429)) == (60, 15)
    assert RateCounter.objects.get().hits == 60


@pytest.mark.django_db(transaction=True)
def test_of_many_tips_at_once_no_more_are_recorded_than_were_let_through(creator, settings, one_window):
    settings.CREATOR_REQUESTS_PER_MINUTE = 10
    secret = key_of(creator, "monetization")
    callers = [caller_with(secret) for _ in range(16)]
    answers = at_once([partial(caller.post, TIP, {"amount_cents": 500}) for caller in callers])
    found = [answer.status_code for answer in answers]
    assert (found.count(200), found.count(429)) == (10, 6)
    assert Tip.objects.count() == 10


def test_a_new_window_begins_at_nought(creator, three_requests):
    caller = caller_with(key_of(creator, "read"))
    assert statuses(caller) == [200, 200, 200, 429]
    RateCounter.objects.update(window=F("window") - 1)  # As if a minute had gone by.
    assert statuses(caller) == [200, 200, 200, 429]


# --- What is told -----------------------------------------------------------------------------------


def test_every_answer_says_how_many_are_left_and_until_when(creator):
    caller = caller_with(key_of(creator, "read"))
    with_time_left(10)
    for left in (59, 58, 57):
        response = caller.get(STATS)
        assert [response[name] for name in HEADERS[:2]] == ["60", str(left)]
        assert int(response["X-RateLimit-Reset"]) == end_of_the_minute()
        assert "Retry-After" not in response


def test_errors_say_it_as_well(creator):
    """Whatever a known caller is answered: 400, 403, 404, 413, 415, 409."""
    limited, full = caller_with(key_of(creator, "contacts")), caller_with(key_of(creator, "monetization"))
    full.post(TIP, TIP_BODY)
    answers = {
        400: full.post(TIP, {}),
        403: limited.get(SPONSORS),
        404: full.delete(f"{SPONSORS}/spon_1"),
        409: full.post(TIP, TIP_BODY | {"amount_cents": 900}),
        413: full.post(TIP, raw=b" " * 70_000),
        415: full.post(TIP, TIP_BODY, content_type="text/plain"),
    }
    for status, response in answers.items():
        assert response.status_code == status
        assert [int(response[name]) >= 0 for name in HEADERS] == [True] * 3


def test_so_do_the_key_endpoints(creator):
    response = Browser(creator).get(KEYS)
    assert response["X-RateLimit-Limit"] == "60"
    assert response["X-RateLimit-Remaining"] == "59"


def test_who_is_not_known_is_told_nothing_and_not_counted(creator, sso_secret, three_requests):
    key_of(creator, "read")
    for caller in (CreatorsCaller({}), caller_with("msk_" + "0" * 64), caller_with("nonsense")):
        for _ in range(4):
            response = caller.get(STATS)
            assert response.status_code == 401
            assert not any(name in response for name in HEADERS)
    assert not RateCounter.objects.exists()


def test_one_too_many_is_told_when_to_come_again(creator, settings):
    settings.CREATOR_REQUESTS_PER_MINUTE = 3
    caller = caller_with(key_of(creator, "read"))
    with_time_left(10)
    statuses(caller, 3)
    before = seconds_left()
    response = caller.get(STATS)
    after = seconds_left()
    wait = int(response["Retry-After"])
    assert response.status_code == 429
    assert response.json() == {"success": False, "error": SENTENCE, "retryAfter": wait}
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert 1 <= wait <= 60
    assert after <= wait < before + 1
    assert [response[name] for name in HEADERS[:2]] == ["3", "0"]
    assert int(response["X-RateLimit-Reset"]) == end_of_the_minute()


def test_a_refused_tip_is_not_recorded(api, three_requests):
    statuses(api, 3)
    assert api.post(TIP, TIP_BODY).status_code == 429
    assert not Tip.objects.exists()


# --- Who is counted apart ----------------------------------------------------------------------------


def test_each_key_has_a_count_of_its_own(creator, stranger, three_requests):
    first, second = caller_with(key_of(creator, "read")), caller_with(key_of(creator, "read"))
    theirs = caller_with(key_of(stranger, "read"))
    for caller in (first, second, theirs):
        assert statuses(caller) == [200, 200, 200, 429]


def test_a_key_has_one_count_over_all_endpoints_and_both_prefixes(creator, three_requests):
    caller = caller_with(key_of(creator, "monetization"))
    paths = [SPONSORS, STATS, "/v1/monetization/tips", "/v1/monetization/stats"]
    assert [caller.get(path).status_code for path in paths] == [200, 200, 200, 429]


def test_a_user_has_one_count_over_browsers_and_tokens(creator, as_creator, three_requests):
    callers = [Browser(creator), as_creator(creator), Browser(creator), as_creator(creator)]
    assert [caller.get(STATS).status_code for caller in callers] == [200, 200, 200, 429]
    assert Browser(creator).get(KEYS).status_code == 429


def test_a_session_and_a_key_are_counted_apart_and_users_too(creator, stranger, three_requests):
    for caller in (Browser(creator), caller_with(key_of(creator, "read")), Browser(stranger)):
        assert statuses(caller) == [200, 200, 200, 429]


# --- What counts ------------------------------------------------------------------------------------


def test_a_refusal_counts_but_one_for_haste_does_not(creator, three_requests):
    caller = caller_with(key_of(creator, "contacts"))
    assert statuses(caller, 10, SPONSORS) == [403] * 3 + [429] * 7
    assert RateCounter.objects.get().hits == 3


def test_a_request_without_its_csrf_token_is_anonymous(creator, three_requests):
    for _ in range(4):
        assert Browser(creator, forgets_token=True).post(SPONSORS, {}).status_code == 403
    assert not RateCounter.objects.exists()


def test_a_wrong_method_or_address_does_not_count(api, three_requests):
    for _ in range(4):
        refused(api.ask("PUT", STATS), 405, "Method not allowed")
        refused(api.ask("GET", "/mail/v1/nothing"), 404, "There is nothing at this address.")
    assert not RateCounter.objects.exists()


def test_a_revoked_key_does_not_count(creator, three_requests):
    secret = key_of(creator, "read")
    api_keys.revoke(owner=creator, key_id=creator.api_keys.get().pk)
    assert statuses(caller_with(secret)) == [401] * 4


def test_the_wallets_limits_are_others(api, three_requests):
    assert statuses(api) == [200, 200, 200, 429]
    rates = Client().get("/io/wallet/rates")
    assert rates.status_code == 200
    assert not any(name in rates for name in HEADERS)


def test_no_limit_tells_and_counts_nothing(api, settings):
    settings.CREATOR_REQUESTS_PER_MINUTE = 0
    assert not any(name in api.get(STATS) for name in HEADERS)
    assert not RateCounter.objects.exists()
