"""The server against which recordings are made and replayed."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.wallet.api.recorded.player import Player
from wallet.payments import stripe_gateway


@pytest.fixture
def player(
    live_server: Any, one_window: None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Player]:
    """A player for a server with an empty database. A call to Stripe that fails is tried once."""
    monkeypatch.setattr(stripe_gateway, "RETRIES_MAX", 0)
    monkeypatch.setattr(stripe_gateway, "BUSY_SECONDS_MAX", 0)
    player = Player(urlsplit(live_server.url).netloc, request)
    yield player
    player.act_unlock_wallet()
