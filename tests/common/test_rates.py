"""Frames per second, as files and people write them."""

from fractions import Fraction

import pytest

from asl.common.errors import AslError
from asl.common.rates import parse_rate, snap_rate


def test_rates_are_snapped_to_those_of_cameras():
    rates = {25: 25, 23.976: Fraction(24000, 1001), 29.97: Fraction(30000, 1001)}
    rates.update({59.94: Fraction(60000, 1001), 12.5: Fraction(25, 2)})
    assert {v: snap_rate(v) for v in rates} == rates


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0, -25, 1e-4, 90_000])
def test_what_is_no_rate_is_none(value):
    assert snap_rate(value) is None


def test_written_rates_become_fractions():
    assert parse_rate("29.97") == Fraction(30000, 1001)
    assert parse_rate(23.976) == parse_rate("23.98") == Fraction(24000, 1001)
    assert parse_rate("60000/1001") == parse_rate("59.94") == Fraction(60000, 1001)
    assert parse_rate(30) == 30 and parse_rate("12.5") == Fraction(25, 2)
    for wrong in ("fast", "0", "-25", "1/0", "nan", "inf", "1001", "0.0001"):
        with pytest.raises(AslError, match="fps"):
            parse_rate(wrong)
