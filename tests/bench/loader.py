"""Does the loader keep up with training? python tests/bench/loader.py [--data DIR] [--config FILE]

Measured on one core each: batches of the loader with one worker alone, training steps alone (forward,
backward, optimiser, on batches made before), then both together as in training. Without --data, clips of
WLASL's lengths are made up.
"""

import argparse
import os
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "egs" / "wlasl" / "conf" / "softmax.yaml"


def make_up(folder: Path, clips: int = 748, signs: int = 100) -> None:
    """A data folder of one train split: two hands of noise, 64 frames on average."""
    import numpy as np

    from asl.corpora.manifests import Clip, write_manifests
    from asl.data.importing import import_landmarks
    from asl.lang.prepare import write_lang

    rng = np.random.default_rng(0)
    words, listed = [f"sign{i}" for i in range(signs)], []
    for i in range(clips):
        array = rng.random((int(rng.integers(30, 98)), 2, 21, 3)).astype(np.float16)
        array[rng.random(array.shape[:2]) < 0.4] = -1
        path = folder / f"{i:04d}.npy"
        np.save(path, array)
        clip = Clip(f"{i:04d}", "train", words[i % signs], "made up", path)
        clip.num_frames, clip.fps = len(array), Fraction(25)
        listed.append(clip)
    write_manifests(listed, folder / "data", None)
    write_lang(words, folder / "data" / "lang")
    import_landmarks(str(folder / "data"))


def build(config_file: Path, data: Path) -> Any:
    """The task and the data module of a configuration."""
    from asl.lang.tokens import TokenTable
    from asl.tasks import config as configs
    from asl.tasks.train import fill_in

    config = configs.parse(["--config", str(config_file), f"--data.data_dir={data}", "--data.num_workers=1"])
    module = configs.instantiate_data(config)
    fill_in(config, module.pipeline.feature_parts, len(TokenTable.read(data / "lang" / "tokens.txt")))
    return configs.instantiate_task(config).train(), module


def stepper(task: Any) -> Any:
    """One optimiser step on a batch."""
    import torch

    optimizer = torch.optim.AdamW(task.parameters(), lr=1e-4)

    def step(batch: Dict[str, Any]) -> None:
        task.training_loss(batch)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure(config_file: Path, data: Path, epochs: int) -> Dict[str, float]:
    """Seconds a batch of the loader, a step, and of both together; share of the latter spent waiting."""
    import torch

    torch.set_num_threads(1)
    task, module = build(config_file, data)
    step, loader = stepper(task), module.train_dataloader()
    batches = list(loader)  # starts the worker, fills the caches of the system
    start = time.perf_counter()
    for epoch in range(1, epochs + 1):
        loader.sampler.set_epoch(epoch)
        count = sum(1 for _ in loader)
    load = (time.perf_counter() - start) / (epochs * count)

    for batch in batches[:3]:
        step(batch)
    start = time.perf_counter()
    for _ in range(epochs):
        for batch in batches:
            step(batch)
    train = (time.perf_counter() - start) / (epochs * len(batches))

    waiting, start = 0.0, time.perf_counter()
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        mark = time.perf_counter()
        for batch in loader:
            waiting += time.perf_counter() - mark
            step(batch)
            mark = time.perf_counter()
    both = time.perf_counter() - start
    return {"load": load, "train": train, "both": both / (epochs * len(batches)), "waiting": waiting / both}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="data folder after stage 2")
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.data is None:
            make_up(Path(folder))
        found = measure(options.config, options.data or Path(folder) / "data", options.epochs)
    print(f"loader, 1 worker: {1000 * found['load']:6.1f} ms a batch")
    print(f"training, 1 core: {1000 * found['train']:6.1f} ms a step; the loader is {found['train'] / found['load']:.1f}"
          " times as fast")  # fmt: skip
    print(f"both together:    {1000 * found['both']:6.1f} ms a step, {found['waiting']:.1%} of it waiting for data")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path.insert(0, str(ROOT))
    main()
