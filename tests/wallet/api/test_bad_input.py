"""Whatever reaches an API path gets JSON in the wallet's envelope, a true status, and moves nothing."""

import pytest
from django.db import connection, transaction

from tests.wallet.api.endpoints import (
    ALL,
    BALANCE,
    BUDGETS,
    CAPTURE,
    DEDUCT,
    FUNDS,
    GOOD,
    GRANT_VOID,
    GRANTS,
    HOLD,
    HOLDS,
    OWN_READS,
    QUOTE,
    RATES,
    READS,
    REFUND,
    TOPUP,
    TRANSACTIONS,
    VOID,
    WEBHOOK,
    WRITES,
    methods_of,
    refused,
    write,
)
from wallet.models import Wallet

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_moves")]

# --- Queries and what is accepted -------------------------------------------------------------------


@pytest.mark.parametrize("path", READS)
def test_too_many_parameters_are_refused_or_ignored(as_service, path):
    query = "&".join(["a"] * 1001)
    response = as_service.client.get(f"{path}?user_id=usr_1&{query}", headers=as_service.headers)
    if path == RATES:
        assert response.status_code == 200
    else:
        refused(response, path, 400)


@pytest.mark.parametrize("path", OWN_READS)
def test_a_parameter_named_twice_is_refused(as_service, path):
    response = as_service.get(path, user_id=["usr_1", "usr_2"])
    refused(response, path, 400, "user_id is given twice")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png", "*/*;q=0", "", "nonsense"])
def test_whatever_is_accepted_the_answer_is_json(as_service, accept):
    headers = as_service.headers | {"Accept": accept}
    for path, status in {
        BALANCE: 200,
        TRANSACTIONS: 200,
        RATES: 200,
        FUNDS: 200,
        HOLDS: 200,
        GRANTS: 200,
        BUDGETS: 200,
        HOLD: 404,
        DEDUCT: 405,
        "/io/wallet/x": 404,
    }.items():
        response = as_service.client.get(path, {"user_id": "usr_1"}, headers=headers)
        assert response.status_code == status
        assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", [path for path in READS if path != HOLD])
def test_no_format_is_chosen_by_the_address(as_service, path):
    response = as_service.get(path, user_id="usr_1", format="api")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"


# --- Addresses and methods --------------------------------------------------------------------------


UNKNOWN = (
    "/io/wallet/",
    "/io/wallet",
    "/io/wallet/nothing",
    "/io/wallet/Balance",
    "/io/wallet/balance.json",
    "/io/wallet/balance%20",
    "/io/wallet/balance/usr_1",
    "/io/wallet//balance",
    "/io/wallet/../wallet/balance/x",
    "/io/wallet/%ff",
    "/io/wallet/%00",
    "/io/wallet/topup_session",
    "/io/wallet/holdings",
    "/io/wallet/hold",
    "/io/wallet/refunds",
    "/io/wallet/grant",
    f"{GRANTS}/grant_01jb3kq2w8z6h6c1d1e0r2m4aa",
    f"{GRANT_VOID}/now",
    "/io/wallet/grants//void",
    "/io/wallet/budget",
    f"{BUDGETS}/day",
    f"{HOLD}/captured",
    f"{HOLD}/capture/all",
    f"{HOLD}.json/void/",
    "/io/wallet/holds//capture",
    "/io/wallet/funds/usr_1",
    "/io/wallet/\N{SNOWMAN}",
)


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_unknown_address_is_404_in_json(as_service, subtests, method):
    for path in UNKNOWN:
        with subtests.test(path=path):
            refused(getattr(as_service.client, method)(path, headers=as_service.headers), path, 404)


@pytest.mark.parametrize("method", ["get", "post", "put"])
def test_a_trailing_slash_is_404_never_a_redirect(as_service, subtests, method):
    for path in ALL:
        with subtests.test(path=path):
            response = getattr(as_service.client, method)(f"{path}/", headers=as_service.headers)
            refused(response, path, 404)


@pytest.mark.parametrize("path", ["/mail/v1/nothing", "/v1/nothing", "/mail/v1/", "/v1/", "/mail/v1", "/v1"])
def test_below_the_mail_api_an_unknown_address_has_the_mail_envelope(as_anonymous, path):
    response = as_anonymous.get(path)
    assert response.status_code == 404
    assert response["Content-Type"] == "application/json"
    assert set(response.json()) == {"success", "error"}
    assert response.json()["success"] is False


METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}


@pytest.mark.parametrize("path", ALL)
@pytest.mark.parametrize("who", ["as_service", "as_anonymous"])
def test_a_wrong_method_is_405_and_says_which_is_right(request, subtests, path, who):
    caller = request.getfixturevalue(who)
    right = methods_of(path)
    for method in sorted(METHODS - right - {"HEAD"}):
        with subtests.test(method=method):
            response = caller.client.generic(method, path, headers=caller.headers)
            refused(response, path, 405, "Method not allowed")
            assert set(response["Allow"].split(", ")) == right


@pytest.mark.parametrize("path", [path for path in [*WRITES, WEBHOOK] if path not in READS])
def test_head_is_405_where_nothing_is_read(as_service, path):
    response = as_service.client.head(path, headers=as_service.headers)
    assert response.status_code == 405
    assert response["Allow"] == "POST"


# --- Hosts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*ALL, "/io/wallet/nothing"])
def test_a_host_that_is_not_ours_is_400_in_json(as_service, settings, subtests, path):
    settings.ALLOWED_HOSTS = ["testserver"]
    method = "get" if path in READS else "post"
    for host in ("evil.com", "testserver.evil.com", "testserver@evil.com", "a b", "", "%00", "::1", "é"):
        with subtests.test(host=host):
            response = getattr(as_service.client, method)(path, headers=as_service.headers | {"Host": host})
            refused(response, path, 400)


def test_a_host_that_is_not_ours_gets_a_page_elsewhere(client, settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    response = client.get("/docs", headers={"Host": "evil.com"})
    assert response.status_code == 400
    assert response["Content-Type"].startswith("text/html")
    assert b"evil.com" not in response.content


# --- Crashes ----------------------------------------------------------------------------------------


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    ("path", "table"),
    [
        (BALANCE, "wallet_wallet"),
        (TRANSACTIONS, "wallet_entry"),
        (RATES, "wallet_rate"),
        (DEDUCT, "wallet_rate"),
        (DEDUCT, "wallet_entry"),
        (DEDUCT, "accounts_servicekey"),
        (TOPUP, "wallet_topup"),
        (BALANCE, "accounts_ratecounter"),
        (FUNDS, "wallet_wallet"),
        (HOLDS, "wallet_hold"),
        (HOLD, "wallet_hold"),
        (QUOTE, "wallet_rate"),
        (REFUND, "wallet_entry"),
        (REFUND, "accounts_ratecounter"),
        (CAPTURE, "wallet_hold"),
        (VOID, "wallet_wallet"),
        (GRANTS, "wallet_lot"),
        (GRANT_VOID, "wallet_lot"),
        (BUDGETS, "wallet_budget"),
    ],
)
def test_a_crash_is_500_in_json_and_tells_nothing(as_service, path, table):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO gone")
    if path in READS:
        response = as_service.get(path, user_id="usr_1")
    else:
        response = as_service.post(path, GOOD[path])
    refused(response, path, 500, "Something went wrong on our side.")
    transaction.set_rollback(True)


@pytest.mark.breaks_the_books
def test_a_crash_between_the_halves_of_a_charge_undoes_the_first(as_service):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wallet_entry RENAME TO gone")
    refused(as_service.post(DEDUCT, GOOD[DEDUCT]), DEDUCT, 500)
    assert Wallet.objects.get().balance == 10
    transaction.set_rollback(True)


@pytest.mark.breaks_the_books
def test_a_crash_of_a_hold_is_500_and_denied(as_service):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wallet_hold RENAME TO gone")
    response = as_service.post(HOLDS, GOOD[HOLDS])
    refused(response, HOLDS, 500, "Something went wrong on our side.", "failed")
    wallet = Wallet.objects.get()
    assert (wallet.balance, wallet.held, wallet.open_holds) == (10, 0, 0)
    transaction.set_rollback(True)


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(("path", "table"), [(GRANTS, "wallet_lot"), (BUDGETS, "wallet_budget")])
def test_a_crash_of_a_write_moves_nothing(as_service, path, table):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT takes_no_row CHECK (false)")
    response = write(as_service, path, GOOD[path])
    refused(response, path, 500, "Something went wrong on our side.", "failed")
    wallet = Wallet.objects.get()
    assert (wallet.balance, wallet.granted, wallet.budgets) == (10, 0, 0)
    transaction.set_rollback(True)


@pytest.mark.breaks_the_books
def test_a_crash_of_the_webhook_is_5xx_in_json(deliver, checkout_event):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wallet_stripeevent RENAME TO gone")
    refused(deliver(checkout_event()), WEBHOOK, 500, "Something went wrong on our side.")
