"""POST /io/wallet/quote: what a charge would answer now, without a charge."""

import pytest

from tests.conftest import Caller, product
from tests.wallet.holding import past_hold
from tests.wallet.reversed import leave_owing
from wallet.books import ledger
from wallet.models import Entry, Hold, Wallet
from wallet.prices import rates

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/quote"
ARTICLE = "blog.article.generate"


def quote(caller: Caller, user_id: str = "usr_1", feature: str = ARTICLE, **body):
    return caller.post(PATH, {"user_id": user_id, "feature": feature, **body})


def quote_and_charge(caller: Caller, **body) -> bytes:
    """A quote says what the charge that follows it answers; its bytes."""
    quoted = quote(caller, **body)
    assert quoted.status_code == 200
    assert quoted["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in quoted
    assert caller.deduct(**body).content == quoted.content
    return quoted.content


def test_a_quote_is_what_the_charge_answers_then(as_service, give, article_rate):
    give("usr_1", 42)
    assert quote_and_charge(as_service) == (
        b'{"allowed":true,"balanceBefore":42,"balanceAfter":41,"deducted":1}'
    )
    assert quote_and_charge(as_service, count=41) == (
        b'{"allowed":true,"balanceBefore":41,"balanceAfter":0,"deducted":41}'
    )
    assert quote_and_charge(as_service) == b'{"allowed":false,"balanceBefore":0,"required":1}'


def test_a_quote_moves_nothing_and_is_no_promise(as_service, give, article_rate):
    give("usr_1", 5)
    for _ in range(2):
        assert quote(as_service, count=5).json()["balanceAfter"] == 0
    assert (Entry.objects.count(), Hold.objects.count()) == (1, 0)
    as_service.deduct()
    assert quote(as_service, count=5).json() == {"allowed": False, "balanceBefore": 4, "required": 5}


def test_a_quote_beside_holds(as_service, give, article_rate):
    give("usr_1", 10)
    as_service.hold(count=4)
    past_hold(credits=3)
    assert quote_and_charge(as_service, count=7) == b'{"allowed":false,"balanceBefore":6,"required":7}'
    assert quote_and_charge(as_service, count=6) == (
        b'{"allowed":true,"balanceBefore":6,"balanceAfter":0,"deducted":6}'
    )


def test_a_quote_of_an_overdue_hold_counts_it_as_over_and_writes_nothing(as_service, give, article_rate):
    give("usr_1", 10)
    past_hold(credits=8)
    assert quote(as_service, count=10).json()["balanceBefore"] == 10
    assert Hold.objects.get().state == "open"


def test_a_quote_in_a_debt(as_service, give, article_rate):
    leave_owing(give, "usr_1", 15)
    assert quote_and_charge(as_service) == b'{"allowed":false,"balanceBefore":-15,"required":1}'


def test_a_quote_for_a_frozen_wallet(as_service, give, article_rate):
    give("usr_1", 10)
    ledger.set_frozen("usr_1", frozen=True)
    assert quote_and_charge(as_service) == (
        b'{"allowed":false,"balanceBefore":0,"required":1,"limitedBy":{"limit":"frozen"}}'
    )


def test_an_unknown_user_has_nothing_and_gets_no_wallet(as_service, article_rate):
    assert quote_and_charge(as_service, user_id="usr_new") == (
        b'{"allowed":false,"balanceBefore":0,"required":1}'
    )
    assert not Wallet.objects.exists()


@pytest.mark.parametrize("count", [None, 1, 1_000_000])
def test_a_count_is_1_to_a_million(as_service, give, article_rate, count):
    give("usr_1", 1_000_000)
    assert quote(as_service, count=count).json()["deducted"] == (count or 1)


@pytest.mark.parametrize("feature", ["no.such.feature", "blog.old"])
def test_an_unknown_feature_is_never_free(as_service, give, feature):
    rates.set_rate(feature="blog.old", label="L", credits=1, unit="u", active=False, actor="test")
    give("usr_1", 10)
    response = quote(as_service, feature=feature)
    assert response.status_code == 400
    assert response.json() == {"error": f"Unknown feature: {feature}", "code": "unknown_feature"}


def test_a_limited_key_asks_for_its_own_features_only(give, article_rate):
    give("usr_1", 10)
    limited = product(feature_prefixes=["blog."])
    assert quote(limited).json()["allowed"] is True
    response = quote(limited, feature="mail.send")
    assert response.status_code == 403
    assert response.json() == {
        "error": "This service key may not charge mail.send",
        "code": "feature_not_allowed",
    }


def test_a_key_is_not_looked_at(as_service, give, article_rate):
    """A quote has no key, so the first answer to a charge is not a quote's answer."""
    give("usr_1", 10)
    as_service.deduct(idempotency_key="k")
    assert quote(as_service, idempotency_key="k").json()["balanceBefore"] == 9
