"""How fast is a training step, and how near to what the machine can do? python tests/bench/throughput.py

Random features in memory, the sizes of a shipped config (--config), 1 and 2 threads (--threads). For each number
of threads: the fastest square matrix product of this torch (the limit), a whole step (forward, backward, clipping,
optimiser, averaged weights), its parts, and 'asl train' itself on the same batches. Multiply-adds are counted
exactly, operator by operator, forward and backward; a product and its sum are two floating-point operations. A part
is its modules' forward and backward on the inputs that they had in the network. Every figure is the best of several
rounds that go around all parts in turn, so that work beside it on the machine hits all alike.
"""

import argparse
import contextlib
import io
import os
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "egs" / "wlasl" / "conf" / "softmax.yaml"

# name in the table -> names of modules; parts of a part are indented and not counted twice
PARTS = (
    ("front-end", r"encoder\.frontend"),
    ("convolution blocks", r"encoder\.conv_stages\.\d+\.\d+"),
    ("  expand, project", r"encoder\.conv_stages\.\d+\.\d+\.(expand|project)"),
    ("  depthwise", r"encoder\.conv_stages\.\d+\.\d+\.depthwise"),
    ("  batch norm", r"encoder\.conv_stages\.\d+\.\d+\.norm"),
    ("transformer blocks", r"encoder\.transformers\.\d+"),
    ("  attention", r"encoder\.transformers\.\d+\.attention"),
    ("  feed-forward", r"encoder\.transformers\.\d+\.feed"),
    ("lstm", r"encoder\.lstm"),
    ("head", r"head"),
)


class Row(NamedTuple):
    """One line of the table."""

    name: str
    seconds: float
    flops: int


def build(config_file: Path, overrides: Sequence[str] = ()) -> Tuple[Any, Any, Callable[[], Dict[str, Any]]]:
    """The configuration, its task, and a function that makes a batch of random clips."""
    import torch

    from asl.tasks import config as configs
    from asl.tasks.train import fill_in, seed_all

    config = configs.parse(["--config", str(config_file), *overrides])
    pipeline = configs.instantiate_data(config).pipeline
    parts = pipeline.feature_parts
    vocab = config.task.init_args.get("vocab_size") or 101
    fill_in(config, parts, vocab)
    seed_all(config.seed)
    size, frames = config.data.batch_size, pipeline.frames or 64
    generator = torch.Generator().manual_seed(1)

    def batch() -> Dict[str, Any]:
        tokens = torch.randint(1, vocab, (size,), generator=generator)
        return {
            "ids": [str(i) for i in range(size)],
            "features": torch.randn(size, frames, sum(parts.values()), generator=generator),
            "feature_lengths": torch.full((size,), frames),
            "tokens": tokens,
            "token_lengths": torch.ones(size, dtype=torch.int64),
        }

    return config, configs.instantiate_task(config).train(), batch


def record(task: Any, batch: Dict[str, Any]) -> Dict[str, List[Tuple[Any, tuple, dict]]]:
    """The modules of each part with what they were called with."""
    calls: Dict[str, List[Tuple[Any, tuple, dict]]] = {}
    kept = []
    for name, module in task.named_modules():
        for part, pattern in PARTS:
            if re.fullmatch(pattern, name):
                kept.append((module, _remember(module, calls.setdefault(part, []))))
    task.training_loss(batch)
    for module, forward in kept:
        module.forward = forward
    return {part: calls[part] for part, _ in PARTS if part in calls}


def _remember(module: Any, calls: List[Tuple[Any, tuple, dict]]) -> Any:
    forward = module.forward

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        calls.append((module, args, kwargs))
        return forward(*args, **kwargs)

    module.forward = wrapped
    return forward


def again(calls: List[Tuple[Any, tuple, dict]]) -> Callable[[], None]:
    """A function that runs the recorded modules forward and backward once more."""
    import torch
    from torch.nn.utils.rnn import PackedSequence

    def leaf(value: Any) -> Any:
        if isinstance(value, PackedSequence):
            return value._replace(data=leaf(value.data))
        if not isinstance(value, torch.Tensor) or not value.requires_grad:
            return value
        return value.detach().clone().requires_grad_()

    prepared = []
    for module, args, kwargs in calls:
        fresh: Dict[int, Any] = {}  # query, key and value are one tensor: their gradients are added up
        args = tuple(fresh.setdefault(id(a), leaf(a)) for a in args)
        kwargs = {name: fresh.setdefault(id(a), leaf(a)) for name, a in kwargs.items()}
        prepared.append((module, args, kwargs))
    gradients: List[Any] = []

    def run() -> None:
        for i, (module, args, kwargs) in enumerate(prepared):
            out = module(*args, **kwargs)
            while isinstance(out, tuple):  # PackedSequence is one: its data come first
                out = out[0]
            if i == len(gradients):
                gradients.append(torch.randn_like(out))
            out.backward(gradients[i])

    return run


def steps(task: Any, config: Any, batch: Dict[str, Any]) -> Dict[str, Callable[[], None]]:
    """The stages of a training step, to be called in this order."""
    from asl.common.compat import adamw
    from asl.tasks.base import clip_gradients, parameter_groups
    from asl.tasks.ema import WeightAverage

    o = config.task.init_args.optimizer
    optimizer = adamw(parameter_groups(task, o.weight_decay), o.lr, (o.beta1, o.beta2))
    trainer = SimpleNamespace(global_step=0)
    average = WeightAverage(config.trainer.ema_decay or 0.999, validate=False)
    average.on_train_start(trainer, task)
    held: Dict[str, Any] = {}

    def forward() -> None:
        held["loss"] = task.training_loss(batch)["loss"]

    def clip() -> None:
        clip_gradients([p.grad for p in task.parameters() if p.grad is not None], 1.0)

    def ema() -> None:
        trainer.global_step += 1
        average.on_train_batch_end(trainer, task)

    return {
        "forward": forward,
        "backward": lambda: held["loss"].backward(),
        "clipping": clip,
        "optimiser": optimizer.step,
        "zeroing gradients": optimizer.zero_grad,
        "averaged weights": ema,
    }


def gemm(size: int) -> Callable[[], None]:
    """One square product; returns nothing, costs ``2 * size**3``."""
    import torch

    a, b, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
    return lambda: torch.mm(a, b, out=out)  # type: ignore[return-value]


def best_seconds(runs: Dict[str, Callable[[], None]], rounds: int) -> Dict[str, float]:
    """The shortest of ``rounds`` calls of each, one after another; the first call of each is not counted."""
    best = {name: float("inf") for name in runs}
    for i in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if i:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def through_lightning(config: Any, task: Any, batches: List[Any]) -> float:
    """Clips a second of ``asl train``'s own trainer with all its callbacks on ``batches``, best of its epochs."""
    import torch

    from asl.tasks.train import make_trainer, quieten

    quieten()
    config = config.clone()
    config.trainer.max_epochs, config.trainer.accelerator, config.trainer.devices = 3, "cpu", 1
    loader = torch.utils.data.DataLoader(batches, batch_size=None)
    warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        trainer, log, _ = make_trainer(config, Path(folder))
        trainer.fit(task, train_dataloaders=loader)
        return max(row["clips_per_second"] for row in log.rows)


def measure(config_file: Path, threads: int, rounds: int, overrides: Sequence[str] = ()) -> Dict[str, Any]:
    """Return ``rows`` (parts of a step), ``limit`` (FLOP/s), ``clips`` a step, ``trainer`` clips/s."""
    import torch

    from tests.bench.flops import count_flops

    torch.set_num_threads(threads)
    config, task, make_batch = build(config_file, overrides)
    batch = make_batch()
    parts = {name: again(calls) for name, calls in record(task, batch).items()}
    whole = steps(task, config, batch)
    flops = {name: count_flops(run) for name, run in {**parts, **whole}.items()}
    products = {f"gemm {n}": gemm(n) for n in (512, 1024)}
    runs = {**products, **whole, **parts}
    seconds = best_seconds(runs, rounds)
    limit = max(2 * n**3 / seconds[f"gemm {n}"] for n in (512, 1024))
    top = [name for name in parts if not name.startswith(" ")]
    rest = seconds["forward"] + seconds["backward"] - sum(seconds[n] for n in top)
    rest_flops = flops["forward"] + flops["backward"] - sum(flops[n] for n in top)
    rows = [Row(n, seconds[n], flops[n]) for n in parts]
    rows.append(Row("loss and the rest", max(rest, 0.0), rest_flops))
    rows += [Row(n, seconds[n], flops[n]) for n in whole if n not in ("forward", "backward")]
    step = Row("whole step", sum(seconds[n] for n in whole), sum(flops[n] for n in whole))
    clips = len(batch["feature_lengths"])
    trainer = through_lightning(config, task, [make_batch() for _ in range(max(rounds, 2))])
    both = [Row(n, seconds[n], flops[n]) for n in ("forward", "backward")]
    return {"rows": rows, "passes": both, "step": step, "limit": limit, "clips": clips, "trainer": trainer}


def report(found: Dict[str, Any], threads: int) -> str:
    """The table as text."""
    limit, step, clips = found["limit"], found["step"], found["clips"]
    lines = [
        f"{threads} thread{'s' if threads > 1 else ''}: limit {limit / 1e9:.1f} GFLOP/s; "
        f"{step.flops / clips / 1e6:.1f} MFLOP a clip; a step of {clips} clips: {clips / step.seconds:.1f} clips/s, "
        f"{step.flops / step.seconds / limit:.1%} of the limit; asl train: {found['trainer']:.1f} clips/s",
        f"  {'':24}{'ms':>8}{'share':>8}{'MFLOP':>9}{'GFLOP/s':>9}{'of limit':>10}",
    ]
    for row in [*found["rows"], *found["passes"], step]:
        speed = row.flops / row.seconds if row.seconds else 0.0
        text = f"{row.flops / 1e6:9.0f}{speed / 1e9:9.1f}{speed / limit:10.1%}" if row.flops else ""
        share = row.seconds / step.seconds
        lines.append(f"  {row.name:24}{1000 * row.seconds:8.2f}{share:8.1%}{text}")
    return "\n".join(lines)


def operators(config_file: Path, threads: int, overrides: Sequence[str] = (), rows: int = 25) -> str:
    """Time by operator, from torch's profiler: three steps."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    torch.set_num_threads(threads)
    config, task, make_batch = build(config_file, overrides)
    whole = steps(task, config, make_batch())
    best_seconds(whole, 1)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        best_seconds(whole, 2)
    return found.key_averages().table(sort_by="self_cpu_time_total", row_limit=rows, max_name_column_width=45)


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--operators", action="store_true", help="torch's profile of three steps as well")
    options, overrides = parser.parse_known_args(argv)
    import torch

    print(f"{options.config.name}, torch {torch.__version__}, {os.cpu_count()} cores")
    for threads in options.threads:
        print(report(measure(options.config, threads, options.rounds, overrides), threads), flush=True)
        if options.operators:
            print(operators(options.config, threads, overrides))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from asl.cli import prefer_fast_kernels

    prefer_fast_kernels()
    main()
