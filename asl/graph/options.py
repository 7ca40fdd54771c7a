"""How wide a graph is searched: the same names and meanings in both engines."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Optional

from asl.common.errors import AslError


@dataclass
class SearchOptions:
    """Options of the search; scores are natural logarithms.

    Args:
        beam: states worse than the best one of their frame by more than this are dropped.
        lattice_beam: arcs on no path within this of the best one are left out of lattices and n-best.
        min_active: states to keep in each frame at least, whatever the beam says; None for no bound.
        max_active: states to keep at most; None for no bound. The kaldi engine makes lattices by beam
            alone and refuses both bounds.
        acoustic_scale: what log-probs are multiplied by before they meet the grammar's.
    """

    beam: float = 20.0
    lattice_beam: float = 10.0
    min_active: Optional[int] = None
    max_active: Optional[int] = None
    acoustic_scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("beam", "lattice_beam", "acoustic_scale"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise AslError(f"{name} is {value}; it has to be a number above 0")
        least, most = self.min_active, self.max_active
        if (least is not None and least < 0) or (most is not None and most < max(1, least or 0)):
            raise AslError(f"min_active is {least}, max_active {most}; expected 0 <= minimum <= maximum")

    def wider(self, factor: float) -> "SearchOptions":
        """Return these options with the beam multiplied by ``factor``."""
        return dataclasses.replace(self, beam=self.beam * factor)
