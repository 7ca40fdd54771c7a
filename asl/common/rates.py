"""Frames per second as fractions: cameras' rates are few, and files and people write them in many ways."""

from fractions import Fraction
from typing import Optional, Union

from asl.common.errors import AslError

HIGHEST = 1000  # no camera of ours is faster: what is above is no rate


def snap_rate(value: float) -> Optional[Fraction]:
    """A rate as a fraction: near a whole number, or 1000/1001 of one (23.976, 29.97, 59.94), it is that.

    None where ``value`` is no rate: NaN, infinite, not above 0 (or 1/2002, where no fraction is near), or above
    ``HIGHEST``.
    """
    if not 0 < value <= HIGHEST:
        return None
    whole = Fraction(max(1, round(value)))
    for rate in (whole, whole * Fraction(1000, 1001)):
        if abs(float(rate) - value) <= 2e-4 * value:
            return rate
    return Fraction(value).limit_denominator(1001) or None


def parse_rate(value: Union[str, float, Fraction]) -> Fraction:
    """Return a written rate (``25``, ``29.97``, ``30000/1001``) as a fraction; see ``snap_rate``.

    Raises:
        AslError: not a number, or no rate.
    """
    try:
        exact = Fraction(str(value).strip())
    except (ValueError, ZeroDivisionError):
        raise AslError(f"fps {value!r} is not a number; write 25, 29.97 or 30000/1001") from None
    rate = snap_rate(float(exact))
    if rate is None:
        raise AslError(f"fps {value!r} is not between 0 and {HIGHEST}; write 25, 29.97 or 30000/1001")
    return rate
