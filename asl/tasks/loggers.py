"""Where measurements go beside ``logs/epochs.jsonl``: TensorBoard, and Weights & Biases by option."""

import contextlib
import uuid
from pathlib import Path
from typing import Any, Iterator, List, Optional, Sequence

from asl.common.errors import AslError
from asl.common.files import read_json, write_json


def make_loggers(exp: Path, project: Optional[str]) -> List[Any]:
    """Lightning's loggers of a run.

    Args:
        exp: the experiment folder; all of them write into its ``logs``.
        project: of Weights & Biases; None: TensorBoard alone. The run's id is kept in ``logs/wandb.json``, so
            that a resumed run goes on in the same curves. What the program itself reads from the environment
            (``WANDB_MODE=offline``, ``WANDB_API_KEY``) holds.

    Raises:
        AslError: the package wandb is not there; says how to install it.
    """
    from lightning.pytorch.loggers import TensorBoardLogger

    loggers: List[Any] = [TensorBoardLogger(exp, name="logs", version="")]
    if project:
        loggers.append(_wandb(exp, project))
    return loggers


@contextlib.contextmanager
def closing(loggers: Sequence[Any]) -> Iterator[None]:
    """Let a run at Weights & Biases end here, as failed where an error passes: a later one is another."""
    try:
        yield
    except BaseException:
        _finish(loggers, 1)
        raise
    _finish(loggers, 0)


def _finish(loggers: Sequence[Any], status: int) -> None:
    if any(type(logger).__name__ == "WandbLogger" for logger in loggers):
        import wandb

        wandb.finish(exit_code=status)


def _wandb(exp: Path, project: str) -> Any:
    try:
        import wandb  # noqa: F401
        from lightning.pytorch.loggers import WandbLogger

        (exp / "logs").mkdir(parents=True, exist_ok=True)
        return WandbLogger(project=project, name=exp.name, id=run_id(exp, project), save_dir=exp / "logs")
    except ModuleNotFoundError as e:
        raise AslError(
            f"trainer.wandb is {project}, but the package {e.name} is not installed; pip install 'asl[wandb]' (or "
            "pip install wandb), or leave the option out"
        ) from None


def run_id(exp: Path, project: str) -> str:
    """The id of this run at Weights & Biases: made once, the same after every resume."""
    path = exp / "logs" / "wandb.json"
    if path.is_file():
        return read_json(path)["id"]
    made = uuid.uuid4().hex[:8]
    write_json(path, {"project": project, "id": made})
    return made
