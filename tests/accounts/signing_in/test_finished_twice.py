"""A sign-in that is finished twice: Back and again, two clicks, two tabs. And no user is switched by it."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from accounts.models import User
from tests.accounts.signing_in.test_signing_in import choose, path_of
from tests.codes import code_of
from tests.crowd import at_once
from tests.factories import StaffFactory, UserFactory

pytestmark = pytest.mark.django_db

DID_NOT_WORK = "Signing in did not work."


def begin(client, going_to="/account?x=1"):
    """The issuer's address to which the service sends the browser."""
    answer = client.post("/sign-in/misar", query_params={"next": going_to})
    assert answer.status_code == 302, answer.text
    return answer["Location"]


def finish(client, address, person="usr_demo"):
    """Choose a user on the issuer's page; the answer to its redirect, and the address of the redirect."""
    back = path_of(choose(address, person=person))
    return client.get(back), back


def leads_to(answer, page):
    assert (answer.status_code, answer["Location"]) == (302, page), answer.text
    return True


def is_refused(answer):
    assert answer.status_code == 400
    assert DID_NOT_WORK in answer.text
    assert "Please sign in again." in answer.text
    assert 'href="/wallet"' in answer.text
    return True


# --- Again in the same browser ----------------------------------------------------------------------


def test_back_and_again_leads_to_the_page(client, sandbox):
    address = begin(client)
    answer, _ = finish(client, address)
    assert leads_to(answer, "/account?x=1")
    key = client.session.session_key
    for _ in range(2):  # The issuer's page is still open: it sends another code with the same state.
        answer, _ = finish(client, address)
        assert leads_to(answer, "/account?x=1")
    assert (client.session["_auth_user_id"], client.session.session_key) == ("usr_demo", key)


def test_the_callbacks_address_opened_again_leads_to_the_page(client, sandbox):
    _, back = finish(client, begin(client))
    for _ in range(3):
        assert leads_to(client.get(back), "/account?x=1")


@pytest.mark.parametrize(
    "query", ["", "?error=access_denied", "?error=x&state=", "?code=x", "?state=never-was"]
)
def test_any_callback_without_a_sign_in_leads_a_signed_in_user_on(client, sandbox, query):
    finish(client, begin(client))
    assert leads_to(client.get(f"/sign-in/misar/callback{query}"), "/wallet")
    assert client.session["_auth_user_id"] == "usr_demo"


def test_each_of_two_tabs_leads_to_its_own_page(client, sandbox):
    one, two = begin(client, "/account?tab=1"), begin(client, "/account?tab=2")
    assert leads_to(finish(client, one)[0], "/account?tab=1")
    assert leads_to(finish(client, two)[0], "/account?tab=2")
    # And each again, in the other order.
    assert leads_to(finish(client, two)[0], "/account?tab=2")
    assert leads_to(finish(client, one)[0], "/account?tab=1")


def test_the_pages_of_the_last_ten_sign_ins_are_known(client, sandbox):
    addresses = []
    for number in range(12):
        addresses.append(begin(client, f"/account?n={number}"))
        finish(client, addresses[-1])
    assert leads_to(finish(client, addresses[-1])[0], "/account?n=11")
    assert leads_to(finish(client, addresses[2])[0], "/account?n=2")
    assert leads_to(finish(client, addresses[0])[0], "/wallet")


def test_a_page_on_another_site_is_no_page(client, sandbox):
    """The session holds only pages of ours; they are checked again all the same."""
    address = begin(client)
    finish(client, address)
    session = client.session
    [state] = session["finished_sign_ins"]
    for hostile in ("https://evil.example/", "//evil.example", "javascript:alert(1)", "", None):
        session["finished_sign_ins"] = {state: hostile}
        session.save()
        assert leads_to(finish(client, address)[0], "/wallet")


def test_staff_whose_code_is_missing_are_led_to_the_page_for_it(client, sandbox):
    StaffFactory.create(misar_id="usr_demo")
    address = begin(client)
    assert leads_to(finish(client, address)[0], "/sign-in/code")
    assert leads_to(finish(client, address)[0], "/sign-in/code")
    assert "_auth_user_id" not in client.session
    assert leads_to(client.post("/sign-in/code", {"code": code_of()}), "/account?x=1")
    assert leads_to(finish(client, address)[0], "/account?x=1")


def test_a_code_page_that_the_previous_release_led_to_still_works(client, sandbox):
    """In its session, the sign-in has no `state` to remember."""
    StaffFactory.create(misar_id="usr_demo")
    finish(client, begin(client))
    session = client.session
    del session["account_login"]["signal_kwargs"]["sociallogin"]["state"]["finished_sign_ins"]
    session.save()
    assert leads_to(client.post("/sign-in/code", {"code": code_of()}), "/account?x=1")


# --- No user is signed in or switched by it -----------------------------------------------------------


def test_without_a_session_it_still_fails_with_a_way_on(client, sandbox):
    _, back = finish(client, begin(client))
    client.post("/sign-out")
    assert is_refused(client.get(back))
    assert is_refused(Client().get(back))
    assert is_refused(Client().get("/sign-in/misar/callback?code=x&state=forged"))


def test_an_attackers_callback_does_not_switch_the_user(client, sandbox):
    """Login CSRF: the attacker's own code and state, sent to a user who is signed in."""
    attacker = Client()
    stolen = path_of(choose(begin(attacker, "/account?evil=1"), person="usr_ines"))
    finish(client, begin(client))
    assert leads_to(client.get(stolen), "/wallet")
    assert client.session["_auth_user_id"] == "usr_demo"
    # The code is still unused, and no row of that user exists.
    assert not User.objects.filter(pk="usr_ines").exists()
    assert leads_to(attacker.get(stolen), "/account?evil=1")


def test_another_users_code_with_a_finished_state_does_not_switch_the_user(client, sandbox):
    address = begin(client)
    finish(client, address)
    assert leads_to(finish(client, address, person="usr_ines")[0], "/account?x=1")
    assert client.session["_auth_user_id"] == "usr_demo"
    assert not User.objects.filter(pk="usr_ines").exists()


def test_a_user_may_still_change_to_another_account(client, sandbox):
    finish(client, begin(client))
    assert leads_to(finish(client, begin(client, "/wallet"), person="usr_ines")[0], "/wallet")
    assert client.session["_auth_user_id"] == "usr_ines"


def test_after_signing_out_the_pages_are_forgotten(client, sandbox):
    address = begin(client)
    finish(client, address)
    client.post("/sign-out")
    assert is_refused(finish(client, address)[0])
    finish(client, begin(client, "/wallet"))
    assert leads_to(finish(client, address)[0], "/wallet")


def test_a_closed_account_is_not_led_on(client, sandbox):
    address = begin(client)
    finish(client, address)
    User.objects.update(is_active=False)
    assert is_refused(finish(client, address)[0])


# --- At once ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_are_no_500_and_one_sign_in(client, sandbox):
    back = path_of(choose(begin(client), person="usr_demo"))
    cookie = client.cookies["sessionid"].value

    def click():
        one = Client(raise_request_exception=False)
        one.cookies["sessionid"] = cookie
        return one, one.get(back)

    for_all = at_once([click] * 4)
    # 503: no more than a quarter of the threads may wait for the issuer.
    assert {answer.status_code for _, answer in for_all} <= {302, 400, 503}
    signed_in = [one for one, answer in for_all if answer.status_code == 302]
    assert len(signed_in) == 1
    assert signed_in[0].session["_auth_user_id"] == "usr_demo"
    # No other answer deletes the cookie that the first one brought.
    for _, answer in for_all:
        assert "sessionid" not in answer.cookies or answer.cookies["sessionid"].value


def test_a_late_click_does_not_delete_the_new_cookie(client, sandbox):
    address = begin(client)
    late = Client()
    late.cookies["sessionid"] = client.cookies["sessionid"].value
    _, back = finish(client, address)
    answer = late.get(back)
    assert is_refused(answer)
    assert "sessionid" not in answer.cookies


@pytest.mark.django_db(transaction=True)
def test_a_session_that_ends_meanwhile_is_no_500(client, sandbox):
    """The user signs out in another tab while the issuer is asked."""
    client.force_login(UserFactory.create(misar_id="usr_demo"))
    back = path_of(choose(begin(client), person="usr_demo"))
    Session.objects.all().delete()
    assert is_refused(client.get(back))


def test_the_nonce_is_new_each_time(client, sandbox):
    asked = [parse_qs(urlsplit(begin(client)).query) for _ in range(3)]
    assert len({one["nonce"][0] for one in asked}) == 3
    assert all(len(one["nonce"][0]) >= 32 for one in asked)
