"""A clock that tests move, so that grants end without waiting."""

import pytest

from tests.wallet.clock import Clock


@pytest.fixture
def clock(db: None) -> Clock:
    """It stands at midnight of 1 January 2020."""
    return Clock()
