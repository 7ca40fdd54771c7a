"""A front-end that knows which points are joined: graph convolutions over each part.

The spatial half of ST-GCN (Yan et al. 2018): a point takes from itself, from the neighbours nearer to the
part's first point (a hand's wrist) and from those farther out, each through weights of its own; what else it
takes from which point is learnt beside the given edges (Shi et al. 2019, 2s-AGCN). Time is left to the
encoder above.
"""

from typing import Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.models.frontend import PartFrontEnd

Edges = List[Tuple[int, int]]


def parse_edges(text: str, points: int, part: str) -> Edges:
    """``"0-1 1-2"`` -> ``[(0, 1), (1, 2)]``, points of one part counted from 0.

    Raises:
        AslError: a pair that is none, or that names a point which the part does not have.
    """
    edges = []
    for word in text.split():
        ends = word.split("-")
        if len(ends) != 2 or not all(e.isdecimal() and int(e) < points for e in ends):
            raise AslError(
                f"front-end: edge {word!r} of part {part} is no pair of its {points} points; write them as "
                f"0-1 up to {points - 1}, separated by blanks"
            )
        edges.append((int(ends[0]), int(ends[1])))
    return edges


def steps_from_root(points: int, edges: Edges) -> List[int]:
    """Edges between each point and the first one (or the lowest one that it is joined to)."""
    near: List[List[int]] = [[] for _ in range(points)]
    for a, b in edges:
        near[a].append(b)
        near[b].append(a)
    steps = [-1] * points
    for root in range(points):
        reached = [root] if steps[root] < 0 else []
        for point in reached:
            steps[point] = max(steps[point], 0)
            for other in near[point]:
                if steps[other] < 0:
                    steps[other] = steps[point] + 1
                    reached.append(other)
    return steps


def adjacency(points: int, edges: Edges) -> Tensor:
    """``(3, points, points)``: row ``i`` says what point ``i`` takes, rows with neighbours sum to 1.

    The three are: itself and neighbours as far from the root; nearer ones; farther ones.
    """
    steps = steps_from_root(points, edges)
    out = torch.zeros(3, points, points)
    out[0] = torch.eye(points)
    for i, j in edges + [(b, a) for a, b in edges]:
        kind = 0 if steps[j] == steps[i] else 1 if steps[j] < steps[i] else 2
        out[kind, i, j] = 1.0
    return out / out.sum(-1, keepdim=True).clamp(min=1)


class GraphConv(nn.Module):
    """One convolution over a graph, layer normalisation, SiLU; residual where the widths agree.

    Points come first, so that all frames go through two matrix products (on a CPU three times as fast as a
    small product for each frame).

    Shape: ``(points, n, c_in)`` -> ``(points, n, c_out)``.
    """

    def __init__(self, points: int, edges: Edges, c_in: int, c_out: int) -> None:
        super().__init__()
        given = adjacency(points, edges)
        self.register_buffer("given", given, persistent=False)
        self.learnt = nn.Parameter(torch.zeros_like(given))
        self.weight = nn.Parameter(torch.empty(len(given), c_in, c_out))
        nn.init.uniform_(self.weight, -(c_in**-0.5), c_in**-0.5)
        self.bias = nn.Parameter(torch.zeros(c_out))
        self.norm = nn.LayerNorm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        kinds, points, _ = self.given.shape
        mix = (self.given + self.learnt).transpose(0, 1).reshape(points, kinds * points)
        y = torch.matmul(x.reshape(-1, x.shape[-1]), self.weight).view(kinds * points, -1)
        y = torch.mm(mix, y).view(points, x.shape[1], -1) + self.bias
        y = F.silu(self.norm(y))
        return x + y if y.shape == x.shape else y


class PartGraph(nn.Module):
    """The features of one part through graph convolutions; joined with the features themselves.

    Args:
        width: the part's features: first ``steps`` times the coordinates of all points, then whatever else.
        dim: channels of the output.
        edges: pairs of points.
        points, space, steps: points, coordinates of a point, and how often they are given (itself and each
            difference).
        channels: channels of a point.
        layers: graph convolutions.

    Shape: ``(batch, frames, width)`` -> ``(batch, frames, dim)``.
    """

    def __init__(
        self,
        width: int,
        dim: int,
        edges: Edges,
        points: int,
        space: int,
        steps: int,
        channels: int,
        layers: int,
    ) -> None:
        super().__init__()
        self.shape = (steps, points, space)
        widths = [steps * space] + [channels] * layers
        self.graph = nn.Sequential(*(GraphConv(points, edges, a, b) for a, b in zip(widths, widths[1:])))
        self.join = nn.Linear(width + points * channels, dim)

    def forward(self, x: Tensor) -> Tensor:
        steps, points, space = self.shape
        given = x[..., : steps * points * space].reshape(-1, steps, points, space)
        hidden = self.graph(given.permute(2, 0, 1, 3).reshape(points, -1, steps * space))
        return self.join(torch.cat([x, hidden.transpose(0, 1).reshape(*x.shape[:-1], -1)], dim=-1))


class GraphFrontEnd(PartFrontEnd):
    """``PartFrontEnd`` with graph convolutions in the place of a part's linear map; hands share weights.

    Parts without points (a second stream) keep the linear map.

    Args:
        feature_parts, part_dim, dim, dropout: see ``PartFrontEnd``.
        channels: channels of a point.
        layers: graph convolutions.
        space: coordinates of a point; filled in by ``asl train`` from the pipeline, as the following are.
        steps: how often they are given: the coordinates and each of their differences.
        points: number of points of ``hand``, ``pose`` and ``face``.
        edges: pairs of points of the same parts that are joined, as ``0-1 1-2``; without: learnt alone.

    Raises:
        AslError: no points are given, or more than a part's features hold; an edge to a point that is none.
    """

    def __init__(
        self,
        feature_parts: Dict[str, int],
        part_dim: int,
        dim: int,
        dropout: float = 0.0,
        channels: int = 16,
        layers: int = 2,
        space: int = 0,
        steps: int = 0,
        points: Optional[Dict[str, int]] = None,
        edges: Optional[Dict[str, str]] = None,
    ) -> None:
        super().__init__(feature_parts, part_dim, dim, dropout)
        if not points or space < 1 or steps < 1:
            raise AslError(
                f"front-end: points={points}, space={space} and steps={steps} are filled in by 'asl train'; "
                "to build one by hand give all three"
            )
        widths = {self._weights_of(name): width for name, width in feature_parts.items()}
        for part, count in points.items():
            if part not in widths or widths[part] < count * space * steps:
                raise AslError(
                    f"front-end: part {part} has {widths.get(part, 0)} features, which do not hold {count} "
                    f"points of {space} coordinates {steps} times; give the pipeline's own numbers"
                )
            pairs = parse_edges((edges or {}).get(part, ""), count, part)
            self.parts[part] = PartGraph(
                widths[part], part_dim, pairs, count, space, steps, channels, layers
            )
