"""The published schema of the creators' endpoints: whole, and true of what the server answers."""

from collections import Counter
from copy import deepcopy
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.urls import get_resolver
from hypothesis import HealthCheck, given
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

from accounts import api_keys
from monetization import tips
from tests.misar_billing.test_schema import CHECKS, SEED, one_connection, schema_as_published
from tests.monetization.api.test_isolation import routes_under
from tests.monetization.conftest import (
    SPONSOR_BODY,
    SPONSORS,
    SUBSCRIPTION_BODY,
    SUBSCRIPTIONS,
    Browser,
    caller_with,
    in_days,
    key_of,
)

EXAMPLES = 40


@pytest.fixture
def published(db):
    return schema_as_published()


def operations(published: Any) -> dict[str, tuple[str, str, Any]]:
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in published["paths"].items()
        if path.startswith("/mail/v1/")
        for method, operation in methods.items()
    }


# --- The schema itself ------------------------------------------------------------------------------


def test_it_describes_every_endpoint_once_under_its_full_name(published):
    routes = routes_under(get_resolver(), "mail/v1/")
    wanted = Counter((method, route.pattern) for route in routes for method in route.methods)
    found = Counter((method, path.replace("{id}", "*")) for method, path, _ in operations(published).values())
    assert found == wanted
    assert not [path for path in published["paths"] if path.startswith("/v1/")]


@pytest.mark.parametrize(
    ("operation", "statuses"),
    [
        ("sponsors_list", "200 400 401 403 404 405 429 500 503"),
        ("sponsors_create", "201 400 401 403 404 405 409 413 415 429 500 503"),
        ("sponsors_cancel", "200 400 401 403 404 405 429 500 503"),
        ("subscriptions_list", "200 400 401 403 404 405 429 500 503"),
        ("subscriptions_create", "201 400 401 403 404 405 409 413 415 429 500 503"),
        ("subscriptions_change", "200 400 401 403 404 405 413 415 429 500 503"),
        ("tips_list", "200 400 401 403 404 405 429 500 503"),
        ("tip", "200 400 401 403 404 405 409 413 415 429 500 503"),
        ("monetization_stats", "200 400 401 404 405 429 500 503"),
        ("keys_list", "200 400 401 404 405 429 500 503"),
        ("keys_create", "201 400 401 403 404 405 413 415 429 500 503"),
        ("keys_revoke", "200 400 401 403 404 405 429 500 503"),
        ("keys_revoke_named", "200 400 401 403 404 405 429 500 503"),
    ],
)
def test_it_names_every_status_an_endpoint_can_answer(published, operation, statuses):
    responses = operations(published)[operation][2]["responses"]
    assert sorted(responses) == statuses.split()
    for status, response in responses.items():
        assert set(response["content"]) == {"application/json"}
        assert "X-Request-ID" in response["headers"]
        assert ("Retry-After" in response["headers"]) == (status in ("429", "503"))
        assert ("X-RateLimit-Remaining" in response["headers"]) == (
            status not in ("401", "404", "405", "500", "503")
        )


def test_it_names_the_credentials(published):
    asked = {
        name: {next(iter(scheme)) for scheme in operation["security"]}
        for name, (_, _, operation) in operations(published).items()
    }
    everybody = {"apiKey", "ssoUser", "cookieAuth"}
    keys = {name: {"cookieAuth"} for name in asked if name.startswith("keys_")}
    assert asked == dict.fromkeys(asked, everybody) | keys | {"tip": {"apiKey"}}


# --- Against the live server --------------------------------------------------------------------------


@pytest.fixture
def headers(transactional_db, creator, token):
    """What each kind of caller sends. A browser's session has its CSRF token."""
    browser = Browser(creator)
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.client.cookies.items())
    return {
        "key": {"Authorization": f"Bearer {key_of(creator, 'monetization')}"},
        "other key": {"Authorization": f"Bearer {key_of(creator, 'contacts')}"},
        "token": {"Authorization": f"Bearer {token(creator.pk)}"},
        "browser": {"Cookie": cookies, "X-CSRFToken": Browser.TOKEN},
    }


@pytest.fixture
def there_is(transactional_db, creator) -> dict[str, str]:
    """Something to read, and by operation the id of something to change."""
    api = caller_with(key_of(creator, "monetization"))
    sponsor = api.post(SPONSORS, SPONSOR_BODY | {"active_from": in_days(-1), "active_until": in_days(9)})
    subscription = api.post(SUBSCRIPTIONS, SUBSCRIPTION_BODY)
    tips.record(creator=creator, amount_cents=500, email="a@example.com")
    key, _ = api_keys.issue(owner=creator, name="A key", within_limit=False)
    return {
        "sponsors_cancel": sponsor.json()["data"]["id"],
        "subscriptions_change": subscription.json()["data"]["id"],
        "keys_revoke": str(key.pk),
        "keys_revoke_named": str(key.pk),
    }


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("operation", "who", "expected"),
    [
        ("sponsors_list", "key", {200, 400}),
        ("sponsors_create", "key", {201, 400}),
        ("sponsors_cancel", "key", {200, 404}),
        ("subscriptions_list", "token", {200, 400}),
        ("subscriptions_create", "key", {201, 400}),
        ("subscriptions_change", "token", {200, 400}),
        ("tips_list", "browser", {200, 400}),
        ("tip", "key", {200, 400}),
        ("tip", "token", {401}),
        ("tip", "other key", {403}),
        ("monetization_stats", "other key", {200, 400}),
        ("keys_list", "browser", {200}),
        ("keys_create", "browser", {201, 400}),
        ("keys_create", "key", {401}),
        ("keys_revoke", "browser", {200, 404}),
        ("keys_revoke_named", "browser", {200, 404}),
    ],
)
def test_whatever_is_asked_the_answer_is_in_the_schema(
    live_server, headers, there_is, creator, operation, who, expected
):
    creator.plan_id = "max"
    creator.save()
    schema = schemathesis.openapi.from_dict(deepcopy(schema_as_published()), config=schemathesis.Config())
    asked = schema.find_operation_by_id(operation)
    examples = EXAMPLES if expected & {200, 201} else 10
    seen = ask(asked, live_server.url, headers[who], examples, there_is.get(operation))
    assert expected <= set(seen), f"{dict(seen)} tells nothing of {expected - set(seen)}"


def is_wrong_beyond_its_cookie(case) -> bool:
    """Each request is sent with the caller's own cookie, so a wrong cookie alone makes no request wrong."""
    wrong = {place for place, part in case.meta.components.items() if part.mode == GenerationMode.NEGATIVE}
    return wrong != {ParameterLocation.COOKIE}


def ask(operation, url: str, headers: dict[str, str], examples: int, row_id: str | None) -> Counter[int]:
    """Send generated requests, good and bad by turns; how often each status came back."""

    def about_what_there_is(case):
        for values in (case.path_parameters, case.query):
            if row_id and values and "id" in values:
                values["id"] = row_id
        if case.query:
            case.query.pop("cursor", None)
        if isinstance(case.body, dict):
            good: dict[str, Any] = {"currency": "USD", "expiresAt": "2099-01-01T00:00:00Z"}
            good |= {"active_from": "2025-12-01T00:00:00Z", "active_until": "2099-01-01T00:00:00Z"}
            good |= {"logo_url": "https://example.com/logo.png", "target_url": "https://example.com/"}
            good |= {"email": "a@example.com", "subscriber_email": "a@example.com", "name": "A"}
            good |= {"plan": "monthly", "sponsor_name": "Acme", "message": "Hello\nthere"}
            good |= {"stripe_payment_id": None, "stripe_subscription_id": None}
            case.body.update({name: value for name, value in good.items() if name in case.body})
            case.body.pop("occurred_at", None)
        return case

    good = operation.as_strategy(GenerationMode.POSITIVE)
    cases = good.map(about_what_there_is) | good
    if operation.query or operation.path_parameters or operation.body:  # Else only the cookie can be wrong.
        cases |= operation.as_strategy(GenerationMode.NEGATIVE).filter(is_wrong_beyond_its_cookie)
    seen: Counter[int] = Counter()
    session = one_connection()

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=cases)
    def answer_is_in_the_schema(case) -> None:
        response = case.call(base_url=url, headers=headers, session=session)
        seen[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            assert response.json()["success"] is False

    answer_is_in_the_schema()
    return seen
