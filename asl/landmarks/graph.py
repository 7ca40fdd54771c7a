"""Which points of a part are joined, in numbers that a network's front-end can be built from."""

from typing import Dict, NamedTuple, Sequence

from asl.landmarks.features import HANDS
from asl.landmarks.layouts import Layout


class PointGraph(NamedTuple):
    """The points in the features of ``part_features``; both hands are ``hand``, alike in all of this.

    Attributes:
        space: coordinates of a point.
        steps: how often they are given: themselves and each of their differences, all points each time.
        points: part -> its points.
        edges: part -> pairs of its points that are joined, counted from 0, as ``0-1 1-2``.
    """

    space: int
    steps: int
    points: Dict[str, int]
    edges: Dict[str, str]


def point_graph(layout: Layout, space: int, lags: Sequence[int]) -> PointGraph:
    """The points and edges of the parts of ``layout``, as ``part_features`` gives them."""
    points: Dict[str, int] = {}
    edges: Dict[str, str] = {}
    for name, index in layout.parts.items():
        part = "hand" if name in HANDS else name
        place = {point: i for i, point in enumerate(index)}
        pairs = [(place[a], place[b]) for a, b in layout.edges if a in place and b in place]
        points[part], edges[part] = len(index), " ".join(f"{a}-{b}" for a, b in pairs)
    return PointGraph(space, 1 + len(lags), points, edges)
