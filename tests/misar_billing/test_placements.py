"""Every table can be placed on a cluster: what models and the database must be for that (decision 0044)."""

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.test.utils import isolate_apps

from foundation.database import cluster
from foundation.database.cluster import Placement
from misar_billing import placements
from wallet.models import Wallet

OURS = ("accounts", "wallet", "monetization")
# The columns of each unique index, and of each foreign key with those that it names.
UNIQUE = """
SELECT class.relname, index.relname,
       array(SELECT attname::text FROM pg_attribute WHERE attrelid = class.oid AND attnum = ANY (its.indkey))
  FROM pg_index its JOIN pg_class class ON class.oid = its.indrelid
  JOIN pg_class index ON index.oid = its.indexrelid
 WHERE its.indisunique AND class.relnamespace = 'public'::regnamespace
"""
FOREIGN_KEYS = """
SELECT its.conname, here.relname, there.relname,
       array(SELECT attname::text FROM unnest(its.conkey) WITH ORDINALITY AS key (number, place)
               JOIN pg_attribute ON attrelid = here.oid AND attnum = number ORDER BY place),
       array(SELECT attname::text FROM unnest(its.confkey) WITH ORDINALITY AS key (number, place)
               JOIN pg_attribute ON attrelid = there.oid AND attnum = number ORDER BY place)
  FROM pg_constraint its JOIN pg_class here ON here.oid = its.conrelid
  JOIN pg_class there ON there.oid = its.confrelid
 WHERE its.contype = 'f' AND here.relnamespace = 'public'::regnamespace
"""


def rows(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def places():
    return placements.of_tables(cluster.tables())


def test_a_table_of_a_wallet_is_distributed_without_being_named():
    found = placements.of_models()
    assert {table for table, place in found.items() if place.placement == Placement.DISTRIBUTED} >= {
        "wallet_wallet",
        "wallet_entry",
        "wallet_hold",
        "wallet_lot",
        "wallet_budget",
        "wallet_seal",
    }
    assert found["wallet_wallet"].column == "user_id"
    assert found["wallet_entry"].column == "wallet_id"


def test_a_new_model_with_a_wallet_is_distributed():
    with isolate_apps("wallet"):

        class Voucher(models.Model):  # noqa: DJ008 (it has no rows)
            wallet = models.ForeignKey(Wallet, models.PROTECT)

            class Meta:
                app_label = "wallet"

        assert placements.place_of(Voucher) == cluster.Place(Placement.DISTRIBUTED, "wallet_id")


@pytest.mark.django_db
def test_every_table_is_placed_once():
    tables = cluster.tables()
    assert sorted(places()) == tables
    assert set(placements.of_models()) <= set(tables)


@pytest.mark.django_db
def test_every_unique_index_of_a_distributed_table_has_the_wallet():
    placed = places()
    without = [
        (table, index)
        for table, index, columns in rows(UNIQUE)
        if placed[table].placement == Placement.DISTRIBUTED and placed[table].column not in columns
    ]
    assert without == []


@pytest.mark.django_db
def test_every_foreign_key_of_a_distributed_table_has_the_wallet():
    """So no check of a foreign key asks another node, and none waits for another kind of table."""
    placed, wrong = places(), []
    for name, here, there, columns, named in rows(FOREIGN_KEYS):
        kinds = {placed[here].placement, placed[there].placement}
        if Placement.DISTRIBUTED not in kinds:
            # A reference table is on every node, and names nothing that is not.
            if placed[here].placement == Placement.REFERENCE and kinds != {Placement.REFERENCE}:
                wrong.append(name)
            continue
        pairs = set(zip(columns, named, strict=True))
        if kinds != {Placement.DISTRIBUTED} or (placed[here].column, placed[there].column) not in pairs:
            wrong.append(name)
    assert wrong == []


@pytest.mark.django_db
def test_every_law_of_the_models_about_a_distributed_table_names_the_wallet():
    """A unique constraint that a migration has yet to make is seen here, in the model."""
    without = []
    for model in apps.get_models():
        place = placements.place_of(model)
        if place.placement != Placement.DISTRIBUTED:
            continue
        for constraint in model._meta.constraints:
            if isinstance(constraint, models.UniqueConstraint) and not _names(
                model, constraint, place.column
            ):
                without.append(constraint.name)
        without += [
            f"{model.__name__}.{field.name}"
            for field in model._meta.local_concrete_fields
            if field.unique and not field.primary_key and field.column != place.column
        ]
    assert without == []


def _names(model, constraint, column):
    return any(model._meta.get_field(name).column == column for name in constraint.fields)


@pytest.mark.django_db
def test_every_local_table_of_ours_numbers_its_rows_on_the_coordinator():
    """Without the trigger, rows that are written through two workers are not numbered in their order."""
    numbered = {
        table
        for (table,) in rows(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%\\_is\\_numbered\\_here'"
        )
    }
    ours = [model for model in apps.get_models() if model._meta.app_label in OURS]
    wanted = {
        model._meta.db_table
        for model in ours
        if isinstance(model._meta.pk, models.BigAutoField)
        and placements.place_of(model).placement == Placement.LOCAL
    }
    # On a cluster, tables of third parties have the trigger as well.
    assert numbered & {model._meta.db_table for model in ours} == wanted


@pytest.mark.single_server("it refuses a server that is no cluster")
@pytest.mark.django_db(transaction=True)
def test_a_server_without_citus_is_refused():
    with pytest.raises(CommandError, match="has no Citus"):
        call_command("distribute", "--dry-run")
