"""Ways to look at one clip when it is decoded: as it is, mirrored, and cut a little at its ends.

They are changes that training makes at random (``asl.landmarks.augment``), here in a fixed order, so that ``N
views`` means the same everywhere. A network's outputs for them are averaged.
"""

from dataclasses import dataclass
from typing import Tuple

from asl.common.errors import AslError


@dataclass(frozen=True)
class View:
    """One way to look at a clip.

    Attributes:
        mirror: left and right are swapped.
        start, end: share of the clip that is left out at that end; what is left is read at the same number of
            frames where the pipeline has a fixed one, so it is seen slower.
    """

    mirror: bool = False
    start: float = 0.0
    end: float = 0.0

    def __str__(self) -> str:
        ends = (("start", self.start), ("end", self.end))
        said = ["mirrored"] if self.mirror else []
        said += [f"{name} cut by {share:.0%}" for name, share in ends if share]
        return ", ".join(said) or "as it is"


PLAIN = View()
VIEWS: Tuple[View, ...] = (
    PLAIN,
    View(mirror=True),
    View(start=0.06),
    View(mirror=True, end=0.06),
    View(end=0.06),
    View(mirror=True, start=0.06),
    View(start=0.04, end=0.04),
    View(mirror=True, start=0.04, end=0.04),
)


def first_views(count: int) -> Tuple[View, ...]:
    """The first ``count`` views; of 2, 4, 6 or 8 half are mirrored.

    Raises:
        AslError: fewer than 1 or more than there are.
    """
    if not 1 <= count <= len(VIEWS):
        raise AslError(f"--views {count}: give 1 (each clip as it is) to {len(VIEWS)}")
    return VIEWS[:count]
