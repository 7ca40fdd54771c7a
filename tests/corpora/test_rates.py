"""Frames per second: read off a span, or written by people."""

from fractions import Fraction

import pytest

from asl.common.errors import AslError
from asl.corpora.rates import estimate_rate, parse_rate


@pytest.mark.parametrize(
    "frames, span, rate",
    [  # lengths and spans of real clips
        (60, 52, Fraction(30000, 1001)), (63, 54, Fraction(30000, 1001)), (19, 18, Fraction(30000, 1001)),
        (36, 37, Fraction(24)), (37, 39, Fraction(24)), (60, 60, Fraction(25)), (105, 54, Fraction(50)),
        (49, 102, None), (110, 65, None),
    ],  # fmt: skip
)
def test_rates_are_read_off_lengths_and_spans(frames, span, rate):
    assert estimate_rate(frames, span)[0] == rate


def test_written_rates_become_fractions():
    assert parse_rate("29.97") == Fraction(30000, 1001)
    assert parse_rate(23.976) == parse_rate("23.98") == Fraction(24000, 1001)
    assert parse_rate("60000/1001") == parse_rate("59.94") == Fraction(60000, 1001)
    assert parse_rate(30) == 30 and parse_rate("12.5") == Fraction(25, 2)
    for wrong in ("fast", "0", "-25", "1/0", "nan", "inf"):
        with pytest.raises(AslError, match="fps"):
            parse_rate(wrong)
