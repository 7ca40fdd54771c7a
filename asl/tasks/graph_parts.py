"""What a graph front-end learns from the pipeline: its points and edges, written into the configuration."""

import importlib
from typing import Any, Iterator

from jsonargparse import Namespace

from asl.common.errors import AslError


def fill_in(config: Namespace, pipeline: Any) -> None:
    """Write the pipeline's points into every ``GraphFrontEnd`` of ``config``; edges that it has stay.

    Raises:
        AslError: ``config`` (of an earlier run) says otherwise; both values are named.
    """
    for arguments in graph_front_ends(config.task):
        for name, value in pipeline.point_graph._asdict().items():
            given = arguments.get(name)
            given = dict(given.items()) if isinstance(given, Namespace) else given
            if given and given != value and name != "edges":
                where = f"the config has {name} {given} in the front-end"
                raise AslError(f"{where}, the pipeline gives {value}; remove it there")
            arguments[name] = given or value


def graph_front_ends(node: Any) -> Iterator[Namespace]:
    """Yield the ``init_args`` of every graph front-end in a task's configuration, at any depth."""
    if not isinstance(node, Namespace):
        return
    if isinstance(node.get("class_path"), str) and _is_graph(node.class_path):
        yield node.init_args
    for child in vars(node).values():
        yield from graph_front_ends(child)


def _is_graph(class_path: str) -> bool:
    from asl.models.graph_conv import GraphFrontEnd

    module, _, name = class_path.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    return isinstance(found, type) and issubclass(found, GraphFrontEnd)
