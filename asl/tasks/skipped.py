"""Clips that have no sequence loss: counted and named, epoch by epoch."""

from pathlib import Path
from typing import Any, Dict, List

import lightning as L

from asl.common.jsonl import write_jsonl
from asl.tasks.discriminative import DiscriminativeTask
from asl.tasks.guards import gathered, some


class SkippedLog(L.Callback):
    """Write ``logs/skipped.jsonl`` and print a line, where training clips were left out of MMI or MWER.

    A row has ``epoch`` (from 1), ``why`` and the ``ids`` of the clips, of all processes. Rows, and what the epoch has
    had so far, belong to the checkpoint.

    Args:
        exp: the experiment folder.
    """

    def __init__(self, exp: Path) -> None:
        self.path = exp / "logs" / "skipped.jsonl"
        self.rows: List[Dict[str, Any]] = []
        self._epoch: Dict[str, List[str]] = {}

    def state_dict(self) -> Dict[str, Any]:
        return {"rows": self.rows, "epoch": self._epoch}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self.rows, self._epoch = list(state["rows"]), dict(state["epoch"])

    def on_train_batch_end(
        self, trainer: L.Trainer, task: DiscriminativeTask, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not batch.get("spare", False):
            for why, ids in task.skipped.items():
                self._epoch[why] = self._epoch.get(why, []) + ids

    def on_train_epoch_end(self, trainer: L.Trainer, task: DiscriminativeTask) -> None:
        found, self._epoch = gathered(trainer, self._epoch), {}
        for why in sorted({why for one in found for why in one}):
            ids = sorted(i for one in found for i in one.get(why, []))
            self.rows.append({"epoch": trainer.current_epoch + 1, "why": why, "ids": ids})
            if trainer.is_global_zero:
                epoch, count = trainer.current_epoch + 1, len(ids)
                print(f"epoch {epoch}: {count} clips without {task.loss_name}, {why}: {some(ids)}", flush=True)
        if trainer.is_global_zero and self.rows:
            write_jsonl(self.path, self.rows)
