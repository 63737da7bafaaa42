"""The inventories of triggers and functions are those that the migrations make."""

import os

import pytest

from tests import guards


@pytest.mark.breaks_the_books  # An old inventory is a violation.
@pytest.mark.django_db
@pytest.mark.parametrize("app", guards.APPS)
def test_an_inventory_is_what_the_migrations_make(app):
    if os.environ.get("WRITE_GUARDS"):
        guards.write(app)
    made = guards.text_of(app, guards.found(guards.names_of(app)))
    assert guards.path_of(app).read_text() == made, "python -m tests.guards writes the inventories again"
