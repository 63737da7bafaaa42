"""The published schema: valid, readable in a browser, and true of what the server answers."""

import re
from collections import Counter
from copy import deepcopy
from datetime import timedelta
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from io import StringIO
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
import yaml
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.models import Right, ServiceKey
from tests.conftest import product
from wallet.api.codes import Code
from wallet.api.serializers import RefundRequest
from wallet.charges import budgets, deductions, holds
from wallet.grants import granting
from wallet.models import Entry

SEED = 20260601
EXAMPLES = 200
FEWER = 40
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
WALLET = {
    "wallet_balance": ("GET", "/io/wallet/balance"),
    "wallet_deduct": ("POST", "/io/wallet/deduct"),
    "wallet_topup_session": ("POST", "/io/wallet/topup-session"),
    "wallet_transactions": ("GET", "/io/wallet/transactions"),
    "wallet_rates": ("GET", "/io/wallet/rates"),
    "wallet_webhook": ("POST", "/io/wallet/webhook"),
    "wallet_funds": ("GET", "/io/wallet/funds"),
    "wallet_quote": ("POST", "/io/wallet/quote"),
    "wallet_refund": ("POST", "/io/wallet/refund"),
    "wallet_hold": ("POST", "/io/wallet/holds"),
    "wallet_holds": ("GET", "/io/wallet/holds"),
    "wallet_hold_read": ("GET", "/io/wallet/holds/{hold_id}"),
    "wallet_hold_capture": ("POST", "/io/wallet/holds/{hold_id}/capture"),
    "wallet_hold_void": ("POST", "/io/wallet/holds/{hold_id}/void"),
    "wallet_hold_extend": ("POST", "/io/wallet/holds/{hold_id}/extend"),
    "wallet_grant": ("POST", "/io/wallet/grants"),
    "wallet_grants": ("GET", "/io/wallet/grants"),
    "wallet_grant_void": ("POST", "/io/wallet/grants/{grant_id}/void"),
    "wallet_budget_set": ("PUT", "/io/wallet/budgets"),
    "wallet_budget_remove": ("DELETE", "/io/wallet/budgets"),
    "wallet_budgets": ("GET", "/io/wallet/budgets"),
    "wallet_deduct_batch": ("POST", "/io/wallet/deduct/batch"),
}
DECIDING = ["wallet_deduct", "wallet_hold", "wallet_deduct_batch"]
OF_THE_SEED = list(WALLET)[:6]


@cache
def schema_as_published():
    """Made once: it takes longer than any look at it."""
    return yaml.safe_load(Client().get("/schema").content)


@pytest.fixture
def published(db):
    return schema_as_published()


# --- The schema itself ------------------------------------------------------------------------------


def test_the_schema_is_valid_and_made_without_a_warning():
    out, err = StringIO(), StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=out, stderr=err)
    assert yaml.safe_load(out.getvalue())["openapi"].startswith("3.")


def test_it_describes_every_endpoint(published):
    found = {
        (operation["operationId"], method.upper(), path)
        for path, methods in published["paths"].items()
        if path.startswith("/io/wallet/")
        for method, operation in methods.items()
    }
    assert found == {(name, *where) for name, where in WALLET.items()}


@pytest.mark.parametrize(
    ("operation", "statuses"),
    [
        ("wallet_balance", "200 400 401 403 404 405 429 500 503"),
        ("wallet_transactions", "200 400 401 403 404 405 429 500 503"),
        ("wallet_rates", "200 400 404 405 500 503"),
        ("wallet_deduct", "200 400 403 404 405 409 413 415 429 500 503"),
        ("wallet_topup_session", "200 400 403 404 405 413 415 500 503"),
        ("wallet_webhook", "200 400 404 405 413 500 503"),
        ("wallet_funds", "200 400 401 403 404 405 429 500 503"),
        ("wallet_quote", "200 400 403 404 405 413 415 429 500 503"),
        ("wallet_refund", "200 400 403 404 405 409 413 415 429 500 503"),
        ("wallet_hold", "200 400 403 404 405 409 413 415 429 500 503"),
        ("wallet_holds", "200 400 401 403 404 405 429 500 503"),
        ("wallet_hold_read", "200 400 401 403 404 405 429 500 503"),
        ("wallet_hold_capture", "200 400 403 404 405 409 413 415 500 503"),
        ("wallet_hold_void", "200 400 403 404 405 409 413 415 500 503"),
        ("wallet_hold_extend", "200 400 403 404 405 409 413 415 500 503"),
        ("wallet_grant", "200 400 403 404 405 409 413 415 429 500 503"),
        ("wallet_grants", "200 400 401 403 404 405 429 500 503"),
        ("wallet_grant_void", "200 400 403 404 405 413 415 429 500 503"),
        ("wallet_budget_set", "200 400 403 404 405 409 413 415 429 500 503"),
        ("wallet_budget_remove", "200 400 403 404 405 429 500 503"),
        ("wallet_budgets", "200 400 401 403 404 405 429 500 503"),
        ("wallet_deduct_batch", "200 400 403 404 405 413 415 429 500 503"),
    ],
)
def test_it_names_every_status_an_endpoint_can_answer(published, operation, statuses):
    method, path = WALLET[operation]
    responses = published["paths"][path][method.lower()]["responses"]
    assert sorted(responses) == statuses.split()
    for response in responses.values():
        assert set(response["content"]) == {"application/json"}
        assert response["headers"]["X-Request-ID"]["required"] is True
    assert {status for status in responses if "Retry-After" in responses[status]["headers"]} == (
        {"429", "503"} & set(responses)
    )


def test_it_names_the_credentials(published):
    schemes = published["components"]["securitySchemes"]
    assert schemes["serviceKey"] == {"type": "apiKey", "in": "header", "name": "x-wallet-service-key"}
    assert schemes["ssoBearer"] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    asked = {
        name: [next(iter(scheme)) for scheme in published["paths"][path][method.lower()].get("security", [])]
        for name, (method, path) in WALLET.items()
    }
    expected = {
        name: ["serviceKey", "ssoBearer"] if method == "GET" else ["serviceKey"]
        for name, (method, _) in WALLET.items()
    }
    assert asked == expected | {"wallet_rates": [], "wallet_webhook": []}


@pytest.mark.parametrize("operation", WALLET)
def test_it_says_which_errors_have_a_code_and_which_say_that_a_charge_is_denied(published, operation):
    method, path = WALLET[operation]
    responses = published["paths"][path][method.lower()]["responses"]
    for status in responses.keys() - {"200"}:
        name = responses[status]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        error = published["components"]["schemas"][name]
        expected = {"error"}
        expected |= set() if operation in OF_THE_SEED else {"code"}
        expected |= {"allowed"} if operation in DECIDING else set()
        assert set(error["required"]) == expected


def test_it_says_what_each_code_means(published):
    codes = published["components"]["schemas"]["ErrorCode"]
    assert codes["enum"] == Code.values
    assert all(f"`{code}` - {code.label}" in codes["description"] for code in Code)


# --- In a browser -----------------------------------------------------------------------------------


def test_an_anonymous_caller_can_fetch_it(db):
    response = Client().get("/schema")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("application/vnd.oai.openapi")


def test_an_anonymous_visitor_can_browse_it_without_a_script_in_the_page(db):
    response = Client().get("/docs/try")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")
    page = response.content.decode()
    assert "swagger-ui" in page
    scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", page, re.DOTALL)
    assert scripts
    for attributes, content in scripts:
        assert 'src="' in attributes
        assert content.strip() == ""
    assert not re.search(r"\son[a-z]+\s*=", page)
    assert "javascript:" not in page


def test_the_page_needs_no_other_site(db):
    page = Client().get("/docs/try").content.decode()
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses
    for address in addresses:
        assert re.match("/[^/]", address), address
        assert Client().get(address).status_code == 200, address


def test_its_script_starts_the_page_with_our_schema(db):
    page = Client().get("/docs/try").content.decode()
    (address,) = re.findall(r'<script src="(/docs/try[^"]*)"', page)
    response = Client().get(address.replace("&amp;", "&"))
    assert response.status_code == 200
    assert b"/schema" in response.content


# --- Against the live server --------------------------------------------------------------------------


@pytest.fixture
def credentials(transactional_db, token):
    return {
        "service key": product(rights=Right.values).headers,
        "bearer": {"Authorization": f"Bearer {token('usr_1')}"},
        "nothing": {},
    }


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("operation", "credential", "examples", "expected"),
    [
        ("wallet_balance", "service key", EXAMPLES, {200, 400}),
        ("wallet_balance", "bearer", EXAMPLES, {200, 400, 403}),
        ("wallet_transactions", "service key", EXAMPLES, {200, 400}),
        ("wallet_transactions", "bearer", EXAMPLES, {200, 400, 403}),
        ("wallet_deduct", "service key", EXAMPLES, {200, 400, 409}),
        ("wallet_deduct", "bearer", 20, {403}),
        ("wallet_topup_session", "service key", EXAMPLES, {200, 400}),
        ("wallet_topup_session", "bearer", 20, {403}),
        ("wallet_rates", "nothing", EXAMPLES, {200}),
        ("wallet_webhook", "nothing", EXAMPLES, {400}),
        ("wallet_funds", "service key", FEWER, {200, 400}),
        ("wallet_funds", "bearer", FEWER, {200, 400, 403}),
        ("wallet_quote", "service key", FEWER, {200, 400}),
        ("wallet_refund", "service key", 100, {200, 400, 404, 409}),
        ("wallet_hold", "service key", FEWER, {200, 400, 409}),
        ("wallet_hold", "bearer", 20, {403}),
        ("wallet_holds", "service key", FEWER, {200, 400}),
        ("wallet_holds", "bearer", FEWER, {200, 400, 403}),
        ("wallet_hold_read", "service key", FEWER, {200, 400, 404}),
        ("wallet_hold_capture", "service key", FEWER, {200, 400, 404}),
        ("wallet_hold_void", "service key", FEWER, {200, 400, 404}),
        ("wallet_hold_extend", "service key", FEWER, {200, 400, 404}),
        ("wallet_grant", "service key", EXAMPLES, {200, 400}),
        ("wallet_grant", "bearer", 20, {403}),
        ("wallet_grants", "service key", FEWER, {200, 400}),
        ("wallet_grants", "bearer", FEWER, {200, 400, 403}),
        ("wallet_grant_void", "service key", FEWER, {200, 400, 404}),
        ("wallet_budget_set", "service key", FEWER, {200, 400}),
        ("wallet_budget_remove", "service key", FEWER, {200, 400}),
        ("wallet_budgets", "service key", FEWER, {200, 400}),
        ("wallet_budgets", "bearer", FEWER, {200, 400, 403}),
        ("wallet_deduct_batch", "service key", EXAMPLES, {200, 400}),
        ("wallet_deduct_batch", "bearer", 20, {403}),
    ],
)
def test_whatever_is_asked_the_answer_is_in_the_schema(
    live_server, sandbox, credentials, give, article_rate, operation, credential, examples, expected
):
    give("usr_1", 1000)
    there_is = what_there_is(article_rate)
    schema = schemathesis.openapi.from_dict(deepcopy(schema_as_published()), config=schemathesis.Config())
    asked = schema.find_operation_by_id(operation)
    seen = ask(asked, live_server.url, credentials[credential], examples, there_is)
    assert expected <= set(seen), f"{dict(seen)} tells nothing of {expected - set(seen)}"


def what_there_is(feature: str) -> dict[str, str]:
    """Fields of a user with credits, a charge, an open hold, a grant and budgets.

    And a price, an address we would go back to, and an end that a grant may have.
    """
    work: Any = {"service": ServiceKey.objects.get(), "user_id": "usr_1", "feature": feature, "count": 10}
    deductions.deduct(**work, key="article:a-charge")
    hold = holds.authorize(**work, key="chat:77", ttl_seconds=3600).hold
    expires_at = timezone.now() + timedelta(days=30)
    granted = granting.grant_of_product(
        service=work["service"],
        user_id="usr_1",
        credits=10,
        expires_at=expires_at,
        reason="Welcome",
        key="welcome",
    )
    for set_by, product_name, period in (("product", "blog", "day"), ("user", "", "month")):
        budgets.set_budget(user_id="usr_1", set_by=set_by, product=product_name, period=period, credits=10**6)
    return {
        "user_id": "usr_1",
        "feature": feature,
        "idempotency_key": "article:my-post",
        "product": "blog",
        "returnUrl": "/settings",
        "charge_key": "article:a-charge",
        "hold_id": hold.pk,
        "grant_id": granted.lot.pk,
        "expires_at": f"{expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }


def ask(
    operation, url: str, headers: dict[str, str], examples: int, there_is: dict[str, str]
) -> Counter[int]:
    """Send generated requests, good and bad by turns; how often each status came back."""

    def about_what_there_is(case):
        if case.query:
            case.query.pop("cursor", None)
        items = case.body.get("items") if isinstance(case.body, dict) else None
        of_a_batch = items if isinstance(items, list) else []
        for values in (case.body, case.query, case.path_parameters, *of_a_batch):
            if isinstance(values, dict):
                values.update({name: value for name, value in there_is.items() if name in values})
                if "charge_key" in values:  # Exactly one field names the charge.
                    values.pop("transaction_id", None)
                    values.pop("hold_id", None)
        return case

    def about_one_charge(case):
        """The schema does not say that exactly one field of a refund names the charge."""
        if isinstance(case.body, dict):
            _, *others = [name for name in RefundRequest.SELECTORS if name in case.body] or [""]
            for name in others:
                del case.body[name]
        return case

    cases = st.one_of(
        operation.as_strategy(GenerationMode.POSITIVE).map(about_what_there_is),
        operation.as_strategy(GenerationMode.POSITIVE).map(about_one_charge),
        operation.as_strategy(GenerationMode.NEGATIVE),
    )
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
        if response.status_code != 200 and operation.definition.raw["operationId"] in DECIDING:
            assert response.json()["allowed"] is False

    answer_is_in_the_schema()
    return seen


def one_connection() -> requests.Session:
    """For all requests of a test, each of which knows nothing of the others all the same."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


EVENTS = st.fixed_dictionaries(
    {
        "id": st.text(max_size=20).map("evt_".__add__),
        "type": st.sampled_from(
            ["checkout.session.completed", "checkout.session.expired", "charge.refunded"]
        ),
        "data": st.fixed_dictionaries(
            {
                "object": st.fixed_dictionaries(
                    {"metadata": st.just({"type": "wallet_topup"})},
                    optional={
                        name: st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.none())
                        for name in ("id", "mode", "payment_status", "amount_total", "currency", "livemode")
                    },
                )
            }
        ),
    },
    optional={
        "created": st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        "livemode": st.booleans() | st.none() | st.text(),
        "account": st.text(),
    },
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
)


@pytest.mark.slow
@pytest.mark.django_db
def test_whatever_stripe_signs_is_taken_in_or_refused_but_never_fails(deliver, published):
    """The schema's own requests stop at the signature; these get past it."""
    responses = published["paths"]["/io/wallet/webhook"]["post"]["responses"]

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(event=EVENTS | ANYTHING)
    def is_taken_in_or_refused(event) -> None:
        response = deliver(event)
        assert response.status_code in (200, 400)
        assert str(response.status_code) in responses
        assert set(response.json()) == ({"received"} if response.status_code == 200 else {"error"})

    is_taken_in_or_refused()
    assert not Entry.objects.exists()
