"""A service key that may do everything, and the check that bad requests move nothing."""

import pytest

from accounts.models import Right
from tests.conftest import product
from tests.wallet.clock import Clock
from wallet.books.funds import available_of
from wallet.models import Budget, Entry, Hold, Lot, TopUp


@pytest.fixture
def as_service(db):
    """The blog, with a key that may grant too."""
    return product(rights=Right.values)


@pytest.fixture
def clock(db):
    """The database's clock as the wallet reads it: it stands still until the test moves it."""
    return Clock()


@pytest.fixture
def nothing_moves(request, give, article_rate):
    """A user has 10 credits, and still has them when the test is over."""
    give("usr_1", 10)
    yield
    if not request.node.get_closest_marker("breaks_the_books"):
        assert available_of("usr_1") == 10
        assert Entry.objects.count() == 1
        assert TopUp.objects.count() == 1
        for model in (Hold, Lot, Budget):
            assert not model.objects.exists()
