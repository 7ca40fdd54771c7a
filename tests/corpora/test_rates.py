"""Frames per second read off a span."""

from fractions import Fraction

import pytest

from asl.corpora.rates import estimate_rate


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
