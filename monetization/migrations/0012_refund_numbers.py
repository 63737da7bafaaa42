"""Number the refunds, so that seals can cover them, and let their words change only by a redaction.

Refunds are recorded meanwhile, by this release and the one before. Each operation is a transaction of its own and
locks the refunds briefly. If this migration is interrupted, it can run again.
"""

from pathlib import Path
from typing import Any

from django.db import migrations, models

HERE = Path(__file__).parent
NUMBERS, REVERSE_NUMBERS = (HERE / "refund_numbers.sql").read_text().split("--- reverse:")
REDACTIONS, REVERSE_REDACTIONS = (HERE / "refund_redactions.sql").read_text().split("--- reverse:")
REFUNDS_AT_A_TIME = 1000
ADD_CHECK = (
    "ALTER TABLE monetization_refund DROP CONSTRAINT IF EXISTS monetization_refund_is_numbered,"
    " ADD CONSTRAINT monetization_refund_is_numbered CHECK (number IS NOT NULL) NOT VALID"
)
DROP_CHECK = "ALTER TABLE monetization_refund DROP CONSTRAINT IF EXISTS monetization_refund_is_numbered"
VALIDATE_CHECK = "ALTER TABLE monetization_refund VALIDATE CONSTRAINT monetization_refund_is_numbered"
DROP_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS monetization_refund_number_once"
BUILD_INDEX = (
    "CREATE UNIQUE INDEX CONCURRENTLY monetization_refund_number_once ON monetization_refund (number)"
)


def number(apps: Any, schema_editor: Any) -> None:
    """Number the old refunds. Their ids begin with their times, so the numbers follow the times."""
    after = ""
    with schema_editor.connection.cursor() as cursor:
        while after is not None:
            cursor.execute(
                """
                WITH batch AS (
                     SELECT id FROM monetization_refund WHERE id > %s ORDER BY id LIMIT %s),
                numbered AS (
                     UPDATE monetization_refund refund SET number = nextval('monetization_refund_number')
                       FROM (SELECT id FROM batch ORDER BY id) AS batch
                      WHERE refund.id = batch.id AND refund.number IS NULL)
                SELECT max(id) FROM batch
                """,
                [after, REFUNDS_AT_A_TIME],
            )
            (after,) = cursor.fetchone()


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("monetization", "0011_laws_for_the_runtime_role"),
        ("accounts", "0020_redactions"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(sql=NUMBERS, reverse_sql=REVERSE_NUMBERS)],
            state_operations=[
                migrations.AddField(
                    model_name="refund",
                    name="number",
                    field=models.BigIntegerField(
                        db_default=models.Func(
                            models.Value("monetization_refund_number"), function="nextval"
                        ),
                        editable=False,
                    ),
                )
            ],
        ),
        migrations.RunPython(number, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                # An interrupted build leaves an index that is not valid.
                migrations.RunSQL(sql=[DROP_INDEX, BUILD_INDEX], reverse_sql=[DROP_INDEX])
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="refund",
                    constraint=models.UniqueConstraint(
                        fields=("number",), name="monetization_refund_number_once"
                    ),
                )
            ],
        ),
        # With a valid check, SET NOT NULL does not read the table under its lock.
        migrations.RunSQL(sql=ADD_CHECK, reverse_sql=DROP_CHECK),
        migrations.RunSQL(sql=VALIDATE_CHECK, reverse_sql=migrations.RunSQL.noop),
        migrations.RunSQL(sql=REDACTIONS, reverse_sql=REVERSE_REDACTIONS),
    ]
