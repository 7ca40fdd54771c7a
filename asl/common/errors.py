"""The one exception that users see, and how it helps them."""

import difflib
from typing import Iterable


class AslError(Exception):
    """Bad input or a broken environment: one sentence that says what is wrong, where, and what to do.

    The command line prints it without a traceback and exits with status 1. Programming errors
    are not of this class and keep their traceback.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of ``known``, or ``""`` where none is near."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
