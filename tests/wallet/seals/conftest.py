"""Sealed books."""

from typing import Any

import pytest

from tests.wallet.seals import samples


@pytest.fixture
def sealed(transactional_db: None, give: Any, article_rate: str) -> None:
    """Books with an entry of each kind, all sealed."""
    samples.full_books(give)
