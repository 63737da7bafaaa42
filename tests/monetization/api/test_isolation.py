"""Two creators never see each other's rows, by any endpoint: every address of the URL conf is walked."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver

from accounts import api_keys
from accounts.models import ApiKey, User
from monetization import tips
from monetization.models import Sponsor, Subscription, Tip
from tests.monetization.conftest import (
    KEYS,
    SPONSOR_BODY,
    SPONSORS,
    SUBSCRIPTION_BODY,
    SUBSCRIPTIONS,
    TIP,
    TIP_BODY,
    Browser,
    CreatorsCaller,
    caller_with,
    in_days,
    key_of,
)

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Route:
    """An address with a star for each id, and its methods without HEAD."""

    pattern: str
    methods: tuple[str, ...]


def routes_under(resolver: URLResolver, prefix: str, so_far: str = "") -> list[Route]:
    """Every address the URL conf answers that begins so."""
    found: list[Route] = []
    for entry in resolver.url_patterns:
        route = so_far + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found += routes_under(entry, prefix, route)
        elif route.startswith(prefix):
            found.append(Route("/" + starred(entry, route), methods_of(entry)))
    return found


def starred(entry: URLPattern, route: str) -> str:
    for name, converter in entry.pattern.converters.items():
        for kind in ("identifier", "uuid", "str", "slug", "int"):
            route = route.replace(f"<{kind}:{name}>", "*")
        assert "<" not in route, f"{converter} is not known here"
    return route


def methods_of(entry: URLPattern) -> tuple[str, ...]:
    actions: dict[str, str] = entry.callback.actions  # type: ignore[attr-defined]
    return tuple(method.upper() for method in actions if method != "head")


ROUTES = [route for prefix in ("mail/v1/", "v1/") for route in routes_under(get_resolver(), prefix)]

# Facts of one creator that stand nowhere in another's answers.
SECRETS = ("treasure", "JPY", "usr_creator")


@pytest.fixture
def treasures(api: CreatorsCaller, creator: User) -> dict[str, Any]:
    """One of everything for the creator, each easy to recognise; their ids."""
    sponsor = SPONSOR_BODY | {
        "sponsor_name": "treasure sponsor",
        "logo_url": "https://treasure.example.com/logo.png",
        "active_from": in_days(-1),
        "active_until": in_days(9),
        "currency": "JPY",
    }
    subscription = SUBSCRIPTION_BODY | {
        "subscriber_email": "treasure@example.com",
        "plan": "treasure monthly",
        "currency": "JPY",
        "stripe_subscription_id": "sub_shared",
    }
    tip = TIP_BODY | {
        "email": "treasure@example.com",
        "name": "treasure",
        "message": "treasure",
        "currency": "JPY",
        "stripe_payment_id": "pi_shared",
    }
    for path, body in ((SPONSORS, sponsor), (SUBSCRIPTIONS, subscription), (TIP, tip)):
        for _ in range(2):  # The second time for the key, which keeps the first answer.
            assert api.post(path, body, headers={"Idempotency-Key": "treasure"}).status_code in (200, 201)
    tips.refund(tip_id=Tip.objects.get().pk, amount_cents=100, key="treasure", actor="test")
    api_keys.issue(owner=creator, name="treasure", scopes=["read"], within_limit=False)
    return {
        "identifier": [Sponsor.objects.get().pk, Subscription.objects.get().pk, Tip.objects.get().pk],
        "uuid": [str(key.pk) for key in ApiKey.objects.filter(owner=creator)],
    }


def everything_of(user: User) -> dict[str, list[Any]]:
    """Each row of any model that belongs to this user, with all it holds."""
    found = {}
    for model in apps.get_models():
        owners = {field.name for field in model._meta.get_fields()} & {"creator", "owner"}
        for owner in owners:
            rows = model._default_manager.filter(**{owner: user}).order_by("pk")
            found[model.__name__] = list(rows.values())
    return found


def asked_of(route: Route, ids: dict[str, Any]) -> list[tuple[str, str]]:
    """Every method of a route, for every id that could stand in it."""
    some = [one for many in ids.values() for one in many]
    paths = [route.pattern.replace("*", one) for one in some] if "*" in route.pattern else [route.pattern]
    return [(method, path) for method in route.methods for path in paths]


BODIES: tuple[dict[str, Any], ...] = (
    {"status": "cancelled", "plan": "annual", "amount_cents": 5},
    SPONSOR_BODY,
    SUBSCRIPTION_BODY | {"stripe_subscription_id": "sub_shared"},
    TIP_BODY | {"stripe_payment_id": "pi_shared"},
    {"name": "mine", "scopes": ["read"]},
)


def tell_tales(response: Any, treasures: dict[str, Any]) -> list[str]:
    """What of the creator's stands in an answer or its headers."""
    text = response.content.decode() + json.dumps(dict(response.headers))
    ids = [one for many in treasures.values() for one in many]
    return [secret for secret in (*SECRETS, *ids) if secret in text]


def test_the_walk_knows_every_address():
    patterns = {route.pattern for route in ROUTES}
    assert {path.replace("/mail/v1/", "/v1/") for path in patterns} == {
        path for path in patterns if path.startswith("/v1/")
    }
    assert {
        SPONSORS,
        SPONSORS + "/*",
        SUBSCRIPTIONS,
        SUBSCRIPTIONS + "/*",
        TIP,
        KEYS,
        KEYS + "/*",
    } <= patterns


@pytest.mark.parametrize("who", ["key", "browser", "token"])
def test_a_stranger_sees_and_changes_nothing_by_any_address(who, creator, stranger, as_creator, treasures):
    callers = {
        "key": lambda: caller_with(key_of(stranger, *api_keys.SCOPES)),
        "browser": lambda: Browser(stranger),
        "token": lambda: as_creator(stranger),
    }
    caller = callers[who]()
    before = everything_of(creator)
    asked = 0
    for route in ROUTES:
        for method, path in asked_of(route, treasures):
            for body in BODIES if method in ("POST", "PATCH", "PUT") else (None,):
                response = caller.ask(method, path, body)
                asked += 1
                assert response.status_code < 500, (method, path, body)
                if "*" in route.pattern:
                    assert response.status_code in (400, 401, 404), (method, path, body)
                found = tell_tales(response, treasures)
                assert not found, (method, path, body, found)
    assert asked > 40
    assert everything_of(creator) == before


def test_a_stranger_finds_nothing_by_query_either(stranger, treasures):
    callers = [caller_with(key_of(stranger, *api_keys.SCOPES)), Browser(stranger)]
    names = ("id", "ids", "creator", "creator_id", "owner", "user", "user_id", "email", "q", "search")
    values = ["usr_creator", *(one for many in treasures.values() for one in many)]
    for caller in callers:
        for path in [route.pattern for route in ROUTES if "GET" in route.methods]:
            for value in values:
                response = caller.get(path, **dict.fromkeys(names, value))
                assert not tell_tales(response, treasures), (path, value)


def test_a_stranger_revokes_nothing_by_query(creator, stranger, treasures):
    for key_id in treasures["uuid"]:
        assert Browser(stranger).delete(f"{KEYS}?id={key_id}").status_code == 404
    assert not ApiKey.objects.filter(owner=creator).exclude(revoked_at=None).exists()


def test_a_strangers_stripe_ids_and_keys_are_their_own(api, strangers_api, treasures):
    """The same ids and Idempotency-Keys as another creator's make new rows: nothing can be probed for."""
    for path, body in (
        (SPONSORS, SPONSOR_BODY),
        (SUBSCRIPTIONS, SUBSCRIPTION_BODY | {"stripe_subscription_id": "sub_shared"}),
        (TIP, TIP_BODY | {"stripe_payment_id": "pi_shared"}),
    ):
        response = strangers_api.post(path, body, headers={"Idempotency-Key": "treasure"})
        assert response.status_code in (200, 201)
        assert not tell_tales(response, treasures)


def test_the_creator_does_see_it_all(api, browser, treasures):
    """The walk has teeth: whatever can be read shows the creator something that a stranger must not see."""
    for route in ROUTES:
        if "GET" in route.methods:
            caller = browser if "keys" in route.pattern else api
            assert tell_tales(caller.get(route.pattern), treasures), route
