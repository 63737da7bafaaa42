"""The codes of errors, and where an error says `allowed: false`."""

import json
from types import SimpleNamespace

import pytest
from django.db import connection, transaction

from accounts.models import Right
from foundation.errors import BillingError
from tests.conftest import Caller, product
from tests.wallet.api.endpoints import (
    ALL,
    BUDGETS,
    CAPTURE,
    DEDUCT,
    EXTEND,
    FUNDS,
    GOOD,
    GRANT_VOID,
    GRANTS,
    HOLDS,
    QUOTE,
    REFUND,
    VOID,
    write,
)
from tests.wallet.holding import many_holds, past_hold
from wallet.api.codes import USUAL, Code
from wallet.books.funds import available_of

pytestmark = pytest.mark.django_db

ARTICLE = {"user_id": "usr_1", "feature": "blog.article.generate"}


@pytest.fixture
def world(as_service, as_user, as_anonymous, give, article_rate, settings):
    """Callers, and a user with 1000 credits. A case makes what else it needs."""
    give("usr_1", 1000)
    return SimpleNamespace(
        service=as_service, user=as_user("usr_1"), anonymous=as_anonymous, settings=settings
    )


def made(world) -> str:
    """The id of a new hold."""
    return world.service.hold(key="chat:1").json()["holdId"]


def ended(world, verb: str, then: str, **body):
    """A hold is ended, and then asked for something else."""
    hold_id = made(world)
    world.service.end(hold_id, verb)
    return world.service.end(hold_id, then, **body)


def reused(world):
    made(world)
    return world.service.hold(key="chat:1", count=2)


def over(world, verb: str):
    """The hold of a key reached its end, and the product asks for it again or captures it."""
    hold_id = past_hold(key="past:1").pk
    return world.service.hold(key="past:1") if verb == "hold" else world.service.end(hold_id, verb)


def slowed(world):
    world.settings.WALLET_WRITES_PER_MINUTE = 1
    answers = [world.service.refund(charge_key="none") for _ in range(4)]
    return next(answer for answer in answers if answer.status_code == 429)


def crowded(world):
    many_holds(200)
    return world.service.hold()


def given_back(world):
    world.service.deduct(count=3, idempotency_key="article:1")
    world.service.refund(charge_key="article:1")
    return world.service.refund(charge_key="article:1", key="undo:2")


def broken(world):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wallet_hold RENAME TO gone")
    return world.service.post(HOLDS, ARTICLE | {"idempotency_key": "k"})


# A request for each code, and the status.
CASES = {
    Code.INVALID: (400, lambda w: w.service.hold(count=0)),
    Code.UNKNOWN_FEATURE: (400, lambda w: w.service.hold(feature="none")),
    Code.NO_CREDENTIALS: (401, lambda w: w.anonymous.get(FUNDS, user_id="usr_1")),
    Code.WRONG_CREDENTIALS: (403, lambda w: Caller({"x-wallet-service-key": "wsk_"}).hold()),
    Code.MAY_NOT_READ: (403, lambda w: product(rights=["charge"]).get(HOLDS, user_id="usr_1")),
    Code.MAY_NOT_CHARGE: (403, lambda w: product(rights=["read"]).hold()),
    Code.MAY_NOT_REFUND: (403, lambda w: product(rights=["charge"]).refund(charge_key="article:1")),
    Code.MAY_NOT_GRANT: (403, lambda w: product().grant()),
    Code.FEATURE_NOT_ALLOWED: (403, lambda w: product(feature_prefixes=["blog."]).hold(feature="mail.send")),
    Code.NOT_YOURS: (403, lambda w: w.user.get(HOLDS, user_id="usr_2")),
    Code.NOT_FOUND: (404, lambda w: w.service.end("hold_1", "void")),
    Code.WRONG_METHOD: (405, lambda w: w.service.get(REFUND)),
    Code.KEY_REUSED: (409, reused),
    Code.KEY_ENDED: (409, lambda w: over(w, "hold")),
    Code.HOLD_CAPTURED: (409, lambda w: ended(w, "capture", "void")),
    Code.HOLD_VOIDED: (409, lambda w: ended(w, "void", "capture")),
    Code.HOLD_EXPIRED: (409, lambda w: over(w, "capture")),
    Code.HOLD_TOO_OLD: (409, lambda w: w.service.end(made(w), "extend", ttl_seconds=604_800)),
    Code.NOTHING_LEFT: (409, given_back),
    Code.OVER_CAP: (409, lambda w: product(rights=["grant"], grant_max=9).grant()),
    Code.TOO_MANY: (409, crowded),
    Code.TOO_LARGE: (413, lambda w: w.service.post(QUOTE, ARTICLE | {"x": "x" * 70_000})),
    Code.NOT_JSON: (415, lambda w: w.service.post(QUOTE, ARTICLE, content_type="text/plain")),
    Code.SLOW_DOWN: (429, slowed),
    Code.FAILED: (500, broken),
}
FACTS = {Code.NOTHING_LEFT: {"refundable"}, Code.OVER_CAP: {"left"}}
# The database out of reach and a body that stops are tested elsewhere; no error has the last.
ELSEWHERE = {Code.TRY_AGAIN, Code.TOO_SLOW, Code.CONFLICT}


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, marks=pytest.mark.breaks_the_books) if code == Code.FAILED else code
        for code in CASES
    ],
)
def test_each_error_has_its_code(world, code):
    status, request = CASES[code]
    response = request(world)
    assert response.status_code == status
    body = json.loads(response.content)
    assert body["code"] == code
    assert body["error"]
    denies = response.wsgi_request.method == "POST" and response.wsgi_request.path == HOLDS
    assert set(body) == {"error", "code"} | ({"allowed"} if denies else set()) | FACTS.get(code, set())
    assert response["Cache-Control"] == "no-store"
    assert response["X-Request-ID"].startswith("req_")
    assert ("Retry-After" in response) == (status == 429)
    if code == Code.FAILED:
        transaction.set_rollback(True)


def test_every_code_is_tested():
    assert set(CASES) | ELSEWHERE == set(Code)
    assert set(USUAL.values()) <= set(Code)


def test_every_error_has_a_code_that_the_schema_names():
    errors, codes = [BillingError], set()
    while errors:
        error = errors.pop()
        errors += error.__subclasses__()
        codes.add(error.code)
    assert codes - {""} <= set(Code.values)
    # A missing right has its code from the right. `topup-session` answers without codes.
    rights = set(Right.values) - {"topup"}
    assert {f"may_not_{right}" for right in rights} <= set(Code.values)


@pytest.mark.parametrize("path", ALL)
def test_only_an_error_of_a_deciding_endpoint_says_that_nothing_is_allowed(as_anonymous, path):
    response = write(as_anonymous, path, {})
    assert response.status_code in (400, 403, 405)
    assert ("allowed" in response.json()) == (path in (DEDUCT, HOLDS))


@pytest.mark.parametrize("path", [QUOTE, REFUND, HOLDS, CAPTURE, VOID, EXTEND, GRANTS, GRANT_VOID, BUDGETS])
def test_a_caller_without_a_credential_that_counts_has_none(world, path):
    """A bearer does not count where only products may ask; one that is not valid is wrong where it would."""
    for caller in (world.anonymous, world.user, Caller({"Authorization": "Bearer nonsense"})):
        response = write(caller, path, GOOD[path])
        assert (response.status_code, response.json()["code"]) == (403, "no_credentials")
    assert available_of("usr_1") == 1000
    response = Caller({"Authorization": "Bearer nonsense"}).get(FUNDS)
    assert (response.status_code, response.json()["code"]) == (401, "wrong_credentials")


def test_a_list_of_holds_decides_nothing(as_service, as_anonymous):
    assert "allowed" not in as_service.get(HOLDS).json()
    assert "allowed" not in as_anonymous.get(HOLDS).json()
    # Another method than the two is not known to be a read.
    assert as_service.client.put(HOLDS, headers=as_service.headers).json()["allowed"] is False


def test_the_sentences_of_the_first_six_endpoints_stay_alone(as_service, world):
    assert as_service.deduct(feature="none").json() == {
        "allowed": False,
        "error": "Unknown feature: none",
    }
    assert world.user.get("/io/wallet/balance", user_id="usr_2").json() == {
        "error": "You may read your own wallet only"
    }
