"""GET /io/wallet/balance"""

import pytest

from tests.wallet.reversed import leave_owing
from wallet.models import Wallet

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/balance"


def test_a_product_reads_the_balance_of_any_user(as_service, give):
    give("usr_1", 42)
    response = as_service.get(PATH, user_id="usr_1")
    assert response.status_code == 200
    assert response.content == b'{"credits":42}'
    assert response["Content-Type"] == "application/json"


def test_a_user_reads_their_own_balance_without_saying_who_they_are(as_user, give):
    give("usr_1", 42)
    give("usr_2", 7)
    assert as_user("usr_1").get(PATH).json() == {"credits": 42}


def test_a_user_may_name_themselves(as_user, give):
    give("usr_1", 42)
    assert as_user("usr_1").get(PATH, user_id="usr_1").json() == {"credits": 42}


def test_a_user_may_not_read_another_users_balance(as_user, give):
    give("usr_2", 7)
    response = as_user("usr_1").get(PATH, user_id="usr_2")
    assert response.status_code == 403
    assert response.json() == {"error": "You may read your own wallet only"}


def test_an_anonymous_caller_reads_nothing(as_anonymous):
    response = as_anonymous.get(PATH, user_id="usr_1")
    assert response.status_code == 401
    assert response.json() == {"error": "Send an SSO access token as Authorization: Bearer, or a service key"}
    assert response["WWW-Authenticate"] == "Bearer"


def test_an_unknown_user_has_no_credits_and_gets_no_wallet(as_service):
    response = as_service.get(PATH, user_id="nobody-we-know")
    assert response.status_code == 200
    assert response.json() == {"credits": 0}
    assert not Wallet.objects.exists()


def test_a_user_without_a_wallet_reads_nought(as_user):
    assert as_user("usr_new").get(PATH).json() == {"credits": 0}
    assert not Wallet.objects.exists()


def test_a_negative_balance_is_sent_as_it_is(as_service, give):
    leave_owing(give, "usr_1", 15)
    assert as_service.get(PATH, user_id="usr_1").json() == {"credits": -15}


def test_the_balance_is_the_one_of_this_moment(as_service, give, article_rate):
    give("usr_1", 2)
    as_service.deduct("usr_1")
    assert as_service.get(PATH, user_id="usr_1").json() == {"credits": 1}


@pytest.mark.parametrize("user_id", ["usr_1", "usr_unknown"])
def test_no_cache_may_keep_a_balance(as_service, give, user_id):
    give("usr_1", 42)
    assert as_service.get(PATH, user_id=user_id)["Cache-Control"] == "no-store"


def test_a_refusal_is_not_kept_either(as_anonymous):
    assert as_anonymous.get(PATH)["Cache-Control"] == "no-store"


def test_a_product_must_say_whose_balance(as_service):
    response = as_service.get(PATH)
    assert response.status_code == 400
    assert response.json() == {"error": "user_id is required"}


@pytest.mark.parametrize(
    "user_id",
    [
        "",
        "a\x00b",
        "a\nb",
        "\x7f",
        "x" * 256,
        "\N{NO-BREAK SPACE}",
        "\N{ZERO WIDTH SPACE}",
        "a\N{SOFT HYPHEN}b",
        "\N{HANGUL FILLER}",
        "\N{BRAILLE PATTERN BLANK}",
    ],
    ids=ascii,
)
def test_an_odd_user_id_is_refused(as_service, user_id):
    response = as_service.get(PATH, user_id=user_id)
    assert response.status_code == 400
    assert response.json() == {"error": "user_id must be 1 to 255 printable characters"}


@pytest.mark.parametrize(
    "user_id",
    ["x" * 255, " usr_1 ", "Ünï-☃", "' OR 1=1 --", "../../etc", "a+b&c=d", "usr_\U0001fa77", "usr\u0378"],
)
def test_any_printable_user_id_is_as_good_as_another(as_service, give, user_id):
    give(user_id, 3, "cs_test_odd_name")
    assert as_service.get(PATH, user_id=user_id).json() == {"credits": 3}


def test_ids_are_compared_exactly(as_service, give):
    give("usr_1", 3)
    for other in ("USR_1", "usr_1 ", " usr_1", "usr%5f1"):
        assert as_service.get(PATH, user_id=other).json() == {"credits": 0}


def test_a_user_id_that_is_no_text_is_refused(as_service):
    response = as_service.client.get(f"{PATH}?user_id=usr%ff", headers=as_service.headers)
    assert response.status_code == 400
    assert response.json() == {"error": "The address is not UTF-8"}


def test_a_user_named_twice_is_refused(as_service):
    response = as_service.get(PATH, user_id=["usr_1", "usr_2"])
    assert response.status_code == 400
    assert response.json() == {"error": "user_id is given twice"}


def test_head_answers_like_get_without_a_body(as_service, give):
    give("usr_1", 42)
    response = as_service.client.head(f"{PATH}?user_id=usr_1", headers=as_service.headers)
    assert response.status_code == 200
    assert response.content == b""
    assert response["Cache-Control"] == "no-store"
