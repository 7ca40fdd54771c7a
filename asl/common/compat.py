"""What differs between torch 1.13 and 2.x, in one place. torch is imported inside: ``common`` stays light."""

from typing import Any, Dict, List

from asl.common.errors import AslError
from asl.common.files import PathLike


def torch_load(path: PathLike) -> Dict[str, Any]:
    """Load a checkpoint of ours onto the CPU; from torch 2 on tensors and plain values only.

    torch 1.13 has ``weights_only`` as well, but its reader knows no floats.

    Raises:
        AslError: the file is absent, cut short, or holds more than tensors and plain values.
    """
    import pickle

    import torch

    try:
        safe = int(torch.__version__.split(".")[0]) >= 2
        value = torch.load(path, map_location="cpu", weights_only=safe)
    except FileNotFoundError:
        raise AslError(f"{path} does not exist; train first, or check the path") from None
    except IsADirectoryError:
        raise AslError(f"{path} is a folder, not a checkpoint; give the .ckpt file") from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise AslError(
            f"{path} is not a whole checkpoint ({reason}): it is cut short or damaged; remove it, train again"
        ) from e
    if not isinstance(value, dict):
        raise AslError(f"{path} holds a {type(value).__name__}, not a checkpoint")
    return value


def adamw(groups: List[Dict[str, Any]], lr: float, betas: Any) -> Any:
    """AdamW with the fastest loop over the parameters that this torch has for their device.

    One fused call on a CPU from torch 2.4 on (1.8 against 7.4 ms a step for 200 parameters on one core),
    multi-tensor calls on CUDA, else one parameter after another (on a CPU multi-tensor calls gain nothing).
    """
    import torch

    device = next((p.device.type for group in groups for p in group["params"]), "cpu")
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    how = {}
    if device == "cuda":
        how = {"foreach": True}
    elif device == "cpu" and version >= (2, 4):
        how = {"fused": True}
    return torch.optim.AdamW(groups, lr=lr, betas=betas, **how)


def cpu_where_mps_cannot(tensor: Any) -> Any:
    """Return ``tensor`` on the CPU if it lies on Apple's MPS, else unchanged.

    For operators without an MPS kernel, the CTC loss first of all; gradients flow back through the copy.
    """
    return tensor.cpu() if tensor.device.type == "mps" else tensor


def compile_module(module: Any, backend: str) -> None:
    """Let ``torch.compile`` make ``module``'s forward pass, in place: its parameters keep their names.

    Args:
        module: a ``torch.nn.Module``.
        backend: of torch.compile, as ``inductor``.

    Raises:
        AslError: this torch cannot (before 2.2), or inductor finds no C++ compiler for a CPU.
    """
    import os
    import shutil

    import torch

    if not hasattr(torch.nn.Module, "compile"):
        raise AslError(f"trainer.compile needs torch 2.2 or newer, this is {torch.__version__}; leave it out")
    compilers = [os.environ.get("CXX"), "g++", "clang++"]
    if backend == "inductor" and not any(name and shutil.which(name.split()[0]) for name in compilers):
        raise AslError(
            "trainer.compile inductor needs a C++ compiler and there is neither g++ nor clang++ (nor CXX); "
            "install one, or leave trainer.compile out"
        )
    module.compile(backend=backend)


def mix_layer_norms(module: Any) -> None:
    """Let LayerNorms take bfloat16 beside their own float32 weights, which torch 1.13 cannot on a CPU.

    They compute in float32, as they do under CUDA's autocast.
    """
    import torch

    def widen(layer: Any, given: Any) -> Any:
        return (given[0].float(), *given[1:])

    if int(torch.__version__.split(".")[0]) < 2:
        for layer in module.modules():
            if isinstance(layer, torch.nn.LayerNorm):
                layer.register_forward_pre_hook(widen)
