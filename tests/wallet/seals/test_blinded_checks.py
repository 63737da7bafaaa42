"""What would make the check of the seals see less than there is."""

import pytest
from django.db import Error, connection

from tests.wallet.entries import sql
from tests.wallet.seals import history
from tests.wallet.seals.history import found
from wallet.seals import sealing
from wallet.seals.checking import ENTRIES, ROWS

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]


@pytest.fixture
def sealed(give, article_rate):
    history.of_wallets(give)
    history.of_tables()
    sealing.seal()
    assert found() == []
    connection.check_constraints()
    sql("SET LOCAL session_replication_role = replica")


def test_a_seal_of_an_unknown_format(sealed):
    """Its text would be that of nothing, whatever the entries say."""
    sql(
        "UPDATE wallet_seal seal SET format = 99, entries_digest = sha256(convert_to(repeat('-', ("
        " SELECT count(*)::int FROM wallet_entry e WHERE e.wallet_id = seal.wallet_id"
        " AND sequence > after AND e.sequence <= seal.sequence)), 'UTF8')) WHERE wallet_id = 'usr_1'"
    )
    sql(
        "UPDATE wallet_seal SET hash = sha256(convert_to('2:99'"
        " || octet_length(wallet_id) || ':' || wallet_id"
        " || octet_length(after::text) || ':' || after || octet_length(sequence::text) || ':' || sequence"
        " || '64:' || encode(entries_digest, 'hex') || '-', 'UTF8')) WHERE wallet_id = 'usr_1' AND after = 0"
    )
    assert ENTRIES in {law for law, *_ in found()}


def test_a_table_seal_of_an_unknown_format(sealed):
    sql("UPDATE wallet_tableseal SET format = 99 WHERE table_name = 'accounts_act'")
    assert ROWS in {law for law, *_ in found()}


def test_a_seal_without_a_digest(sealed):
    sql("ALTER TABLE wallet_seal ALTER entries_digest DROP NOT NULL")
    sql(
        "UPDATE wallet_seal SET entries_digest = NULL, hash = sha256(convert_to('1:1'"
        " || octet_length(wallet_id) || ':' || wallet_id || octet_length(after::text) || ':' || after"
        " || octet_length(sequence::text) || ':' || sequence || '--', 'UTF8'))"
        " WHERE wallet_id = 'usr_1' AND after = 0"
    )
    assert found() != []


def test_a_policy_that_hides_seals(sealed):
    sql("ALTER TABLE wallet_seal ENABLE ROW LEVEL SECURITY")
    sql("CREATE POLICY hides ON wallet_seal USING (wallet_id <> 'usr_1')")
    sql("CREATE ROLE reader_of_seals")
    sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_of_seals")
    sql("SET LOCAL ROLE reader_of_seals")
    with pytest.raises(Error, match="row-level security"):
        found()
