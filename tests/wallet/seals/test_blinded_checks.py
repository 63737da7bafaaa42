"""What would make the check of the seals see less than there is."""

from hashlib import sha256

import pytest
from django.db import Error, connection

from foundation.operators import snapshot
from tests.wallet.entries import sql
from tests.wallet.resting import rest
from tests.wallet.seals import history
from tests.wallet.seals.history import found
from wallet.seals import export, formats, heads, sealing
from wallet.seals.checking import CHANGED, HEADS, KEYS

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]


@pytest.fixture
def sealed(give, article_rate):
    history.of_wallets(give)
    history.of_tables()
    sealing.seal()
    assert found() == []
    connection.check_constraints()
    rest()


def hash_the_first_seal_anew(*, format):
    """Let the hash of usr_1's first seal fit what the seal says now."""
    [(sequence, digest)] = sql(
        "SELECT sequence, entries_digest FROM wallet_seal WHERE wallet_id = 'usr_1' AND after = 0"
    )
    facts = (str(format), "usr_1", "0", str(sequence), digest and bytes(digest).hex(), None)
    hash = sha256(b"".join(formats.value_of(fact) for fact in facts)).digest()
    sql("UPDATE wallet_seal SET hash = %s WHERE wallet_id = 'usr_1' AND after = 0", hash)


def test_a_seal_of_an_unknown_format(sealed):
    """Its text would be that of nothing, whatever the entries say."""
    for after, sequence in sql("SELECT after, sequence FROM wallet_seal WHERE wallet_id = 'usr_1'"):
        sql(
            "UPDATE wallet_seal SET format = 99, entries_digest = %s"
            " WHERE wallet_id = 'usr_1' AND after = %s",
            sha256(b"-" * (sequence - after)).digest(),
            after,
        )
    hash_the_first_seal_anew(format=99)
    assert CHANGED in {law for law, *_ in found()}


def test_a_table_seal_of_an_unknown_format(sealed):
    sql("UPDATE wallet_tableseal SET format = 99 WHERE table_name = 'accounts_act'")
    assert CHANGED in {law for law, *_ in found()}


def test_a_seal_without_a_digest(sealed):
    sql("ALTER TABLE wallet_seal ALTER entries_digest DROP NOT NULL")
    sql("UPDATE wallet_seal SET entries_digest = NULL WHERE wallet_id = 'usr_1' AND after = 0")
    hash_the_first_seal_anew(format=1)
    assert found() != []


def test_a_policy_that_hides_seals(sealed):
    sql("ALTER TABLE wallet_seal ENABLE ROW LEVEL SECURITY")
    sql("CREATE POLICY hides ON wallet_seal USING (wallet_id <> 'usr_1')")
    sql("CREATE ROLE reader_of_seals")
    sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_of_seals")
    sql("SET LOCAL ROLE reader_of_seals")
    with pytest.raises(Error, match="row-level security"):
        found()


# --- Names that mean something else -----------------------------------------------------------------

LEFT_AND_RIGHT = [("varchar", "varchar"), ("varchar", "text"), ("text", "varchar")]


def replace_equals():
    """Make operators that fit the texts of tables better than those of PostgreSQL. All of them say no."""
    sql("CREATE SCHEMA forged")
    for left, right in LEFT_AND_RIGHT:
        sql(f"CREATE FUNCTION forged.never({left}, {right}) RETURNS boolean LANGUAGE sql AS 'SELECT false'")
        sql(f"CREATE OPERATOR public.= (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = forged.never)")
    assert sql("SELECT count(*) FROM wallet_seal WHERE wallet_id = 'usr_1'::varchar") == [(0,)]


def all_that_is_exported():
    return [(each.name, len(list(each.seals))) for each in export._wallets(export.Scope())]


def test_an_operator_that_fits_better_than_that_of_postgresql(sealed):
    kept, exported = list(heads.of_books()), all_that_is_exported()
    assert exported == [("usr_1", 1), ("usr_2", 1)]
    sql("UPDATE wallet_entry SET reason = 'nicer' WHERE id = (SELECT min(id) FROM wallet_entry)")
    sql("DELETE FROM wallet_seal WHERE left(wallet_id, 5) ~ 'usr_2'")
    replace_equals()
    named = {(law, name) for law, name, _ in found(heads=kept)}
    assert {law for law, _ in named} == {CHANGED, HEADS}
    assert [head.name for head in heads.of_books() if head.kind == "wallet"] == ["usr_1"]
    assert all_that_is_exported() == [("usr_1", 1), ("usr_2", 0)]
    sealing.seal()
    assert all_that_is_exported() == exported


def test_the_path_of_before_is_put_back_for_other_queries(sealed):
    sql("SET LOCAL search_path = public, pg_catalog")
    sealing.seal()
    found()
    list(heads.of_books())
    all_that_is_exported()
    assert sql("SHOW search_path") == [("public, pg_catalog",)]


@pytest.mark.django_db(transaction=True)
def test_a_table_of_another_schema_is_not_read_in_a_snapshot():
    """Neither a setting of the role nor a temporary table puts it there."""
    sql("CREATE TEMPORARY TABLE wallet_wallet (LIKE public.wallet_wallet)")
    sql("SET search_path = pg_temp, public")
    try:
        with snapshot():
            assert sql("SELECT 'wallet_wallet'::regclass = 'public.wallet_wallet'::regclass") == [(True,)]
    finally:
        sql("DROP TABLE pg_temp.wallet_wallet")
        sql("RESET search_path")


# --- Keys that no seal covers -----------------------------------------------------------------------


@pytest.mark.parametrize("key", [0, -7])
def test_a_row_with_a_key_below_one_is_named_and_never_sealed(sealed, key):
    sql(
        "INSERT INTO wallet_ratechange (id, feature, label, credits, unit, active, actor, created_at)"
        " SELECT %s, feature, label, 1, unit, active, actor, created_at FROM wallet_ratechange LIMIT 1",
        key,
    )
    assert found() == [(KEYS, "wallet_ratechange", "1 row")]
    assert sealing.seal().rows == 0
    assert found() == [(KEYS, "wallet_ratechange", "1 row")]
