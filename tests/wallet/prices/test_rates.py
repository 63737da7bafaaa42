"""GET /io/wallet/rates"""

import pytest

from wallet.models import RateChange
from wallet.prices import rates

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/rates"


def test_an_anonymous_caller_reads_the_documented_rates(as_anonymous):
    response = as_anonymous.get(PATH)
    assert response.status_code == 200
    assert response.json() == {
        "rates": [
            {
                "feature": "blog.article.generate",
                "label": "Generate an article",
                "credits": 1,
                "unit": "article",
            },
            {"feature": "mail.send", "label": "Send an email", "credits": 1, "unit": "1000 emails"},
        ]
    }


def test_a_minute_in_a_cache_is_fine(as_anonymous):
    assert as_anonymous.get(PATH)["Cache-Control"] == "public, max-age=60"


def test_rates_are_ordered_by_feature(as_anonymous):
    for feature in ("zoo", "aaa", "blog.zebra", "blog.Ant"):
        rates.set_rate(feature=feature, label="Label", credits=2, unit="unit", actor="test")
    features = [row["feature"] for row in as_anonymous.get(PATH).json()["rates"]]
    assert features == sorted(features)
    assert len(features) == 6


def test_a_withdrawn_rate_is_not_listed(as_anonymous):
    rates.set_rate(feature="mail.send", label="Send", credits=1, unit="mail", active=False, actor="test")
    assert [row["feature"] for row in as_anonymous.get(PATH).json()["rates"]] == ["blog.article.generate"]


def test_a_new_price_shows_at_once_and_the_old_one_is_kept(as_anonymous):
    rates.set_rate(feature="mail.send", label="Send", credits=3, unit="mail", actor="user:staff:1")
    assert as_anonymous.get(PATH).json()["rates"][1]["credits"] == 3
    kept = RateChange.objects.filter(feature="mail.send").order_by("pk")
    assert [(change.credits, change.actor) for change in kept] == [(1, "default"), (3, "user:staff:1")]


@pytest.mark.parametrize("caller", ["as_service", "as_user"])
def test_a_credential_changes_nothing(request, as_anonymous, caller):
    found = request.getfixturevalue(caller)
    somebody = found("usr_1") if caller == "as_user" else found
    assert somebody.get(PATH).content == as_anonymous.get(PATH).content


def test_not_even_a_bad_credential_changes_anything(as_anonymous):
    headers = {"x-wallet-service-key": "wrong", "Authorization": "Bearer wrong"}
    assert as_anonymous.client.get(PATH, headers=headers).status_code == 200
