"""The canonical text: SQL and Python write the same bytes, whatever the texts and the session's settings."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection, transaction

from wallet.seals import formats
from wallet.seals.formats import BOOLEAN, BYTES, INTEGER, JSON, TEXT, TIME, Column, Part, Rows

HOSTILE = [
    None,
    "",
    "-",
    "0:",
    "4:",
    "12:ab",
    "--",
    "1:-",
    " ",
    "'; DROP TABLE x; --",
    "%s %% {} {row}",
    "\\x00 \\ \\\\",
    "a\nb\tc\r",
    "für 5:7 – 金 🪙 e\u0301",
    "\ufeff\u200b\u202e",
    "x" * 100_000,
    "🪙" * 50_000,
]
TIMES = [
    None,
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 59, 59, 123_456, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]
VALUES = [
    *((TEXT, "text", text) for text in HOSTILE),
    *((INTEGER, "bigint", number) for number in (None, 0, -1, 7, 2**63 - 1, 1 - 2**63)),
    *((BOOLEAN, "boolean", bit) for bit in (None, True, False)),
    *((BYTES, "bytea", octets) for octets in (None, b"", b"\x00\xff\\x", bytes(range(256)))),
    *((TIME, "timestamptz", time) for time in TIMES),
]


def query(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone()[0]


def with_values(columns):
    """A FROM clause with one row `x`, whose columns have these types."""
    return f"FROM (SELECT {', '.join(f'%s::{type} AS {name}' for name, type in columns)}) AS x"


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "type", "value"), VALUES, ids=lambda each: repr(each)[:30])
def test_sql_and_python_write_the_same(kind, type, value):
    column = Column("v", kind)
    if kind is TIME and value:
        assert query("SELECT %s::timestamptz", value) == value
    written = query(f"SELECT convert_to({column.as_sql('x')}, 'UTF8') {with_values([('v', type)])}", value)
    assert bytes(written) == column.text(value)


@pytest.mark.django_db
def test_json_is_as_postgresql_writes_it():
    column = Column("v", JSON)
    read = query("SELECT %s::jsonb::text", '{"b": 1.50,"a":[null, "\\u00fc:-", 1e3]}')
    assert column.text(read) == query(
        f"SELECT convert_to({column.as_sql('x')}, 'UTF8') {with_values([('v', 'jsonb')])}", read
    )


@pytest.mark.django_db
def test_a_row_ends_with_the_digest_of_its_words():
    rows = Rows((Column("a"), Column("n", INTEGER)), words=(Column("w"), Column("v")))
    for word in HOSTILE:
        row = {"a": "1:a", "n": 5, "w": word, "v": "5:"}
        source = with_values([("a", "text"), ("n", "int"), ("w", "text"), ("v", "text")])
        written = query(f"SELECT convert_to({rows.as_sql('x')}, 'UTF8') {source}", *row.values())
        assert bytes(written) == rows.text(row)
        digest = hashlib.sha256(Column("w").text(word) + b"2:5:").hexdigest()
        assert rows.text(row) == b"3:1:a1:564:" + digest.encode()
        with_digest = rows.as_sql("x", words_digest="sha256(%s)")
        other = query(f"SELECT {with_digest} {source}", b"", b"", *row.values())
        assert other.endswith(hashlib.sha256(b"").hexdigest())


@pytest.mark.django_db
@pytest.mark.breaks_the_books
def test_parts_follow_as_lists():
    """The parts are sorted by their octets, whatever the collation of the database."""
    part = Part("p", "wallet_rate", "{part}.credits > {row}.n", Rows((Column("label"),)), order="label")
    rows = Rows((Column("n", INTEGER),), parts=(part,))
    labels = ["b", "B", "ä", "-", "", "a", "Z"]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM wallet_rate")
        cursor.executemany(
            "INSERT INTO wallet_rate (feature, label, credits, unit, active) VALUES (%s, %s, 7, '', true)",
            [(f"f{number}", label) for number, label in enumerate(labels)],
        )
    row = {"n": 5, "p": [{"label": label} for label in sorted(labels, key=str.encode)]}
    text = f"SELECT convert_to({rows.as_sql('x')}, 'UTF8') {with_values([('n', 'int')])}"
    assert bytes(query(text, 5)) == rows.text(row)
    assert bytes(query(text, 8)) == rows.text({"n": 8, "p": []}) == b"1:81:0"
    connection.check_constraints()


@pytest.mark.django_db
def test_digests_and_hashes_are_the_same():
    texts = [text for text in HOSTILE if text is not None]
    digest = formats.digest_sql("t", order="n")
    found = query(f"SELECT {digest} FROM unnest(%s::text[]) WITH ORDINALITY AS x (t, n)", texts)
    assert bytes(found) == formats.digest_of(text.encode() for text in texts)
    none = query(f"SELECT {digest} FROM unnest('{{}}'::text[]) WITH ORDINALITY AS x (t, n)")
    assert bytes(none) == formats.digest_of([])
    for wallet, before in [("usr_1", None), ("ü:1-", b"\x00\xfe")]:
        hash = formats.hash_sql(
            "%s::text", "%s::text", "%s::text", "%s::text", "encode(%s, 'hex')", "encode(%s, 'hex')"
        )
        facts: list[Any] = [1, wallet, 0, 12, b"\x01" * 32, before]
        doubled = [value for fact in facts for value in (fact, fact)]
        assert bytes(query(f"SELECT {hash}", *doubled)) == formats.hash_of(*facts)


def test_a_hash_depends_on_each_fact():
    facts: list[Any] = [1, "usr_1", 0, 12, b"\x01" * 32, None]
    others: list[Any] = [2, "usr_2", 1, 13, b"\x02" * 32, b"\x03" * 32]
    changed = [[*facts[:at], other, *facts[at + 1 :]] for at, other in enumerate(others)]
    assert len({formats.hash_of(*each) for each in [facts, *changed]}) == len(facts) + 1


SETTINGS = [
    "DateStyle = 'German, DMY'",
    "TimeZone = 'Asia/Kathmandu'",
    "IntervalStyle = 'sql_standard'",
    "bytea_output = 'escape'",
    "extra_float_digits = -15",
    "lc_numeric = 'C'",
    "standard_conforming_strings = on",
    "client_encoding = 'LATIN1'",
]


@pytest.mark.django_db
@pytest.mark.parametrize("setting", SETTINGS)
def test_no_setting_of_the_session_changes_the_text(setting):
    kinds = [("time", TIME, "timestamptz"), ("bytes", BYTES, "bytea"), ("json", JSON, "jsonb")]
    kinds += [("bit", BOOLEAN, "boolean"), ("number", INTEGER, "bigint"), ("word", TEXT, "text")]
    rows = Rows(tuple(Column(name, kind) for name, kind, _ in kinds))
    source = with_values([(name, type) for name, _, type in kinds])
    values = [TIMES[3], b"\x00\xff\\", '{"a": 1.5}', True, -5, "für"]
    written = f"SELECT encode(sha256(convert_to({rows.as_sql('x')}, 'UTF8')), 'hex') {source}"
    before = query(written, *values)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL {setting}")
        assert query(written, *values) == before
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_functions_of_another_schema_are_not_used():
    column = Column("v")
    text = f"SELECT {column.as_sql('x')} FROM (SELECT 'abc'::text AS v) AS x"
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA forged")
        cursor.execute(
            "CREATE FUNCTION forged.octet_length(text) RETURNS integer LANGUAGE sql AS 'SELECT 1000'"
        )
        cursor.execute("SET LOCAL search_path = forged, pg_catalog, public")
        assert query(text) == "1000:abc"  # So the path below is needed.
        with formats.fixed_path():
            assert query(text) == "3:abc"
        assert query(text) == "1000:abc"
        cursor.execute("DROP SCHEMA forged CASCADE")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (TEXT, 5),
        (TEXT, b"a"),
        (INTEGER, "5"),
        (INTEGER, True),
        (INTEGER, 5.0),
        (BOOLEAN, 1),
        (TIME, "2026-01-01"),
        (TIME, datetime(2026, 1, 1)),  # noqa: DTZ001
        (BYTES, "ab"),
        (TEXT, "\ud800"),
    ],
)
def test_a_value_of_another_type_is_refused(kind, value):
    with pytest.raises((TypeError, ValueError)):
        Column("v", kind).text(value)


def test_a_time_in_another_zone_is_the_same_moment():
    column = Column("v", TIME)
    moment = TIMES[3]
    assert moment is not None
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    assert column.text(moment.astimezone(kathmandu)) == column.text(moment)
