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
    CAPTURE,
    DEDUCT,
    EXTEND,
    FUNDS,
    GOOD,
    HOLD,
    HOLDS,
    QUOTE,
    REFUND,
    VOID,
)
from tests.wallet.holding import many_holds, past_hold
from wallet.api.codes import USUAL, Code
from wallet.books import ledger

pytestmark = pytest.mark.django_db

ARTICLE = {"user_id": "usr_1", "feature": "blog.article.generate"}


@pytest.fixture
def world(as_service, as_user, as_anonymous, give, article_rate, settings):
    """Callers, and a user with a charge of 3, an open hold and an overdue one."""
    give("usr_1", 1000)
    as_service.deduct(count=3, idempotency_key="article:1")

    return SimpleNamespace(
        service=as_service,
        limited=product(feature_prefixes=["blog."]),
        reader=product(rights=["read"]),
        charger=product(rights=["charge"]),
        user=as_user("usr_1"),
        anonymous=as_anonymous,
        hold=as_service.hold(key="chat:1").json()["holdId"],
        overdue=past_hold(key="past:1").pk,
        settings=settings,
    )


def ended(world, verb: str, then: str, **body):
    """A hold is ended, and then asked for something else."""
    world.service.end(world.hold, verb)
    return world.service.end(world.hold, then, **body)


def slowed(world):
    world.settings.WALLET_WRITES_PER_MINUTE = 1
    answers = [world.service.refund(charge_key="none") for _ in range(4)]
    return next(answer for answer in answers if answer.status_code == 429)


def crowded(world):
    many_holds(199)
    return world.service.hold()


def given_back(world):
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
    Code.MAY_NOT_READ: (403, lambda w: w.charger.get(HOLDS, user_id="usr_1")),
    Code.MAY_NOT_CHARGE: (403, lambda w: w.reader.hold()),
    Code.MAY_NOT_REFUND: (403, lambda w: w.charger.refund(charge_key="article:1")),
    Code.FEATURE_NOT_ALLOWED: (403, lambda w: w.limited.hold(feature="mail.send")),
    Code.NOT_YOURS: (403, lambda w: w.user.get(HOLDS, user_id="usr_2")),
    Code.NOT_FOUND: (404, lambda w: w.service.end("hold_1", "void")),
    Code.WRONG_METHOD: (405, lambda w: w.service.get(REFUND)),
    Code.KEY_REUSED: (409, lambda w: w.service.hold(key="chat:1", count=2)),
    Code.KEY_ENDED: (409, lambda w: w.service.hold(key="past:1")),
    Code.HOLD_CAPTURED: (409, lambda w: ended(w, "capture", "void")),
    Code.HOLD_VOIDED: (409, lambda w: ended(w, "void", "capture")),
    Code.HOLD_EXPIRED: (409, lambda w: w.service.end(w.overdue, "capture")),
    Code.HOLD_TOO_OLD: (409, lambda w: w.service.end(w.hold, "extend", ttl_seconds=604_800)),
    Code.NOTHING_LEFT: (409, given_back),
    Code.TOO_MANY: (409, crowded),
    Code.TOO_LARGE: (413, lambda w: w.service.post(QUOTE, ARTICLE | {"x": "x" * 70_000})),
    Code.NOT_JSON: (415, lambda w: w.service.post(QUOTE, ARTICLE, content_type="text/plain")),
    Code.SLOW_DOWN: (429, slowed),
    Code.FAILED: (500, broken),
}
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
    facts = {"refundable"} if code == Code.NOTHING_LEFT else set()
    assert set(body) == {"error", "code"} | ({"allowed"} if denies else set()) | facts
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
    response = as_anonymous.post(path, {})
    assert response.status_code in (400, 403, 405)
    assert ("allowed" in response.json()) == (path in (DEDUCT, HOLDS))


@pytest.mark.parametrize("path", [QUOTE, REFUND, HOLDS, CAPTURE, VOID, EXTEND])
def test_a_caller_without_a_credential_that_counts_has_none(world, path):
    """A bearer does not count where only products may ask; one that is not valid is wrong where it would."""
    for caller in (world.anonymous, world.user, Caller({"Authorization": "Bearer nonsense"})):
        response = caller.post(path.replace(HOLD, f"{HOLDS}/{world.hold}"), GOOD[path])
        assert (response.status_code, response.json()["code"]) == (403, "no_credentials")
    assert ledger.available_of("usr_1") == 1000 - 3 - 1
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
