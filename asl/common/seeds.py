"""Seeds that are a function of what they are for, so that random state need not be carried along."""

import hashlib


def derive_seed(*parts: object) -> int:
    """Return a 63-bit seed made from ``parts`` (their ``repr``), the same on every machine and version.

    ``derive_seed(seed, "augment", epoch, batch)`` gives each batch its own stream: a run that resumes at
    a batch draws what an uninterrupted one would have drawn there.
    """
    digest = hashlib.sha256(repr(parts).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") >> 1
