"""The check that bad requests move nothing."""

import pytest

from wallet.books import ledger
from wallet.models import Entry, Hold, TopUp


@pytest.fixture
def nothing_moves(request, give, article_rate):
    """A user has 10 credits, and still has them when the test is over."""
    give("usr_1", 10)
    yield
    if not request.node.get_closest_marker("breaks_the_books"):
        assert ledger.available_of("usr_1") == 10
        assert Entry.objects.count() == 1
        assert TopUp.objects.count() == 1
        assert not Hold.objects.exists()
