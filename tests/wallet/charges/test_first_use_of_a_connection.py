"""A connection that prepares the statements of a charge for one that fails goes on working."""

from typing import Any

import pytest
from django.db import connection

from accounts.service_keys import find_service_key
from wallet.charges import deductions


@pytest.mark.django_db(transaction=True)
def test_a_connection_whose_first_charge_is_a_replay_charges_later(give, service_key, article_rate):
    give("usr_1", 10)
    asked: Any = {"service": find_service_key(service_key), "user_id": "usr_1", "feature": article_rate}
    first = deductions.deduct(**asked, key="a")
    connection.close()  # The next connection has prepared nothing.
    assert deductions.deduct(**asked, key="a").entry == first.entry
    assert not deductions.deduct(**asked, key="b").replayed
