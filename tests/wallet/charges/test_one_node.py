"""On a cluster, a charge asks the node that has its wallet, and no other."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import connection

from accounts.models import ServiceKey
from accounts.service_keys import find_service_key
from foundation.errors import BillingError
from tests import clusters
from tests.wallet.granted import grant, set_budget
from wallet import identifiers
from wallet.books.funds import funds_of
from wallet.charges import batches, deductions, give_backs, holds, quotes
from wallet.charges.batches import Item
from wallet.prices import rates

FEATURE = "blog.article.generate"
WALLETS = ("usr_1", "usr_2", "usr_3", "usr_4", "usr_5", "usr_6")


@pytest.fixture
def service(
    transactional_db: None, article_rate: str, give: Callable[..., Any], service_key: str
) -> ServiceKey:
    """The blog's key as a process remembers it; each wallet of WALLETS has 100 credits."""
    if not clusters.nodes():
        pytest.skip("this database is on one server")
    for user_id in WALLETS:
        give(user_id, 100)
    find_service_key(service_key)
    rates.price(FEATURE, 1)
    return find_service_key(service_key)


def charge(service: ServiceKey, user_id: str, count: int = 1, key: str = "") -> None:
    deductions.deduct(service=service, user_id=user_id, feature=FEATURE, count=count, key=key)


def charge_again(service: ServiceKey, user_id: str) -> None:
    charge(service, user_id, key="again")
    charge(service, user_id, key="again")


def charge_too_much(service: ServiceKey, user_id: str) -> None:
    with suppress(BillingError):
        charge(service, user_id, count=1000, key="too much")


def charge_at_another_price(service: ServiceKey, user_id: str) -> None:
    rates._remembered[FEATURE] = 7
    charge(service, user_id)


def charge_many(service: ServiceKey, user_id: str) -> None:
    items = [Item(user_id, FEATURE, 1, f"many:{number % 4}") for number in range(6)]
    made = batches.deduct_all(service=service, items=items)
    assert all(isinstance(each, deductions.Charge) for each in made), made
    assert batches.deduct_all(service=service, items=items)  # All of them are replays.


def hold(service: ServiceKey, user_id: str, key: str) -> str:
    facts: dict[str, Any] = {"feature": FEATURE, "count": 3, "ttl_seconds": 60}
    return holds.authorize(service=service, user_id=user_id, key=key, **facts).hold.pk


def hold_and_capture(service: ServiceKey, user_id: str) -> None:
    key = identifiers.hold_id()
    hold_id = hold(service, user_id, key)
    hold(service, user_id, key)  # A replay.
    charge(service, user_id)
    holds.capture(service=service, user_id=user_id, hold_id=hold_id, count=2)
    give_backs.refund(service=service, user_id=user_id, charge={"hold_id": hold_id}, key=key)


def hold_and_void(service: ServiceKey, user_id: str) -> None:
    holds.void(user_id=user_id, hold_id=hold(service, user_id, identifiers.hold_id()), product="blog")


def look(service: ServiceKey, user_id: str) -> None:
    funds_of(user_id)
    quotes.quote(service=service, user_id=user_id, feature=FEATURE)


PATHS = [
    charge,
    charge_again,
    charge_too_much,
    charge_at_another_price,
    charge_many,
    hold_and_capture,
    hold_and_void,
    look,
]


@contextmanager
def asked() -> Iterator[dict[str, list[str]]]:
    """What the entered node asks others during the block: statements by their addresses."""
    nodes: defaultdict[str, list[str]] = defaultdict(list)

    def note(notice: Any) -> None:
        if (notice.message_primary or "").startswith("issuing"):
            nodes[notice.message_detail.split()[2]].append(notice.message_primary)

    connection.ensure_connection()
    session = connection.connection
    session.add_notice_handler(note)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET citus.log_remote_commands = on")
        yield nodes
        with connection.cursor() as cursor:
            cursor.execute("SET citus.log_remote_commands = off")
    finally:
        session.remove_notice_handler(note)


def node_of(user_id: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nodeport::text FROM pg_dist_shard_placement"
            " WHERE shardid = get_shard_id_for_distribution_column('wallet_wallet', %s)",
            [user_id],
        )
        return cursor.fetchone()[0]


def on_both_workers() -> dict[str, str]:
    """A wallet of each worker, by the worker's port."""
    return {node_of(user_id): user_id for user_id in WALLETS}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("wallet", ["plain", "granted", "with a budget"])
def test_a_charge_asks_the_node_of_its_wallet(service: ServiceKey, path: Any, wallet: str) -> None:
    wallets = on_both_workers()
    assert len(wallets) == 2, wallets
    for user_id in wallets.values():
        if wallet == "granted":
            grant(user_id, 5)
        elif wallet == "with a budget":
            set_budget(90, user_id)
        path(service, user_id)  # So the connections are there, and the statements are prepared.
    for port, user_id in wallets.items():
        with asked() as nodes:
            path(service, user_id)
        others = {node: statements for node, statements in nodes.items() if not node.endswith(f":{port}")}
        assert not others, f"asked for a wallet of {port}"
