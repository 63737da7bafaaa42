"""Coming back from the checkout: the page shows what the books know, whatever the address claims."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import maintenance
from tests.factories import UserFactory
from tests.html import browser_of, hidden, link, words
from tests.wallet import by_hand
from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from tests.wallet.reversed import leave_owing
from wallet.books.funds import available_of
from wallet.models import StripeEvent, TopUp
from wallet.pages import topup_news

SUCCESS = "/wallet?wallet_topup=success"
ADDING = "Adding your 25 credits. This usually takes a few seconds."
NOTICES = ("added", "Adding", "confirmed", "Nothing was charged")

pytestmark = pytest.mark.django_db


@pytest.fixture
def fan():
    return UserFactory.create(misar_id="usr_fan")


@pytest.fixture
def browser(fan):
    return browser_of(fan)


@pytest.fixture
def checkout(stand_in, browser):
    """The session of a checkout of $25 that was opened on the page."""
    key = hidden(browser.get("/wallet"), "key")
    answer = browser.post("/wallet/top-up?returnTo=/docs", {"amount": "25", "key": key})
    return answer["Location"].rpartition("/")[2]


@pytest.fixture
def tell(stand_in, deliver):
    """Let something happen to a session at Stripe, and deliver its events."""

    def happen(verb, session_id):
        stand_in.happens(verb, session_id)
        for event in stand_in.events(session_id):
            assert deliver(event).status_code == 200

    return happen


def state_of(browser, session_id):
    return browser.get("/wallet/top-up/state", {"session": session_id}).json()["state"]


# --- What came of it --------------------------------------------------------------------------------


def test_a_payment_that_arrived_is_thanked_for(checkout, tell, browser, give, fan):
    give(fan.pk, 59)
    tell("pay", checkout)
    answer = browser.get(f"{SUCCESS}&session={checkout}&returnTo=/docs")
    assert "25 credits were added. Your balance is 84." in words(answer)
    assert link(answer, "Back to Misar") == "/docs"
    assert answer.content.decode().count("Back to Misar") == 2
    assert "data-waiting" not in answer.content.decode()
    assert state_of(browser, checkout) == "paid"


def test_without_a_session_in_the_address_the_latest_top_up_is_meant(checkout, tell, browser):
    assert ADDING in words(browser.get(SUCCESS))
    tell("pay", checkout)
    assert "25 credits were added. Your balance is 25." in words(browser.get(SUCCESS))


def test_a_payment_without_an_event_from_stripe_is_waited_for(checkout, stand_in, browser, fan):
    stand_in.happens("pay", checkout)  # And no webhook yet.
    answer = browser.get(f"{SUCCESS}&session={checkout}")
    assert ADDING in words(answer)
    assert f'data-waiting="/wallet/top-up/state?session={checkout}"' in answer.content.decode()
    assert available_of(fan.pk) == 0
    assert state_of(browser, checkout) == "paid"  # The page asks for this, and then Stripe is asked.
    assert available_of(fan.pk) == 25


def test_without_javascript_the_page_looks_again_a_bounded_number_of_times(checkout, browser):
    address, looks = f"{SUCCESS}&session={checkout}&returnTo=/docs", 0
    while True:
        html = browser.get(address).content.decode()
        found = re.search(
            r'<noscript><meta http-equiv="refresh" content="\d+; url=([^"]+)"></noscript>', html
        )
        if not found:
            break
        address, looks = found[1].replace("&amp;", "&"), looks + 1
        assert looks < 20
    assert looks == 8
    assert "This takes longer than usual. Your credits will appear here" in html
    assert "returnTo=%2Fdocs" in address


def test_a_bank_transfer_on_its_way_asks_no_user_to_wait(checkout, tell, browser):
    tell("pay_later", checkout)
    answer = browser.get(f"{SUCCESS}&session={checkout}")
    assert (
        "Your bank has not confirmed the payment yet. Your credits arrive as soon as it does. "
        "You can close this page." in words(answer)
    )
    assert "$25.00 is on its way" in words(answer)
    assert 'data-state="on_its_way"' in answer.content.decode()  # A user who stays sees it arrive.
    assert "http-equiv" not in answer.content.decode()
    assert "data-longer" not in answer.content.decode()
    assert state_of(browser, checkout) == "on_its_way"


def test_a_bank_transfer_that_failed_is_named(checkout, tell, browser):
    tell("pay_later", checkout)
    tell("fail", checkout)
    assert "The payment did not go through. Nothing was charged." in words(
        browser.get(f"{SUCCESS}&session={checkout}")
    )
    assert state_of(browser, checkout) == "failed"


def test_a_payment_that_staff_settled_is_not_called_a_failed_one(checkout, stand_in, browser, deliver):
    stand_in.happens("pay", checkout)
    for event in stand_in.events(checkout):
        event["data"]["object"]["currency"] = "eur"
        deliver(event)
    [event] = StripeEvent.objects.filter(state="parked")
    by_hand.resolve(
        event, user_id="usr_other", credits=25, reason="Hers", key="form-1", actor="user:staff:ada"
    )
    for address in (f"{SUCCESS}&session={checkout}", SUCCESS):
        shown = words(browser.get(address))
        assert "Misar settled this payment manually." in shown
        assert "Nothing was charged" not in shown
    assert state_of(browser, checkout) == "failed"  # There is nothing to wait for.


def test_a_checkout_that_expired_is_named(checkout, tell, browser):
    tell("expire", checkout)
    assert "This checkout has expired. Nothing was charged." in words(
        browser.get(f"{SUCCESS}&session={checkout}")
    )


def test_a_user_who_left_the_checkout_reads_only_what_is_known(checkout, browser):
    # Stripe puts the session's name into the address after a payment only.
    answer = browser.get("/wallet?session=%7BCHECKOUT_SESSION_ID%7D&wallet_topup=cancelled")
    assert "Payment not completed. If you did pay, your credits will appear here shortly." in words(answer)


def test_the_part_that_settles_a_debt_is_not_shown_as_balance(checkout, tell, browser, give, fan):
    leave_owing(give, fan.pk, 12)
    tell("pay", checkout)
    answer = browser.get(f"{SUCCESS}&session={checkout}")
    assert "25 credits were added. Your balance is 13." in words(answer)


# --- What the address claims ------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["success", "cancelled", "paid", "<script>"])
@pytest.mark.parametrize("session", ["", "cs_test_nothing", "cs_" + "x" * 3000, "{CHECKOUT_SESSION_ID}"])
def test_an_address_without_a_top_up_says_nothing(browser, outcome, session):
    shown = words(browser.get("/wallet", {"wallet_topup": outcome, "session": session}))
    assert not [each for each in NOTICES if each in shown]


def test_a_strangers_session_says_nothing(checkout, tell):
    tell("pay", checkout)
    stranger = browser_of()
    shown = words(stranger.get(f"{SUCCESS}&session={checkout}"))
    assert not [each for each in NOTICES if each in shown]
    assert state_of(stranger, checkout) == "unknown"


def test_a_cancelled_address_says_nothing_of_a_payment_that_was_made(checkout, tell, browser):
    tell("pay", checkout)
    shown = words(browser.get("/wallet?wallet_topup=cancelled"))
    assert not [each for each in NOTICES if each in shown]


def test_an_address_kept_for_long_says_nothing(checkout, tell, browser):
    tell("pay", checkout)
    with resting_triggers():
        sql(
            "UPDATE wallet_entry SET created_at = %s",
            timezone.now() - topup_news.NEWS_FOR - timedelta(seconds=1),
        )
    shown = words(browser.get(f"{SUCCESS}&session={checkout}"))
    assert not [each for each in NOTICES if each in shown]


@pytest.mark.parametrize("looks", ["-1", "x", "999999999999", "٣", "1e3"])
def test_a_count_of_looks_that_is_none_begins_anew(checkout, browser, looks):
    html = browser.get("/wallet", {"wallet_topup": "success", "looks": looks}).content.decode()
    assert "looks=1" in html


# --- The state that the page loads ------------------------------------------------------------------


def test_the_state_is_for_signed_in_users_only(client):
    assert client.get("/wallet/top-up/state?session=cs_1").status_code == 401


def test_the_state_is_kept_by_no_cache(browser):
    answer = browser.get("/wallet/top-up/state?session=cs_1")
    assert answer.json() == {"state": "unknown"}
    assert "no-store" in answer["Cache-Control"]


def test_the_first_page_waits_for_nothing(checkout, stand_in, browser):
    stand_in.happens("pay", checkout)
    before = list(TopUp.objects.values())
    browser.get(f"{SUCCESS}&session={checkout}")
    assert list(TopUp.objects.values()) == before


# --- Stripe is asked ----------------------------------------------------------------------------------


def test_without_javascript_the_second_page_asks_stripe(checkout, stand_in, browser):
    stand_in.happens("pay", checkout)
    answer = browser.get(f"{SUCCESS}&session={checkout}&looks=1")
    assert "25 credits were added. Your balance is 25." in words(answer)


def test_the_event_that_comes_later_credits_nothing_again(checkout, stand_in, deliver, browser, fan):
    stand_in.happens("pay", checkout)
    assert state_of(browser, checkout) == "paid"
    for event in stand_in.events(checkout):
        assert deliver(event).status_code == 200
    assert available_of(fan.pk) == 25
    assert StripeEvent.objects.get().state == "handled"


def test_a_payment_that_the_bank_has_not_confirmed_is_on_its_way(checkout, stand_in, browser, fan):
    stand_in.happens("pay_later", checkout)
    assert state_of(browser, checkout) == "on_its_way"
    assert available_of(fan.pk) == 0


def test_a_checkout_that_is_open_is_waited_for(checkout, browser):
    assert state_of(browser, checkout) == "waiting"
    assert TopUp.objects.get().state == "created"


def test_stripe_is_asked_once_a_minute(checkout, one_window, stand_in, browser, fan):
    assert state_of(browser, checkout) == "waiting"
    stand_in.happens("pay", checkout)
    assert state_of(browser, checkout) == "waiting"
    assert "Adding your 25 credits." in words(browser.get(f"{SUCCESS}&session={checkout}&looks=1"))
    assert available_of(fan.pk) == 0


@pytest.mark.parametrize("trouble", [{"api_failure": 500}, {"api_failure": 401}])
def test_while_stripe_is_out_of_reach_the_page_waits(checkout, stand_in, tell, browser, trouble):
    stand_in.happens("pay", checkout)
    stand_in.misbehaves(**trouble)
    assert state_of(browser, checkout) == "waiting"
    assert ADDING in words(browser.get(f"{SUCCESS}&session={checkout}&looks=1"))


def test_what_cannot_be_credited_is_waited_for_until_staff_decide(browser, stand_in, fan):
    session_id = stand_in.paid_session(currency="eur", user_id=fan.pk)
    TopUp.objects.create(
        user_id=fan.pk, state="created", amount_cents=2500, stripe_session_id=session_id, product="wallet"
    )
    assert state_of(browser, session_id) == "waiting"
    assert available_of(fan.pk) == 0


def test_during_maintenance_nothing_is_added(checkout, stand_in, browser, fan):
    stand_in.happens("pay", checkout)
    maintenance.remember("We move the database.")
    try:
        assert state_of(browser, checkout) == "waiting"
    finally:
        maintenance.remember(None)
    assert available_of(fan.pk) == 0


def test_another_user_has_nothing_asked(checkout, stand_in, fan):
    stand_in.happens("pay", checkout)
    assert state_of(browser_of(), checkout) == "unknown"
    assert available_of(fan.pk) == 0
