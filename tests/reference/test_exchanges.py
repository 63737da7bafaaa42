"""The exchanges that the reference shows are what the service answers."""

import json
import os

import pytest

from accounts.models import Right
from accounts.service_keys import issue_service_key
from misar_billing.reference import exchanges
from tests.reference import wallet_story
from tests.reference.story import Caller, Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def played(give, article_rate):
    """All exchanges, played now."""
    story = Story()
    give(wallet_story.USER, 42, "cs_test_a1Kq0vXb3nW8sR2tYcUeLhZ5")
    _, secret = issue_service_key(product="blog", rights=Right.values, grant_max=100, grant_month_max=1000)
    blog = Caller({"x-wallet-service-key": secret}, {"x-wallet-service-key": "wsk_..."})
    wallet_story.balances(story, blog)
    wallet_story.charges(story, blog)
    return story.exchanges


def test_the_file_has_what_the_service_answers(played):
    text = json.dumps(played, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("WRITE_EXCHANGES"):
        exchanges.FILE.write_text(text)
    stored = {(each["operation"], each["name"]): each for each in json.loads(exchanges.FILE.read_text())}
    for each in played:
        assert stored.get((each["operation"], each["name"])) == each
    assert exchanges.FILE.read_text() == text
