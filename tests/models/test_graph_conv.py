"""The graph front-end: who takes from whom, that hands share weights, and that padding never leaks."""

import pytest
import torch

from asl.common.errors import AslError
from asl.landmarks.layouts import LAYOUTS
from asl.landmarks.pipeline import LandmarkPipeline
from asl.models import BiLstm, ConvTransformer, GraphFrontEnd
from asl.models.frontend import PartFrontEnd
from asl.models.graph_conv import GraphConv, PartGraph, adjacency, parse_edges, steps_from_root
from asl.models.masking import length_mask

FINGER = [(0, 1), (1, 2), (2, 3)]  # of a part of 5 points: the last is alone


def graph_of(pipeline):
    make = lambda *args: GraphFrontEnd(*args, channels=4, **pipeline.point_graph._asdict())
    return make, pipeline.feature_parts


def test_points_are_counted_from_the_root():
    assert steps_from_root(5, FINGER) == [0, 1, 2, 3, 0]
    assert steps_from_root(4, [(3, 2), (0, 1)]) == [0, 1, 0, 1]


def test_a_point_takes_from_itself_inwards_and_outwards():
    itself, inwards, outwards = adjacency(5, FINGER)
    assert torch.equal(itself, torch.eye(5))
    assert inwards.nonzero().tolist() == [[1, 0], [2, 1], [3, 2]]
    assert outwards.nonzero().tolist() == [[0, 1], [1, 2], [2, 3]]
    across = adjacency(3, [(0, 1), (0, 2), (1, 2)])  # 1 and 2 are as far from the root
    assert across[0][1].tolist() == [0.0, 0.5, 0.5] and across[2][0].tolist() == [0.0, 0.5, 0.5]


def test_a_point_reaches_as_far_as_there_are_layers():
    torch.manual_seed(0)
    layer = GraphConv(5, FINGER, 2, 2).eval()
    x = torch.randn(5, 1, 2)
    other = x.clone()
    other[3] += 1.0
    changed = [not torch.equal(a, b) for a, b in zip(layer(x), layer(other))]
    assert changed == [False, False, True, True, False]
    layer.learnt.data[0, 4, 3] = 0.5  # what is learnt joins points that no edge joins
    assert not torch.equal(layer(x)[4], layer(other)[4])


def test_features_are_read_as_the_pipeline_writes_them():
    """Point 2 of the part at each step is the input of point 2 of the graph, whatever stands behind."""
    steps, points, space, extra = 2, 5, 3, 4
    part = PartGraph(steps * points * space + extra, 6, FINGER, points, space, steps, 8, 2)
    seen = []
    part.graph[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = torch.arange(2.0 * 7 * (steps * points * space + extra)).view(2, 7, -1)
    assert part(x).shape == (2, 7, 6)
    row = x[1, 3]
    expected = torch.cat([row[2 * 3 : 3 * 3], row[15 + 2 * 3 : 15 + 3 * 3]])
    assert torch.equal(seen[0][2, 7 + 3], expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("lags, place, space", [([1], True, 2), ([1, 2], False, 2), ([], True, 3)])
def test_every_layout_has_a_graph(layout, lags, place, space):
    if space > LAYOUTS[layout].num_space:
        space = 2
    pipeline = LandmarkPipeline(layout, lags=lags, place=place, space=space)
    make, parts = graph_of(pipeline)
    frontend = make(parts, 8, 12, 0.0).eval()
    assert all(isinstance(part, PartGraph) for part in frontend.parts.values())
    clips = torch.rand(2, 6, LAYOUTS[layout].num_points, LAYOUTS[layout].num_dims)
    features, lengths = pipeline(clips, torch.tensor([6, 5]))
    y = frontend(features, length_mask(lengths, features.shape[1]))
    assert y.shape == (2, features.shape[1], 12) and y.isfinite().all()
    counts = {part: len(text.split()) for part, text in pipeline.point_graph.edges.items()}
    per_part = [counts["hand" if name.startswith("hand") else name] for name in parts]
    assert sum(per_part) == len(LAYOUTS[layout].edges)


@pytest.mark.parametrize("encoder", [ConvTransformer, BiLstm])
def test_padding_changes_nothing(encoder):
    torch.manual_seed(0)
    make, parts = graph_of(LandmarkPipeline("hands42"))
    network = encoder(parts, part_dim=8, frontend=make, subsampling=2).eval()
    x, lengths = torch.randn(3, 21, sum(parts.values())), torch.tensor([21, 13, 4])
    garbage = torch.where(length_mask(lengths, 21)[..., None], x, torch.full_like(x, 7.0))
    together, out_lengths = network(garbage, lengths)
    for i, n in enumerate(lengths.tolist()):
        alone, length = network(x[i : i + 1, :n], lengths[i : i + 1])
        assert torch.allclose(together[i, : int(length)], alone[0], atol=1e-5)


def test_hands_share_weights_and_a_part_without_points_keeps_its_linear_map():
    torch.manual_seed(0)
    make, parts = graph_of(LandmarkPipeline("hands42"))
    frontend = make({**parts, "extra": 9}, 8, 12, 0.0).eval()
    assert list(frontend.parts) == ["hand", "extra"]
    assert isinstance(frontend.parts["extra"], torch.nn.Linear)
    seen = []
    frontend.parts["hand"].register_forward_hook(lambda module, given, out: seen.append(given[0]))
    frontend(torch.randn(1, 3, 275), torch.ones(1, 3, dtype=torch.bool))
    assert len(seen) == 2


def test_without_edges_the_graph_is_learnt():
    torch.manual_seed(0)
    frontend = GraphFrontEnd({"pose": 11}, 8, 4, space=2, steps=1, points={"pose": 5}, channels=4).train()
    mask = torch.ones(2, 6, dtype=torch.bool)
    frontend(torch.randn(2, 6, 11), mask).square().sum().backward()
    learnt = frontend.parts["pose"].graph[0].learnt
    assert learnt.grad.abs().sum() > 0


def test_mistakes_are_named():
    graph = dict(space=3, steps=2, points={"hand": 21})
    parts = {"hand_left": 133, "hand_right": 133}
    with pytest.raises(AslError, match="filled in by 'asl train'"):
        GraphFrontEnd(parts, 8, 4)
    with pytest.raises(AslError, match="part hand has 100 features, .* 21 points of 3 coordinates 2 times"):
        GraphFrontEnd({"hand_left": 100}, 8, 4, **graph)
    for edges in ("0-21", "0-1-2", "0", "a-b", "-1-2"):
        with pytest.raises(AslError, match="part hand .*21 points.*0-1 up to 20"):
            GraphFrontEnd(parts, 8, 4, edges={"hand": edges}, **graph)
    assert parse_edges("0-1  3-20", 21, "hand") == [(0, 1), (3, 20)]


def test_it_is_larger_than_the_linear_front_end_but_not_by_much():
    pipeline = LandmarkPipeline("hands42")
    count = lambda m: sum(p.numel() for p in m.parameters())
    plain = count(PartFrontEnd(pipeline.feature_parts, 128, 192))
    graph = count(GraphFrontEnd(pipeline.feature_parts, 128, 192, **pipeline.point_graph._asdict()))
    assert plain < graph < 2 * plain
