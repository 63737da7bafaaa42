"""Rate limits: fixed windows, exact over all threads and processes."""

import time

import pytest
from django.db import connection
from django.db.models import F

from accounts import throttling
from accounts.models import RateCounter
from accounts.throttling import hit
from tests.conftest import Caller, product
from tests.crowd import at_once

pytestmark = pytest.mark.django_db

BALANCE, TRANSACTIONS = "/io/wallet/balance", "/io/wallet/transactions"


def seconds_left() -> float:
    """Of the present window, by the database's clock, as the limits go by it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 60 - extract(epoch FROM clock_timestamp()) %% 60", [])
        return float(cursor.fetchone()[0])


def with_time_left(seconds: float) -> None:
    """Return when at least so much of a window is left, for a test that a minute's end would disturb."""
    if seconds_left() < seconds:
        time.sleep(seconds_left() + 0.05)


@pytest.fixture
def three_reads(settings, one_window, db):
    """Three requests a window."""
    settings.WALLET_READS_PER_MINUTE = 3


def reads(caller: Caller, count: int = 4, path: str = BALANCE, **query: str) -> list[int]:
    return [caller.get(path, **query).status_code for _ in range(count)]


# --- Exactly as many --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", [BALANCE, TRANSACTIONS])
def test_of_240_reads_at_once_exactly_200_pass(as_service, one_window, path):
    answers = at_once([lambda: reads(as_service, 10, path, user_id="usr_1")] * 24)
    statuses = [status for answer in answers for status in answer]
    assert (statuses.count(200), statuses.count(429)) == (200, 40)
    assert RateCounter.objects.get().hits == 200


def test_the_fourth_of_three_is_told_when_to_come_again(as_service, settings):
    settings.WALLET_READS_PER_MINUTE = 3
    with_time_left(10)
    assert reads(as_service, 3, user_id="usr_1") == [200, 200, 200]
    before = seconds_left()
    response = as_service.get(BALANCE, user_id="usr_1")
    after = seconds_left()
    assert response.status_code == 429
    assert response.json() == {"error": "Too many requests. Please slow down."}
    assert response["Cache-Control"] == "no-store"
    assert 1 <= int(response["Retry-After"]) <= 60
    assert after <= int(response["Retry-After"]) < before + 1


def test_a_new_window_begins_at_nought(as_service, three_reads):
    assert reads(as_service, user_id="usr_1") == [200, 200, 200, 429]
    RateCounter.objects.update(window=F("window") - 1)  # As if a minute had gone by.
    assert reads(as_service, user_id="usr_1") == [200, 200, 200, 429]


def test_a_window_ends_by_the_clock(as_service, settings, monkeypatch):
    settings.WALLET_READS_PER_MINUTE = 1
    monkeypatch.setattr(throttling, "WINDOW_SECONDS", 2)
    while (response := as_service.get(BALANCE, user_id="usr_1")).status_code == 200:
        pass
    time.sleep(int(response["Retry-After"]))
    assert as_service.get(BALANCE, user_id="usr_1").status_code == 200


def test_no_limit_counts_nothing(as_service, settings):
    settings.WALLET_READS_PER_MINUTE = 0
    assert set(reads(as_service, 5, user_id="usr_1")) == {200}
    assert not RateCounter.objects.exists()


# --- Who is counted apart ----------------------------------------------------------------------------


def test_each_endpoint_has_a_count_of_its_own(as_service, three_reads):
    assert reads(as_service, user_id="usr_1") == [200, 200, 200, 429]
    assert reads(as_service, path=TRANSACTIONS, user_id="usr_1") == [200, 200, 200, 429]


def test_each_user_has_a_count_of_their_own(as_service, three_reads):
    assert reads(as_service, user_id="usr_1") == [200, 200, 200, 429]
    assert reads(as_service, user_id="usr_2") == [200, 200, 200, 429]


def test_each_product_has_a_count_of_its_own(three_reads):
    assert reads(product("blog"), user_id="usr_1") == [200, 200, 200, 429]
    assert reads(product("mail"), user_id="usr_1") == [200, 200, 200, 429]


def test_the_keys_of_one_product_share_a_count(three_reads):
    assert reads(product("blog"), 3, user_id="usr_1") == [200, 200, 200]
    assert reads(product("blog"), 1, user_id="usr_1") == [429]


def test_a_user_and_a_product_that_reads_for_them_are_counted_apart(as_service, as_user, three_reads):
    assert reads(as_service, user_id="usr_1") == [200, 200, 200, 429]
    assert reads(as_user("usr_1")) == [200, 200, 200, 429]
    assert reads(as_user("usr_2")) == [200, 200, 200, 429]


def test_a_user_who_names_themselves_is_the_same_user(as_user, three_reads):
    assert reads(as_user("usr_1"), 2) == [200, 200]
    assert reads(as_user("usr_1"), 2, user_id="usr_1") == [200, 429]


def test_no_two_lists_of_facts_share_a_count(one_window):
    lists = (
        ["a", "bc"],
        ["ab", "c"],
        ["abc"],
        ["a", "b", "c"],
        ["a", "bc", ""],
        ["1:a", "bc"],
        ["a1:b", "c"],
    )
    for facts in lists:
        assert hit(*facts, limit=1).allowed
        assert not hit(*facts, limit=1).allowed


# --- What counts ------------------------------------------------------------------------------------


def test_a_refused_request_counts(as_service, as_user, three_reads):
    assert reads(as_service, path=TRANSACTIONS, user_id="usr_1", limit="0") == [400, 400, 400, 429]
    assert reads(as_service) == [400, 400, 400, 429]
    assert reads(as_user("usr_1"), user_id="usr_2") == [403, 403, 403, 429]


def test_bad_and_good_requests_are_counted_together(as_user, three_reads):
    assert reads(as_user("usr_1"), 2, user_id="usr_2") == [403, 403]
    assert reads(as_user("usr_1"), 2) == [200, 429]


def test_a_request_that_was_told_to_wait_does_not_count(as_service, three_reads):
    assert reads(as_service, 10, user_id="usr_1") == [200] * 3 + [429] * 7
    assert RateCounter.objects.get().hits == 3


def test_an_anonymous_caller_is_not_counted(as_anonymous, sso_secret, three_reads):
    assert reads(as_anonymous, user_id="usr_1") == [401] * 4
    assert reads(Caller({"Authorization": "Bearer nonsense"})) == [401] * 4
    assert reads(Caller({"x-wallet-service-key": "nonsense"}), user_id="usr_1") == [403] * 4
    assert not RateCounter.objects.exists()


def test_head_counts_like_get(as_service, three_reads):
    heads = [as_service.client.head(f"{BALANCE}?user_id=usr_1", headers=as_service.headers) for _ in range(4)]
    assert [response.status_code for response in heads] == [200, 200, 200, 429]


def test_rates_are_not_counted(as_anonymous, three_reads):
    assert reads(as_anonymous, 5, "/io/wallet/rates") == [200] * 5
    assert not RateCounter.objects.exists()


# --- Charges ----------------------------------------------------------------------------------------


def test_charges_are_not_counted_unless_a_setting_asks(as_service, give, article_rate):
    give("usr_1", 10)
    assert as_service.deduct("usr_1").status_code == 200
    assert not RateCounter.objects.exists()


def test_a_charge_beyond_the_limit_is_denied_and_moves_nothing(as_service, give, article_rate, settings):
    give("usr_1", 10)
    settings.WALLET_CHARGES_PER_MINUTE = 2
    with_time_left(10)
    answers = [as_service.deduct(user) for user in ("usr_1", "usr_2", "usr_1")]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json() == {"allowed": False, "error": "Too many requests. Please slow down."}
    assert 1 <= int(answers[2]["Retry-After"]) <= 60
    assert as_service.get(BALANCE, user_id="usr_1").json() == {"credits": 9}


# --- The counter ------------------------------------------------------------------------------------


def test_a_request_that_comes_late_to_a_closed_window_counts_in_the_next(one_window):
    hit("somebody", limit=3)
    RateCounter.objects.update(window=F("window") + 1, hits=2)
    assert hit("somebody", limit=3).allowed
    assert not hit("somebody", limit=3).allowed
    assert RateCounter.objects.get().hits == 3


def test_counting_costs_no_write_ahead_log():
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'accounts_ratecounter'")
        assert cursor.fetchone() == ("u",)


def test_a_counter_does_not_tell_whose_it_is(as_service):
    as_service.get(BALANCE, user_id="usr_1")
    assert "usr_1" not in RateCounter.objects.get().bucket
