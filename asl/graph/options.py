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
            alone and refuses both bounds there; where the best path alone is asked for it has them.
        acoustic_scale: what log-probs are multiplied by before they meet the graph's.
        lm_scale: what the graph's own scores are multiplied by: the grammar's, and with them those of
            pronunciations and transitions where the graph has any. 0 leaves the words that it allows.
        insertion_penalty: taken off for each word; a negative one is a bonus.

    A path's score is ``acoustic_scale * log-probs + lm_scale * graph - insertion_penalty * words``, in
    both engines; the best path depends on the ratios of the three alone, confidences on their size too.
    """

    beam: float = 16.0
    lattice_beam: float = 8.0
    min_active: Optional[int] = None
    max_active: Optional[int] = None
    acoustic_scale: float = 1.0
    lm_scale: float = 1.0
    insertion_penalty: float = 0.0

    def __post_init__(self) -> None:
        for name in ("beam", "lattice_beam", "acoustic_scale"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise AslError(f"{name} is {value}; it has to be a number above 0")
        if not (math.isfinite(self.lm_scale) and self.lm_scale >= 0):
            raise AslError(f"lm_scale is {self.lm_scale}; it has to be a number, 0 or above")
        if not math.isfinite(self.insertion_penalty):
            raise AslError(f"insertion_penalty is {self.insertion_penalty}; it has to be a finite number")
        least, most = self.min_active, self.max_active
        if (least is not None and least < 0) or (most is not None and most < max(1, least or 0)):
            raise AslError(f"min_active is {least}, max_active {most}; expected 0 <= minimum <= maximum")

    def wider(self, factor: float) -> "SearchOptions":
        """Return these options with the beam multiplied by ``factor``."""
        return dataclasses.replace(self, beam=self.beam * factor)
