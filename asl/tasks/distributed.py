"""Several processes train one network: each the clips of its share of a batch, one optimiser step for all.

They are started by torchrun, or on one machine by ``--devices``. Gradients are summed here, once a step, and not
by torch's DistributedDataParallel: a part of the network that is frozen for a while, or that a batch does not
use, needs no special case, and gradients that are accumulated cost no traffic.
"""

import os
from typing import Any, Callable, List, Optional, Tuple, TypeVar

import torch
from lightning.pytorch.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

from asl.common.errors import AslError
from asl.common.processes import world_size

T = TypeVar("T")


class SharedBatchStrategy(DDPStrategy):
    """Every process holds the whole network; ``SignTask.training_step`` weighs its loss by its share of the batch."""

    def configure_ddp(self) -> None:
        """Start from the first process's weights; nothing is wrapped around the network."""
        for tensor in self.lightning_module.state_dict().values():
            torch.distributed.broadcast(tensor, src=0)

    def post_backward(self, closure_loss: Tensor) -> None:
        if not self.lightning_module.trainer.fit_loop._should_accumulate():
            sum_gradients(self.lightning_module)


@torch.no_grad()
def sum_gradients(module: nn.Module) -> None:
    """Sum the gradients over all processes, in place; a parameter that none has a gradient of keeps none."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    pieces = [(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in parameters]
    there = torch.tensor([p.grad is not None for p in parameters]).to(pieces[0])
    flat = torch.cat([*pieces, there])
    torch.distributed.all_reduce(flat)
    *sums, there = flat.split([*(len(piece) for piece in pieces), len(parameters)])
    for parameter, total, users in zip(parameters, sums, there.tolist()):
        if users:
            parameter.grad = total.view_as(parameter).clone()


def by_torchrun() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "LOCAL_WORLD_SIZE" in os.environ


def processes(devices: int, nodes: int, accelerator: str) -> Tuple[int, int]:
    """Processes on each machine, and machines: what torchrun says, or else the options.

    Raises:
        AslError: the options say otherwise than torchrun; several machines without torchrun; fewer GPUs.
    """
    if by_torchrun():
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        machines = int(os.environ["WORLD_SIZE"]) // here
        for name, given, found in (("devices", devices, here), ("nodes", nodes, machines)):
            if given not in (1, found):
                raise AslError(f"--{name} is {given}, but torchrun started {found}; leave --{name} out")
        devices, nodes = here, machines
    elif nodes > 1:
        raise AslError(
            f"--nodes {nodes}: start the training on every machine with torchrun --nnodes {nodes} "
            "--nproc_per_node DEVICES -m asl train ... (a recipe's cmd.sh has it for Slurm)"
        )
    if devices * nodes > 1 and accelerator == "mps":
        raise AslError(f"--devices {devices}: Apple's GPU takes one process; leave --devices out, or use cpu")
    if accelerator in ("auto", "gpu") and 0 < torch.cuda.device_count() < devices:
        there = torch.cuda.device_count()
        raise AslError(f"--devices {devices}, but there are {there} GPUs here; give {there} or fewer")
    return devices, nodes


def options_of_trainer(devices: int, nodes: int) -> Tuple[dict, List[Any]]:
    """Arguments of Lightning's Trainer, and its plugins. Slurm's own variables are not looked at."""
    many = devices * nodes > 1
    arguments = {"devices": devices, "num_nodes": nodes, "strategy": SharedBatchStrategy() if many else "auto"}
    return arguments, [TorchElasticEnvironment() if by_torchrun() else LightningEnvironment()]


def join(accelerator: str) -> None:
    """Meet the other processes that torchrun started; Lightning would, but only when training begins."""
    if not by_torchrun() or world_size() > 1 or int(os.environ["WORLD_SIZE"]) == 1:
        return
    on_gpu = accelerator in ("auto", "gpu") and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo")


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


def by_the_first(work: Callable[[], T]) -> T:
    """What ``work`` returns, which the first process does while the others wait (without torchrun: each does it).

    Raises:
        AslError: ``work`` did.
    """
    if world_size() == 1:
        return work()
    outcome: List[Tuple[Optional[T], Optional[str]]] = [(None, None)]
    if torch.distributed.get_rank() == 0:
        try:
            outcome = [(work(), None)]
        except AslError as e:
            outcome = [(None, str(e))]
    torch.distributed.broadcast_object_list(outcome, src=0)
    value, error = outcome[0]
    if error is not None:
        raise AslError(error)
    return value


def leave() -> None:
    """Take leave of the other processes."""
    if world_size() > 1:
        torch.distributed.destroy_process_group()
