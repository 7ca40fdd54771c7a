"""What goes by a layer's depth in fine-tuning: smaller steps, or none, for what lies near the input."""

from dataclasses import dataclass
from typing import Any, Dict, List

from torch import nn

from asl.common.errors import AslError


@dataclass(frozen=True)
class FreezeConfig:
    """Layers of the encoder that do not learn, at first or ever.

    A frozen layer has neither gradients nor weight decay, its batch normalisation goes by the statistics that
    it came with and does not change them, and it drops nothing out.

    Args:
        layers: how many, from the input on (``Encoder.layer_groups``: the front-end is the first).
        epochs: for so many epochs.
        steps: for so many optimiser steps. With neither: for the whole training.
    """

    layers: int = 0
    epochs: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        if min(self.layers, self.epochs, self.steps) < 0 or (self.epochs and self.steps):
            raise AslError(
                f"optimizer.freeze has layers {self.layers}, epochs {self.epochs} and steps {self.steps}; "
                "give 0 or more, and epochs or steps but not both"
            )

    def holds(self, epoch: int, step: int) -> bool:
        """Whether the layers are frozen in this epoch (from 0), after so many optimiser steps."""
        if not self.layers:
            return False
        if self.epochs or self.steps:
            return epoch < self.epochs or step < self.steps
        return True


def layer_groups(task: nn.Module) -> List[List[nn.Module]]:
    """The layers of the task's encoder, from the input to the output.

    Raises:
        AslError: it has no encoder, or one that does not name its layers.
    """
    encoder = getattr(task, "encoder", None)
    if not hasattr(encoder, "layer_groups"):
        raise AslError(
            f"{type(task).__name__}: optimizer.layer_decay and optimizer.freeze need an encoder with "
            "layer_groups(); leave them out"
        )
    return encoder.layer_groups()


def frozen_layers(task: nn.Module, layers: int) -> List[nn.Module]:
    """The first so many layers of the task's encoder.

    Raises:
        AslError: it has fewer.
    """
    groups = layer_groups(task)
    if layers > len(groups):
        raise AslError(
            f"optimizer.freeze.layers is {layers}, but the encoder has {len(groups)}; give at most so many"
        )
    return [module for group in groups[:layers] for module in group]


def freeze(modules: List[nn.Module], frozen: bool) -> None:
    """Freeze modules, or let them learn again (in training mode, if their parameters had been frozen)."""
    for module in modules:
        for parameter in module.parameters():
            parameter.requires_grad_(not frozen)
        module.train(not frozen)


def by_depth(task: nn.Module, groups: List[Dict[str, Any]], lr: float, decay: float) -> List[Dict[str, Any]]:
    """Divide an optimiser's parameter groups by depth; the learning rate falls from the output to the input.

    What is above the encoder learns by ``lr``, its last layer by ``lr * decay``, the one before by ``lr *
    decay ** 2`` (ELECTRA, Clark et al. 2020; BEiT, Bao et al. 2022).

    Args:
        groups: as the optimiser takes them.
        decay: of the learning rate from a layer to the next one down.

    Returns:
        Groups with a learning rate each, the highest one first.
    """
    layers = layer_groups(task)
    depth = {
        id(parameter): len(layers) - i
        for i, layer in enumerate(layers)
        for module in layer
        for parameter in module.parameters()
    }
    divided = []
    for below in range(len(layers) + 1):
        for group in groups:
            parameters = [p for p in group["params"] if depth.get(id(p), 0) == below]
            if parameters:
                divided.append({**group, "params": parameters, "lr": lr * decay**below})
    return divided
