"""A change in percent, held against exact fractions, and the cases that have no percentage."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.comparisons import Change, change
from foundation.money import credits

THAN = "the 30 days before"
AMOUNTS = st.integers(min_value=-(10**6), max_value=10**6)


@given(now=AMOUNTS, then=st.integers(min_value=1, max_value=10**6))
def test_a_percentage_is_rounded_half_up(now, then):
    change_of = change(now, then, than=THAN)
    percent = (abs(Decimal(now - then)) * 100 / then).quantize(Decimal(1), ROUND_HALF_UP)
    sign = "+" if now > then else "\N{MINUS SIGN}"
    if now == then:
        assert change_of == Change()
    elif percent:
        assert change_of.words == f"{sign}{percent:,}% on the 30 days before"
    else:
        assert change_of.words == f"{'Up' if now > then else 'Down'} by under 1% on the 30 days before"


@pytest.mark.parametrize(
    ("now", "then", "words"),
    [
        (7, None, ""),
        (0, 0, ""),
        (-3, -3, ""),
        (7, 0, "New: none in the 30 days before"),
        (-7, 0, "New: none in the 30 days before"),
        (0, -7, "Up from −7 credits in the 30 days before"),
        (-8, -7, "Down from −7 credits in the 30 days before"),
        (0, 7, "−100% on the 30 days before"),
        (2510, 10, "+25,000% on the 30 days before"),
        (201, 200, "+1% on the 30 days before"),
        (200, 201, "Down by under 1% on the 30 days before"),
    ],
)
def test_the_words_of_a_change(now, then, words):
    assert change(now, then, than=THAN, write=credits).words == words


@pytest.mark.parametrize(
    ("better", "up", "down"), [("more", "good", "bad"), ("less", "bad", "good"), ("", "", "")]
)
def test_the_tone_says_whether_the_change_is_good(better, up, down):
    assert change(2, 1, than=THAN, better=better).tone == up
    assert change(1, 2, than=THAN, better=better).tone == down
    assert change(2, 0, than=THAN, better=better).tone == up
    assert change(2, 2, than=THAN, better=better).tone == ""
