"""A tiny task, its network and its data: the platform is tested apart from the rooms that it serves."""

from pathlib import Path
from typing import Callable, Dict, Optional, Tuple

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Sampler

from asl.common.seeds import derive_seed
from asl.lang.prepare import write_lang
from asl.tasks import config as configs
from asl.tasks.base import OptimizerConfig, SignTask

CLASSES, WIDTH = 4, 6


class ToyEncoder(nn.Module):
    """Mean over frames, one layer, dropout."""

    def __init__(self, feature_parts: Dict[str, int], dim: int = 16, dropout: float = 0.2) -> None:
        super().__init__()
        self.layer = nn.Linear(sum(feature_parts.values()), dim)
        self.norm = nn.BatchNorm1d(dim)
        self.dropout = nn.Dropout(dropout)
        self.output_dim = dim

    def forward(self, features: Tensor) -> Tensor:
        return self.dropout(torch.relu(self.norm(self.layer(features.mean(1)))))


class ToyTask(SignTask):
    monitor, monitor_mode = "top1", "max"

    def __init__(
        self,
        encoder: Callable[[Dict[str, int]], nn.Module],
        smoothing: float = 0.0,
        feature_parts: Optional[Dict[str, int]] = None,
        vocab_size: int = 0,
        optimizer: OptimizerConfig = OptimizerConfig(),
    ) -> None:
        super().__init__(feature_parts, vocab_size, optimizer)
        self.encoder = encoder(self.feature_parts)
        self.head = nn.Linear(self.encoder.output_dim, vocab_size)
        self.smoothing = smoothing

    def log_probs(self, batch):
        return torch.log_softmax(self.head(self.encoder(batch["features"])), -1), batch["feature_lengths"]

    def training_loss(self, batch):
        logits = self.head(self.encoder(batch["features"]))
        return {"loss": F.cross_entropy(logits, batch["tokens"], label_smoothing=self.smoothing)}

    def validation_metrics(self, batch):
        scores, _ = self.log_probs(batch)
        count = len(scores)
        correct = (scores.argmax(-1) == batch["tokens"]).sum()
        return {"loss": (F.nll_loss(scores, batch["tokens"]) * count, count), "top1": (correct, count)}


class Pipeline:
    def __init__(self, layout: str = "toy", width: int = WIDTH) -> None:
        self.feature_parts = {"right": width - 2, "left": 2}


class ToyData(L.LightningDataModule):
    """Clips whose class shows in their mean; batches are a function of (seed, epoch)."""

    def __init__(
        self,
        pipeline: Pipeline,
        data_dir: str = "data",
        batch_size: int = 8,
        clips: int = 40,
        num_workers: int = 0,
        seed: int = 0,
        overfit: int = 0,
    ) -> None:
        super().__init__()
        self.pipeline, self.batch_size, self.seed, self.num_workers = pipeline, batch_size, seed, num_workers
        self.lang_dir = Path(data_dir) / "lang"
        generator = torch.Generator().manual_seed(7)
        self.labels = torch.arange(overfit or clips) % CLASSES + 1
        centres = torch.randn(CLASSES + 1, 1, sum(pipeline.feature_parts.values()), generator=generator)
        noise = torch.randn(len(self.labels), 5, centres.shape[-1], generator=generator)
        self.features = centres[self.labels] + noise

        self._start = (0, 0)

    @property
    def feature_parts(self):
        return self.pipeline.feature_parts

    def start_at(self, epoch: int, step: int) -> None:
        self._start = (epoch, step)

    def batch(self, rows):
        ids, lengths = [f"clip{row}" for row in rows], torch.full((len(rows),), 5)
        return {"ids": ids, "features": self.features[rows], "tokens": self.labels[rows], "feature_lengths": lengths}

    def train_dataloader(self):
        return self._loader(_Batches(self, shuffle=True, start=self._start))

    def val_dataloader(self):
        return self._loader(_Batches(self, shuffle=False, start=(0, 0)))

    def _loader(self, sampler):
        return DataLoader(_Clips(self), sampler=sampler, batch_size=None, num_workers=self.num_workers)


class _Clips:
    def __init__(self, data: ToyData) -> None:
        self.data = data

    def __getitem__(self, rows):
        return self.data.batch(rows)


class _Batches(Sampler):
    def __init__(self, data: ToyData, shuffle: bool, start: Tuple[int, int]) -> None:
        self.data, self.shuffle, self.epoch, self.start = data, shuffle, start[0], start

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.data.labels) // self.data.batch_size)

    def __iter__(self):
        order = torch.arange(len(self.data.labels))
        if self.shuffle:
            generator = torch.Generator().manual_seed(derive_seed(self.data.seed, self.epoch))
            order = order[torch.randperm(len(order), generator=generator)]
        skip = self.start[1] if self.shuffle and self.start[0] == self.epoch else 0
        # lists: tensors of one storage, sent to two workers at once, can reach them as other numbers
        return (rows.tolist() for rows in order.split(self.data.batch_size)[skip:])


CONFIG = """
seed: 3
task:
  class_path: ToyTask
  init_args:
    encoder:
      class_path: ToyEncoder
      init_args: {{dim: 8}}
    optimizer: {{lr: 1e-2, warmup_steps: 5}}
data:
  pipeline: {{layout: toy}}
  data_dir: {data}
trainer:
  max_epochs: 6
  ema_decay: 0.9
  accelerator: cpu
"""


def make_project(folder: Path) -> Path:
    """Write data/lang and conf.yaml into ``folder``; return the config's path."""
    write_lang([f"sign{i}" for i in range(CLASSES)], folder / "data" / "lang")
    config = folder / "conf.yaml"
    config.write_text(CONFIG.format(data=folder / "data"))
    return config


def run(argv) -> None:
    """``asl train`` on toy data; a process of its own calls this, to be killed."""
    from asl.tasks.train import main

    configs.data_class = lambda: ToyData
    main(argv)
