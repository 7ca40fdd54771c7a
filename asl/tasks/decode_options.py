"""Which options of ``asl decode`` mean nothing without a graph."""

from typing import Any, Mapping

from asl.common.errors import AslError

WITHOUT_GRAPH = ("softmax", "greedy", "beam")
# option -> what it is where it is not given. --engine is none of them: the recipes give it to every method
GRAPH_ONLY = {
    "graph": None, "beam": None, "lattice_beam": 8.0, "min_active": None, "max_active": None, "acoustic_scale": None,
    "lm_scale": None, "insertion_penalty": None, "lattice": True, "rescore_scale": None, "rescore_keep": 0.0, "nj": 1,
}  # fmt: skip


def refuse_graph_options(method: str, given: Mapping[str, Any]) -> None:
    """Raise AslError where ``method`` searches no graph and an option that is about one was given; names it.

    Args:
        method: of ``asl decode``, not ``auto``.
        given: names and values of its options; others than ``GRAPH_ONLY`` are not looked at.
    """
    if method not in WITHOUT_GRAPH:
        return
    for name, default in GRAPH_ONLY.items():
        if given[name] != default:
            value = str(given[name]).lower() if isinstance(given[name], bool) else given[name]
            wider = "; how many prefixes it keeps is --beam-size" if (name, method) == ("beam", "beam") else ""
            raise AslError(f"--{name.replace('_', '-')} {value}: method {method} searches no graph{wider}; leave it out, "
                           "or use --method graph")  # fmt: skip
