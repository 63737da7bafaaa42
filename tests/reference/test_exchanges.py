"""The exchanges that the reference shows are what the service answers."""

import json
import os
from typing import Any

import pytest

from accounts import api_keys, maintenance
from accounts.models import Right
from accounts.service_keys import issue_service_key
from misar_billing.reference import exchanges
from tests.factories import UserFactory
from tests.monetization.conftest import Browser
from tests.reference import common_story, creators_story, holds_story, wallet_story
from tests.reference.story import Caller, Story
from tests.reference.wallet_story import OTHER_USER, USER
from wallet.charges import budgets, debits
from wallet.grants import granting

pytestmark = pytest.mark.django_db


def with_service_key(**key: Any) -> Caller:
    secret = issue_service_key(product="blog", **key)[1]
    return Caller({"x-wallet-service-key": secret}, {"x-wallet-service-key": "wsk_..."})


def with_api_key(*scopes: str, owner: Any) -> Caller:
    secret = api_keys.issue(owner=owner, name="Server", scopes=scopes, within_limit=False)[1]
    return Caller({"Authorization": f"Bearer {secret}"}, {"Authorization": "Bearer msk_..."})


def with_session(owner: Any, *, token: bool) -> Caller:
    browser = Browser(owner, forgets_token=not token)
    shown = {"Cookie": "sessionid=<session>; csrftoken=<token>"} | (
        {"X-CSRFToken": "<token>"} if token else {}
    )
    caller = Caller(browser.headers, shown)
    caller.client = browser.client
    return caller


@pytest.fixture
def played(give, article_rate, token, sandbox, settings, monkeypatch):
    """All exchanges, played now. Limits of a wallet are smaller than usual; no answer names them."""
    monkeypatch.setattr(debits, "OPEN_HOLDS_OF_PRODUCT_MAX", 3)
    monkeypatch.setattr(granting, "GRANTS_OF_PRODUCT_MAX", 3)
    monkeypatch.setattr(budgets, "BUDGETS_MAX", 3)
    story = Story()
    story.show("http://testserver", "https://api.misar.io")
    give(USER, 42, wallet_story.SESSION)
    give(OTHER_USER, 500)
    service, secret = issue_service_key(
        product="blog", rights=Right.values, grant_max=100, grant_month_max=1000
    )
    who = wallet_story.Callers(
        blog=Caller({"x-wallet-service-key": secret}, {"x-wallet-service-key": "wsk_..."}),
        reads_only=with_service_key(rights=[Right.READ]),
        charges_only=with_service_key(rights=[Right.CHARGE]),
        mail_only=with_service_key(feature_prefixes=["mail."]),
        wrong=Caller({"x-wallet-service-key": "wsk_" + "0" * 64}, {"x-wallet-service-key": "wsk_..."}),
        none=Caller(),
        user=Caller({"Authorization": f"Bearer {token(USER)}"}, {"Authorization": "Bearer <access token>"}),
    )
    wallet_story.rates(story, who)
    wallet_story.charges(story, who)
    wallet_story.batches(story, who)
    wallet_story.refunds(story, who)
    holds_story.granted(story, who, service)
    holds_story.held(story, who)
    holds_story.budgeted(story, who)
    wallet_story.reads(story, who)
    wallet_story.frozen(story, who)
    wallet_story.topups(story, who, sandbox)
    wallet_story.webhooks(story, who)
    holds_story.too_many_holds(story, who, service)

    creator = UserFactory.create(misar_id="usr_creator")
    creators = creators_story.Callers(
        key=with_api_key("monetization", owner=creator),
        contacts_key=with_api_key("contacts", owner=creator),
        browser=with_session(creator, token=True),
        forgetful_browser=with_session(creator, token=False),
        none=Caller(),
    )
    creators_story.tips(story, creators)
    creators_story.subscriptions(story, creators)
    creators_story.placements(story, creators, creator)
    creators_story.stats(story, creators)
    creators_story.keys(story, creators, creator)

    common_story.refused(story, who, creators.key, settings)
    common_story.failed(story, who, settings)
    common_story.paused(story, who, creators.key)
    return story.by_operation()


@pytest.fixture(autouse=True)
def forgotten():
    yield
    maintenance.remember(None)


def test_the_file_has_what_the_service_answers(played):
    if os.environ.get("WRITE_EXCHANGES"):
        exchanges.FILE.write_text(json.dumps(played, indent=1, ensure_ascii=False) + "\n")
    stored = {(each["operation"], each["name"]): each for each in json.loads(exchanges.FILE.read_text())}
    again = "; `python -m tests.reference.record` writes the file anew"
    for each in played:
        name = (each["operation"], each["name"])
        assert stored.get(name) == each, f"{name} is answered otherwise now{again}"
    assert list(stored) == [(each["operation"], each["name"]) for each in played], f"another order{again}"
