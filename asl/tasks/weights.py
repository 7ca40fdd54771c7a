"""Weights out of a checkpoint and into a network: strictly, every difference named."""

from pathlib import Path
from typing import Any, Dict, Iterable, List, Sequence

from torch import Tensor, nn

from asl.common.compat import torch_load
from asl.common.errors import AslError, did_you_mean

RULES = ("last", "best", "ema", "mean_last", "mean_best")
MEAN = "mean.ckpt"
_SHOWN = 5


def read_weights(exp: Path, rule: str) -> Dict[str, Tensor]:
    """Return the weights that ``rule`` names.

    Args:
        exp: an experiment folder.
        rule: ``last`` (the network after the last epoch), ``ema`` (the average of the weights after the last
            epoch), ``best`` (what validation measured in its best epoch: the average if the run's own rule
            is ``ema``, else the network), ``mean_last`` or ``mean_best`` (the mean of several epochs' weights,
            where that is the run's own rule).

    Raises:
        AslError: unknown rule, absent or damaged checkpoint, ``ema`` where no average was kept, a mean where
            the run made none.
    """
    if rule not in RULES:
        near = did_you_mean(rule, RULES)
        raise AslError(f"unknown checkpoint rule {rule!r}{near}; give one of {', '.join(RULES)}")
    if rule.startswith("mean_"):
        return _read_mean(exp / "checkpoints" / MEAN, rule)
    path = exp / "checkpoints" / ("best.ckpt" if rule == "best" else "last.ckpt")
    checkpoint = torch_load(path)
    key = "ema" if rule == "ema" else "state_dict"
    if rule == "best":
        key = checkpoint.get("asl", {}).get("measured", key)
    if key not in checkpoint:
        what = "no averaged weights (trainer.ema_decay was 0)" if key == "ema" else "no weights"
        raise AslError(f"{path} holds {what}; choose another checkpoint rule")
    return checkpoint[key]


def _read_mean(path: Path, rule: str) -> Dict[str, Tensor]:
    checkpoint = torch_load(path) if path.is_file() else {}
    made = checkpoint.get("asl", {}).get("rule")
    if made != rule:
        why = f"it is of {made}" if made else "it is made at the end of a run whose trainer.checkpoint says so"
        raise AslError(f"{path} holds no weights by the rule {rule}: {why}; choose another checkpoint rule")
    return checkpoint["state_dict"]


def load_weights(
    module: nn.Module,
    weights: Dict[str, Tensor],
    source: Path,
    allow: Sequence[str] = (),
    only: Sequence[str] = (),
) -> List[str]:
    """Copy ``weights`` into ``module``; every name and shape must agree except under the ``allow`` prefixes.

    Args:
        source: where the weights come from, for messages.
        allow: prefixes of parameter names (whole dotted parts) that may be missing, unexpected or of another
            shape; such parameters keep their initial values.
        only: prefixes of what is taken at all; the rest of ``weights`` is not looked at, the rest of
            ``module`` keeps its initial values. None: everything.

    Returns:
        The names in ``module`` that kept their initial values.

    Raises:
        AslError: the differences, by name, with both shapes; or a prefix that matches nothing.
    """
    own = module.state_dict()
    for prefix in only:
        for where, names in ((source, weights), ("this network", own)):
            if not any(_under(name, [prefix]) for name in names):
                near = did_you_mean(prefix, {name.split(".")[0] for name in names})
                raise AslError(f"--init-only {prefix}: no parameter of {where} has this prefix{near}")
    everything = own
    if only:
        own = {n: v for n, v in own.items() if _under(n, only)}
        weights = {n: v for n, v in weights.items() if _under(n, only)}
    for prefix in allow:
        if not any(_under(name, [prefix]) for name in (*own, *weights)):
            tops = {".".join(name.split(".")[: prefix.count(".") + 1]) for name in (*own, *weights)}
            raise AslError(f"--init-allow {prefix}: no parameter has this prefix{did_you_mean(prefix, tops)}")
    problems = differences(own, weights, allow)
    if problems:
        raise AslError(
            f"the weights in {source} do not fit this network: {problems}. Use the configuration "
            "they were trained with, or name what may differ with --init-allow PREFIX"
        )
    taken = {n for n in own if n in weights and own[n].shape == weights[n].shape}
    kept = [n for n in everything if n not in taken]
    module.load_state_dict({n: everything[n] if n in kept else weights[n] for n in everything}, strict=True)
    return kept


def differences(own: Dict[str, Tensor], weights: Dict[str, Tensor], allow: Sequence[str] = ()) -> str:
    """Name what keeps ``weights`` ("there") from being those of a network ("here") that has ``own``; "": nothing."""
    reshaped = [n for n in own if n in weights and own[n].shape != weights[n].shape]
    shapes = [f"{n} {tuple(weights[n].shape)} there, {tuple(own[n].shape)} here" for n in _outside(reshaped, allow)]
    problems = _name("missing there", _outside([n for n in own if n not in weights], allow))
    problems += _name("not known here", _outside([n for n in weights if n not in own], allow))
    problems += _name("of another shape", shapes)
    return "; ".join(problems)


def _under(name: str, prefixes: Iterable[str]) -> bool:
    return any(name == p or name.startswith(p + ".") for p in prefixes)


def _outside(names: List[str], allow: Sequence[str]) -> List[str]:
    return [n for n in names if not _under(n, allow)]


def _name(what: str, names: List[Any]) -> List[str]:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{what}: {', '.join(names[:_SHOWN])}{more}"] if names else []
