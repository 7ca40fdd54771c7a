"""Options that are about a graph are refused by name where none is searched."""

import inspect

import pytest

from asl.common.errors import AslError
from asl.tasks.decode import decode
from asl.tasks.decode_options import GRAPH_ONLY, WITHOUT_GRAPH, refuse_graph_options

DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(decode).parameters.items()}


@pytest.mark.parametrize("method", WITHOUT_GRAPH)
@pytest.mark.parametrize(
    "name, value, shown",
    [
        ("graph", "exp/ctc/graph", "--graph exp/ctc/graph"), ("beam", 8.0, "--beam 8.0"),
        ("lattice_beam", 4.0, "--lattice-beam 4.0"), ("min_active", 20, "--min-active 20"),
        ("max_active", 200, "--max-active 200"), ("acoustic_scale", 1.0, "--acoustic-scale 1.0"),
        ("lm_scale", 0.0, "--lm-scale 0.0"), ("insertion_penalty", 0.0, "--insertion-penalty 0.0"),
        ("lattice", False, "--lattice false"), ("rescore_scale", 0.5, "--rescore-scale 0.5"),
        ("rescore_keep", 0.5, "--rescore-keep 0.5"), ("nj", 4, "--nj 4"),
    ],
)  # fmt: skip
def test_what_is_about_a_graph_is_refused_without_one(method, name, value, shown):
    with pytest.raises(AslError, match=f"^{shown}: method {method} searches no graph.*leave it out, or use --method graph"):
        refuse_graph_options(method, {**DEFAULTS, name: value})
    refuse_graph_options("graph", {**DEFAULTS, name: value})


def test_the_defaults_are_those_of_the_command():
    assert GRAPH_ONLY == {name: DEFAULTS[name] for name in GRAPH_ONLY}
    for method in WITHOUT_GRAPH:
        refuse_graph_options(method, {**DEFAULTS, "engine": "kaldi", "method": method})


def test_the_beam_of_prefixes_has_another_name():
    with pytest.raises(AslError, match="--beam 20: method beam .* is --beam-size"):
        refuse_graph_options("beam", {**DEFAULTS, "beam": 20})
