"""`check --deploy` warns if the service's database role could drop the laws of the books."""

from typing import Any

import pytest
from django.db import OperationalError, connection

from misar_billing.checks import role_owns_no_books


def warnings() -> list[tuple[str | None, str]]:
    return [(each.id, each.msg) for each in role_owns_no_books(None)]


def test_a_superuser_is_warned_of(db):
    [(number, words)] = warnings()
    assert number == "misar.W001"
    assert "is a superuser" in words


@pytest.mark.parametrize("role", ["runtime", "operator", "auditor"])
def test_the_three_roles_are_not(roles, acting_as, role):
    with acting_as(role):
        assert warnings() == []


def test_an_owner_and_a_member_of_the_owner_are_warned_of(roles, acting_as):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE wallet_entry OWNER TO {roles.operator}")
        cursor.execute(f"GRANT {roles.operator} TO {roles.auditor}")
    for role in ("operator", "auditor"):
        with acting_as(role):
            [(number, words)] = warnings()
        assert number == "misar.W001"
        assert "may act as the owner" in words


def test_a_database_out_of_reach_is_said(db, monkeypatch):
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(connection, "cursor", refuse)
        found = warnings()
    assert found == [("misar.W002", "The database role could not be checked: connection refused")]
