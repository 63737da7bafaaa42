"""The platform's fee and the smallest units of currencies: arithmetic alone, no database."""

from fractions import Fraction
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from foundation import money
from monetization import fees

amounts = st.integers(1, 10**9)
rates = st.integers(0, 10_000)


# The same examples each time: a failure comes from a change of the code.
examples = settings(derandomize=True, database=None, deadline=None, max_examples=300)

# --- The fee ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gross", "bps", "fee"),
    [
        (50, 500, 3),
        (70, 500, 4),
        (90, 500, 5),
        (499, 500, 25),
        (500, 500, 25),
        (510, 500, 26),
        (530, 500, 27),
        (999, 500, 50),
        (100_000, 500, 5000),
        (375, 360, 14),  # 13.5: a float says 13.
        (500, 400, 20),
        (500, 300, 15),
        (500, 200, 10),
        (500, 0, 0),
        (500, 10_000, 500),
        (1, 5000, 1),
        (1, 4999, 0),
    ],
)
def test_the_fee_is_rounded_half_up(gross, bps, fee):
    assert fees.split(gross, fee_bps=bps) == fees.Split(gross, fee, gross - fee)


@examples
@given(gross=amounts, bps=rates)
def test_the_parts_add_up_and_none_is_negative(gross, bps):
    parts = fees.split(gross, fee_bps=bps)
    assert parts.fee_cents + parts.net_cents == gross
    assert 0 <= parts.fee_cents <= gross


@examples
@given(gross=amounts, bps=rates)
def test_the_fee_is_never_further_off_than_half_a_unit(gross, bps):
    exact = Fraction(gross * bps, 10_000)
    off = fees.split(gross, fee_bps=bps).fee_cents - exact
    assert Fraction(-1, 2) < off <= Fraction(1, 2)


@examples
@given(gross=amounts, bps=st.integers(0, 9999))
def test_a_higher_rate_never_costs_less(gross, bps):
    assert fees.split(gross, fee_bps=bps).fee_cents <= fees.split(gross, fee_bps=bps + 1).fee_cents


# --- What goes back ---------------------------------------------------------------------------------


def returned_by(parts, *, fee, gross):
    """What of the fee goes back with each part of a refund."""
    back, gone = [], 0
    for part in parts:
        before = fees.returned(fee, refunded_cents=gone, gross_cents=gross)
        gone += part
        back.append(fees.returned(fee, refunded_cents=gone, gross_cents=gross) - before)
    return back


@pytest.mark.parametrize(
    ("gross", "fee", "parts", "back"),
    [
        (999, 50, [333, 333, 333], [17, 16, 17]),
        (999, 50, [999], [50]),
        (500, 25, [250, 250], [13, 12]),
        (500, 25, [1] * 500, None),
        (100_000, 5000, [33_333, 33_333, 33_334], [1667, 1666, 1667]),
        (50, 0, [25, 25], [0, 0]),
        (50, 50, [25, 25], [25, 25]),
    ],
)
def test_the_parts_of_a_refund_give_back_exactly_the_fee(gross, fee, parts, back):
    found = returned_by(parts, fee=fee, gross=gross)
    assert sum(found) == fee
    if back is not None:
        assert found == back


@st.composite
def partitions(draw):
    """A gross amount in parts that come to the whole, and a fee."""
    gross = draw(st.integers(1, 200_000))
    cuts = draw(st.sets(st.integers(1, gross), max_size=12)) | {0, gross}
    edges = sorted(cuts)
    parts = [after - before for before, after in pairwise(edges)]
    return gross, fees.split(gross, fee_bps=draw(rates)).fee_cents, parts


@examples
@given(partitions())
def test_any_partition_gives_back_exactly_the_fee_and_never_more_on_the_way(partition):
    gross, fee, parts = partition
    gone = given_back = 0
    for part, back in zip(parts, returned_by(parts, fee=fee, gross=gross), strict=True):
        gone, given_back = gone + part, given_back + back
        assert 0 <= back <= part
        assert given_back <= fee
        # Each time it is the fair share of what is gone, to half a unit.
        assert abs(given_back - Fraction(fee * gone, gross)) <= Fraction(1, 2)
    assert given_back == fee


# --- Currencies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "code", "text"),
    [
        (500, "USD", "5.00 USD"),
        (5, "USD", "0.05 USD"),
        (0, "EUR", "0.00 EUR"),
        (-5, "EUR", "−0.05 EUR"),
        (123456789, "EUR", "1,234,567.89 EUR"),
        (500, "JPY", "500 JPY"),
        (-12345, "JPY", "−12,345 JPY"),
        (1250, "KWD", "1.250 KWD"),
        (10, "BHD", "0.010 BHD"),
        (500, "UGX", "5.00 UGX"),
    ],
)
def test_an_amount_is_written_with_its_currencys_decimals(units, code, text):
    assert money.amount(units, code) == text


@examples
@given(units=st.integers(-(10**12), 10**12), code=st.sampled_from(sorted(money.EXPONENTS)))
def test_no_unit_is_lost_in_writing(units, code):
    number = money.amount(units, code).removesuffix(f" {code}").replace(",", "").replace("−", "-")
    assert Fraction(number) * 10 ** money.EXPONENTS[code] == units


def test_exponents_are_as_stripe_counts():
    for code in "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split():
        assert money.EXPONENTS[code] == 0
    for code in "BHD JOD KWD OMR TND".split():
        assert (money.EXPONENTS[code], money.step_of(code)) == (3, 10)
    # Named zero-decimal and yet counted in hundredths, whole ones only.
    for code in "UGX ISK".split():
        assert (money.EXPONENTS[code], money.step_of(code)) == (2, 100)
    for code in "USD EUR GBP INR HUF TWD JPY".split():
        assert money.step_of(code) == 1


@pytest.mark.parametrize("code", ["usd", "Usd", "US", "USDT", "", "XXX", "BTC", "U$D", " USD"])
def test_what_is_no_upper_case_code_of_the_list_is_no_currency(code):
    assert not money.is_currency(code)


def test_every_code_is_three_upper_case_letters_and_has_one_exponent():
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in money.EXPONENTS)
    listed = money._TWO_DECIMALS + " " + money._NO_DECIMALS + " " + money._THREE_DECIMALS
    assert len(listed.split()) == len(set(listed.split())) == len(money.EXPONENTS)
