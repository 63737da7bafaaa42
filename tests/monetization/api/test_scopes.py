"""Who may do what: every cell of the documents' scope table, and of our own additions (contract 18, 22)."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.urls import get_resolver
from django.utils import timezone

from accounts import api_keys, sso
from accounts.models import ApiKey, User
from accounts.service_keys import issue_service_key
from monetization import sponsors, subscriptions
from monetization.models import Sponsor, Subscription, Tip
from tests.accounts.issuer import Issuer, body, signed
from tests.factories import UserFactory
from tests.monetization.api.test_isolation import routes_under
from tests.monetization.conftest import (
    BAD_KEY,
    SPONSOR_BODY,
    SPONSORS,
    STATS,
    SUBSCRIPTION_BODY,
    SUBSCRIPTIONS,
    TIP,
    TIP_BODY,
    TIPS,
    Browser,
    CreatorsCaller,
    caller_with,
    key_of,
    refused,
)

pytestmark = pytest.mark.django_db

READ = frozenset({"monetization", "read"})
WRITE = frozenset({"monetization"})
ANY = frozenset(api_keys.SCOPES)


@dataclass(frozen=True)
class Endpoint:
    """A row of the table: what is asked, and who may."""

    method: str
    path: str
    body: dict | None
    scopes: frozenset[str]
    session: bool = True
    good: int = 200

    def __str__(self) -> str:
        return f"{self.method} {self.path.removeprefix('/mail/v1/monetization/')}"

    def ask(self, caller: CreatorsCaller, sponsor: Sponsor, subscription: Subscription):
        path = self.path.format(sponsor=sponsor.pk, subscription=subscription.pk)
        return caller.ask(self.method, path, self.body)

    @property
    def is_unsafe(self) -> bool:
        return self.method != "GET"


TABLE = (
    Endpoint("GET", SPONSORS, None, READ),
    Endpoint("POST", SPONSORS, SPONSOR_BODY, WRITE, good=201),
    Endpoint("DELETE", SPONSORS + "/{sponsor}", None, WRITE),
    Endpoint("GET", SUBSCRIPTIONS, None, READ),
    Endpoint("POST", SUBSCRIPTIONS, SUBSCRIPTION_BODY, WRITE, good=201),
    Endpoint("PATCH", SUBSCRIPTIONS + "/{subscription}", {"status": "past_due"}, WRITE),
    Endpoint("GET", TIPS, None, READ),
    Endpoint("POST", TIP, TIP_BODY, frozenset({"monetization", "send:transactional", "send"}), session=False),
    Endpoint("GET", STATS, None, ANY),
)
EVERY_ROW = pytest.mark.parametrize("endpoint", TABLE, ids=str)
RELEVANT = ("monetization", "read", "write", "send", "send:transactional", "send:marketing")


@pytest.fixture
def rows(creator) -> tuple[Sponsor, Subscription]:
    """A placement to cancel and a subscription to change."""
    now = timezone.now()
    sponsor = sponsors.place(
        creator=creator,
        sponsor_name="Acme",
        logo_url="https://acme.example.com/logo.png",
        target_url="https://acme.example.com",
        position="header",
        active_from=now,
        active_until=now + timedelta(days=1),
    )
    subscription = subscriptions.record(
        creator=creator, subscriber_email="a@example.com", plan="monthly", amount_cents=799, currency="USD"
    )
    return sponsor, subscription


def nothing_moved(rows: tuple[Sponsor, Subscription]) -> None:
    assert Sponsor.objects.get().cancelled_at is None
    assert Subscription.objects.get().status == "active"
    assert not Tip.objects.exists()


# --- The cells --------------------------------------------------------------------------------------


@EVERY_ROW
@pytest.mark.parametrize("scope", RELEVANT)
def test_a_key_goes_as_far_as_its_scope(creator, rows, endpoint, scope):
    response = endpoint.ask(caller_with(key_of(creator, scope)), *rows)
    if scope in endpoint.scopes:
        assert response.status_code == endpoint.good
    else:
        refused(response, 403, "API key does not have 'monetization' scope")
        nothing_moved(rows)


@EVERY_ROW
def test_a_key_of_another_trade_is_told_which_scope_it_lacks(creator, rows, endpoint):
    unrelated = [scope for scope in api_keys.SCOPES if scope not in RELEVANT]
    response = endpoint.ask(caller_with(key_of(creator, *unrelated)), *rows)
    if endpoint.scopes == ANY:
        assert response.status_code == 200
    else:
        refused(response, 403, "API key does not have 'monetization' scope")
        nothing_moved(rows)


@EVERY_ROW
def test_one_scope_among_others_is_enough(creator, rows, endpoint):
    scopes = ["analytics", "monetization", "contacts"]
    assert endpoint.ask(caller_with(key_of(creator, *scopes)), *rows).status_code == endpoint.good


@EVERY_ROW
def test_a_browsers_session_needs_no_scope_but_may_not_tip(browser, rows, endpoint):
    response = endpoint.ask(browser, *rows)
    if endpoint.session:
        assert response.status_code == endpoint.good
    else:
        refused(response, 401, BAD_KEY)
        nothing_moved(rows)


@EVERY_ROW
def test_an_sso_token_is_a_session(as_creator, creator, rows, endpoint):
    response = endpoint.ask(as_creator(creator), *rows)
    if endpoint.session:
        assert response.status_code == endpoint.good
    else:
        refused(response, 401, BAD_KEY)
        nothing_moved(rows)


@EVERY_ROW
def test_without_a_credential_it_is_401_with_the_documented_sentence(rows, endpoint):
    response = endpoint.ask(CreatorsCaller({}), *rows)
    refused(response, 401, BAD_KEY)
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Cache-Control"] == "no-store"
    assert "X-RateLimit-Limit" not in response
    nothing_moved(rows)


@EVERY_ROW
def test_what_changes_something_needs_the_browsers_csrf_token(creator, rows, endpoint):
    response = endpoint.ask(Browser(creator, forgets_token=True), *rows)
    if not endpoint.is_unsafe:
        assert response.status_code == 200
        return
    assert response.status_code == 403
    assert set(response.json()) == {"success", "error"}
    assert response.json()["error"].startswith("CSRF")
    nothing_moved(rows)


@EVERY_ROW
def test_a_wrong_csrf_token_is_none(creator, rows, endpoint):
    browser = Browser(creator)
    browser.headers = {"X-CSRFToken": "d" * 32}
    assert endpoint.ask(browser, *rows).status_code == (403 if endpoint.is_unsafe else 200)


@EVERY_ROW
def test_a_key_needs_no_csrf_token_even_beside_a_cookie(creator, rows, endpoint):
    both = Browser(creator, forgets_token=True)
    both.headers = {"Authorization": f"Bearer {key_of(creator, 'monetization')}"}
    assert endpoint.ask(both, *rows).status_code == endpoint.good


@EVERY_ROW
def test_a_bad_bearer_is_not_saved_by_a_good_cookie(browser, rows, endpoint):
    browser.headers = browser.headers | {"Authorization": "Bearer msk_" + "0" * 64}
    refused(endpoint.ask(browser, *rows), 401, BAD_KEY)


@EVERY_ROW
def test_a_service_key_is_no_credential_here(rows, endpoint):
    product = CreatorsCaller({"x-wallet-service-key": issue_service_key(product="blog")[1]})
    refused(endpoint.ask(product, *rows), 401, BAD_KEY)


# --- Bad keys ---------------------------------------------------------------------------------------

A_KEY = "msk_" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer msk_",
        f"Bearer {A_KEY}",
        f"Bearer {A_KEY[:-1]}",
        f"Bearer {A_KEY}0",
        f"Bearer {A_KEY[:-1]}\x00",
        f"Bearer {A_KEY[:-1]}ü",
        f"Bearer wsk_{A_KEY[4:]}",
        f"Basic {A_KEY}",
        f"Token {A_KEY}",
        A_KEY,
        "Bearer nonsense",
        "Bearer a.b.c",
        "Bearer " + "x" * 10_000,
    ],
)
def test_a_bad_key_is_401_with_the_documented_sentence(sso_secret, header):
    refused(CreatorsCaller({"Authorization": header}).get(STATS), 401, BAD_KEY)


def test_the_word_bearer_is_read_in_any_case(creator):
    secret = key_of(creator, "monetization")
    for word in ("bearer", "BEARER"):
        assert CreatorsCaller({"Authorization": f"{word} {secret}"}).get(STATS).status_code == 200


def test_a_key_in_the_query_or_another_header_is_none(creator):
    secret = key_of(creator, "monetization")
    refused(CreatorsCaller({}).get(STATS, key=secret, api_key=secret, access_token=secret), 401, BAD_KEY)
    refused(CreatorsCaller({"X-API-Key": secret}).get(STATS), 401, BAD_KEY)


def test_a_right_key_in_the_wrong_case_is_wrong(creator):
    secret = key_of(creator, "monetization")
    refused(caller_with("msk_" + secret[4:].upper()).get(STATS), 401, BAD_KEY)


@EVERY_ROW
def test_a_revoked_key_is_401_from_the_next_request_on(creator, rows, endpoint):
    secret = key_of(creator, "monetization")
    assert caller_with(secret).get(STATS).status_code == 200
    api_keys.revoke(owner=creator, key_id=ApiKey.objects.get().pk)
    refused(endpoint.ask(caller_with(secret), *rows), 401, BAD_KEY)
    nothing_moved(rows)


@EVERY_ROW
def test_an_expired_key_is_401(creator, rows, endpoint):
    secret = key_of(creator, "monetization", expires_at=timezone.now() - timedelta(seconds=1))
    refused(endpoint.ask(caller_with(secret), *rows), 401, BAD_KEY)
    nothing_moved(rows)


@EVERY_ROW
def test_a_user_who_was_shut_out_is_401_by_any_credential(creator, as_creator, rows, endpoint):
    callers = [caller_with(key_of(creator, "monetization")), Browser(creator), as_creator(creator)]
    User.objects.filter(pk=creator.pk).update(is_active=False)
    for caller in callers:
        refused(endpoint.ask(caller, *rows), 401, BAD_KEY)
    nothing_moved(rows)


def test_it_is_not_told_which_scope_a_bad_key_lacks(creator):
    secret = key_of(creator, "contacts", expires_at=timezone.now() - timedelta(seconds=1))
    refused(caller_with(secret).post(TIP, TIP_BODY), 401, BAD_KEY)


# --- SSO tokens -------------------------------------------------------------------------------------


def test_a_user_is_made_for_a_good_token_once(token):
    caller = caller_with(token("usr_new"))
    assert [caller.get(STATS).status_code for _ in range(2)] == [200, 200]
    user = User.objects.get(pk="usr_new")
    assert (user.plan_id, user.is_staff, user.is_superuser, user.email) == ("free", False, False, "")
    assert not user.check_password("")


def test_no_user_is_made_for_a_bad_one(token):
    refused(caller_with(token("usr_new", secret="another secret, also long enough")).get(STATS), 401, BAD_KEY)
    refused(caller_with(token("usr_new", exp=1)).get(STATS), 401, BAD_KEY)
    assert not User.objects.exists()


def test_a_token_never_speaks_for_staff(token):
    UserFactory(misar_id="staff:root", is_staff=True)
    refused(caller_with(token("staff:root")).get(STATS), 401, BAD_KEY)


@pytest.fixture
def silent_issuer(settings):
    """An issuer that was never heard of: its keys are out of reach."""
    sso.key_set.cache_clear()
    issuer = Issuer()
    issuer.answer = body(b"", status=500)
    settings.SSO_JWT_SECRET, settings.SSO_JWKS_URL = "", issuer.url
    yield issuer
    issuer.stop()
    sso.key_set.cache_clear()


@EVERY_ROW
def test_where_the_issuers_keys_are_out_of_reach_it_is_503_not_401(silent_issuer, rows, endpoint):
    response = endpoint.ask(caller_with(signed("rsa-1")), *rows)
    refused(response, 503, "Access tokens cannot be checked right now; please try again.")
    assert int(response["Retry-After"]) > 0
    nothing_moved(rows)


def test_an_api_key_needs_no_issuer(silent_issuer, api):
    assert api.get(STATS).status_code == 200
    assert silent_issuer.requests == 0


# --- Rights come before the rest --------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", [row for row in TABLE if row.body], ids=str)
def test_a_key_without_the_scope_learns_nothing_of_its_body(creator, rows, endpoint):
    caller = caller_with(key_of(creator, "contacts"))
    path = endpoint.path.format(sponsor=rows[0].pk, subscription=rows[1].pk)
    send = caller.patch if endpoint.method == "PATCH" else caller.post
    assert send(path, raw=b"{broken").status_code == 403
    assert send(path, raw=b"a=b", content_type="application/x-www-form-urlencoded").status_code == 403


def test_the_scope_table_is_whole():
    """A new endpoint of the creators must get its row here."""
    routes = routes_under(get_resolver(), "mail/v1/monetization/")
    known = {(row.method, row.path.replace("{sponsor}", "*").replace("{subscription}", "*")) for row in TABLE}
    assert {(method, route.pattern) for route in routes for method in route.methods} == known
