"""Which characters are printable, what shows nothing, and where a text is cut: alike on each Python."""

import hashlib
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.text import (
    beginning,
    ending,
    initials,
    is_id,
    is_printable,
    is_printable_in_ids,
    is_text,
    is_visible,
    one_line,
)
from tests.source import PRODUCTION, ROOT, python_files

CHARACTERS = [chr(code_point) for code_point in range(0x110000)]
REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# Python 3.11 knows Unicode 14; these came with Unicode 15.
NEW_FORMAT_CHARACTERS = {chr(code_point) for code_point in range(0x13439, 0x13440)}


def refused_in_text(character):
    """The rule in other words. In these categories, Unicode never adds or removes a character."""
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Co", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in REORDERING
        or ord(character) & 0xFFFE == 0xFFFE
        or 0xFDD0 <= ord(character) <= 0xFDEF
    )


def refused_in_ids(character):
    return (
        refused_in_text(character)
        or unicodedata.category(character) == "Cf"
        or character in NEW_FORMAT_CHARACTERS
        or (unicodedata.category(character) == "Zs" and character != " ")
    )


def test_the_rule_holds_for_each_code_point():
    assert [each for each in CHARACTERS if is_printable(each) == refused_in_text(each)] == []
    assert [each for each in CHARACTERS if is_printable_in_ids(each) == refused_in_ids(each)] == []


def test_each_version_of_python_answers_the_same():
    def digest(rule):
        return hashlib.sha256(bytes(rule(each) for each in CHARACTERS)).hexdigest()[:16]

    assert digest(is_printable) == "418eadcb0ab0efad"
    assert digest(is_printable_in_ids) == "91549304354cc245"


PASS_IN_BOTH = " ~\xa1\u0378\u0301\ufe0f\ufffd\U0001fa77\U00013440\U000e0100\U000e0fff"
PASS_IN_TEXT = (
    "\xa0\xad\u0600\u061c\u200b\u200c\u200d\u200e\u200f\u2060\u2064\u206a\u3000\ufeff\U00013439\U000e0041"
)
PASS_NOWHERE = (
    "\0\t\n\r\x1f\x7f\x80\x85\x9f\u2028\u2029\u202a\u202e\u2066\u2069\ud800\udfff\ue000\uf8ff"
    "\ufdd0\ufdef\ufffe\uffff\U0001fffe\U0008ffff\U000effff\U000f0000\U000ffffd\U000fffff\U00100000\U0010ffff"
)


@pytest.mark.parametrize(
    ("characters", "in_text", "in_ids"),
    [(PASS_IN_BOTH, True, True), (PASS_IN_TEXT, True, False), (PASS_NOWHERE, False, False)],
)
def test_characters_at_the_edges_of_the_ranges(subtests, characters, in_text, in_ids):
    for character in characters:
        with subtests.test(character=f"U+{ord(character):04X}"):
            assert is_printable(f"a{character}b") is in_text
            assert is_printable_in_ids(f"a{character}b") is in_ids


SHOW_NOTHING = [
    "",
    " ",
    "\u3164",
    "\u115f\u1160",
    "\uffa0",
    "\u2800",
    "\u3000 \xa0",
    "\u200b\u200c\u200d\u2060\ufeff\xad",
    "\ufe0f",
    "\U000e0041",
    "\U000e0100",
    "\u034f",
    "\u0301",
    "\u20e3",
    "\u0903",  # a mark with a width of its own
    "\u2065",  # not assigned, and ignorable
    "\U0001d159",
    "\U00013441",
    "\u3164 \u0301\u2800",
]


@pytest.mark.parametrize("text", SHOW_NOTHING, ids=ascii)
def test_what_shows_nothing_is_neither_text_nor_id(text):
    assert not is_visible(text)
    assert not is_text(text)
    assert not is_id(text)
    assert is_visible(f"{text}a")


@pytest.mark.parametrize(
    "text",
    [
        "각",
        "ㄱ",
        "홍길동",
        "علی‌رضا",
        "می‌خواهم",
        "क्‍ष",
        "👩‍🚀",
        "🩷",
        "🇩🇪",
        "1️⃣",
        "🏴\U000e0067\U000e007f",
        "e\u0301",
        "-",
        "\u0378",
    ],
)
def test_a_name_in_any_script_is_text(text):
    assert is_text(text)


# --- Cutting ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cluster", ["👩‍🚀", "👨‍👩‍👧‍👦", "🇩🇪", "1️⃣", "e\u0301", "क्‍ष", "ی\u200c", "👋🏽", "\r\n"]
)
def test_a_cluster_is_whole_or_gone(cluster):
    text = f"ab{cluster}{cluster}cd"
    for length in range(len(text) + 2):
        for part, rest in (
            (beginning(text, length), text.removeprefix(beginning(text, length))),
            (ending(text, length), text.removesuffix(ending(text, length))),
        ):
            assert len(part) <= length
            assert len(part) + len(rest) == len(text)
            assert part.count(cluster) + rest.count(cluster) == 2 or length < len(cluster)


def test_a_cluster_longer_than_the_limit_is_cut_inside():
    stacked = "a" + "\u0301" * 300
    assert beginning(stacked, 200) == "a" + "\u0301" * 199
    assert ending(stacked, 200) == "\u0301" * 200
    assert beginning("xy" + stacked, 200) == "xy"


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("acme & sons", "A&"),
        ("Globex", "G"),
        ("👩‍🚀 news", "👩‍🚀N"),
        ("🇩🇪 post", "🇩🇪P"),
        ("e\u0301cole normale", "E\u0301N"),
        ("नमस्ते दुनिया", "नदु"),
    ],
)
def test_initials_are_whole_clusters(name, letters):
    assert initials(name) == letters


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.integers(1, 45))
def test_a_line_fits_and_is_one_line(text, length):
    line = one_line(text, length)
    assert len(line) <= length
    assert len(line.splitlines()) <= 1
    assert is_printable(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("علی‌رضا", "علی‌رضا"),
        ("李\u3000小龍  x", "李\u3000小龍  x"),
        ("👩‍🚀\n\t Ada\u202e", "👩‍🚀 Ada"),
        (" a \r\n b\u2028", "a b"),
    ],
)
def test_a_line_keeps_what_a_name_may_contain(text, line):
    assert one_line(text) == line
    assert one_line(text, len(line)) == line


# --- One rule ---------------------------------------------------------------------------------------


def test_no_other_module_asks_pythons_own_tables():
    words = ("isprintable", "category(", "unicodedata.name")
    files = python_files(*PRODUCTION, "sandbox", "demo")
    assert [path for path in files if any(word in path.read_text() for word in words)] == []


def test_no_template_cuts_inside_a_cluster():
    cutting = ("truncatechars", "|slice:")
    files = [path for path in ROOT.joinpath("templates").rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if any(word in path.read_text() for word in cutting)] == []
