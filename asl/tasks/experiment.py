"""The experiment folder: everything that a run was, and all that is needed to use its network again.

    exp/<name>/
      config.yaml       the resolved configuration (decoding is given the folder and nothing else)
      lang/             tokens.txt, words.txt, lexicon.txt as they were; phonology.tsv where it supervises;
                        sentencepiece.model and text.json where the tokens are pieces
      version.json      package versions, git commit, command line, seed, where and what the data were
      checkpoints/      last.ckpt, best.ckpt (averaged weights inside, under "ema"); mean.ckpt by its rules
      logs/             TensorBoard, epochs.jsonl
      curves.png        learning curves
      train.json        written at the end: parameters, seconds, validation metrics; for some tasks those on train too
"""

import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from jsonargparse import Namespace

from asl.common.errors import AslError
from asl.common.files import PathLike, atomic_path, hash_file, read_json, write_json, write_text
from asl.lang.folder import LANG_FILES, PIECES_FILE, PROBS_FILE, TEXT_FILE
from asl.lang.sentencepiece import read_pieces
from asl.tasks import config as configs
from asl.tasks import distributed, phonology, run_data
from asl.tasks.base import SignTask
from asl.tasks.weights import load_weights, read_weights

PACKAGES = ("torch", "lightning", "lhotse", "numpy", "k2", "kaldifst", "kaldi-decoder", "jsonargparse")
# where and how fast a run is made, not what it is: these may change when it is resumed
_FREE_KEYS = (
    "trainer.accelerator",
    "trainer.devices",
    "trainer.nodes",
    "trainer.threads",
    "trainer.log_every_n_steps",
    "trainer.max_nonfinite",
    "trainer.try_largest",
    "trainer.wandb",
    "trainer.save_every_minutes",
    "trainer.save_every_steps",
    "data.num_workers",
    "data.data_dir",  # what is in it is compared instead
    "init_from",
    "task.init_args.graph",  # its hash is compared instead
)


class LoadedTask(NamedTuple):
    """What ``load_task`` returns.

    Attributes:
        task: the network with its weights, in eval mode, on the CPU.
        config: the whole configuration; ``asl.tasks.config.instantiate_data(config, data_dir=…)`` builds the
            data module it was trained with on other data.
        lang: the folder of ``tokens.txt``, ``words.txt`` and ``lexicon.txt`` that it was trained with.
        checkpoint: the rule that was used, one of ``asl.tasks.weights.RULES``.
    """

    task: SignTask
    config: Namespace
    lang: Path
    checkpoint: str


def load_task(exp: PathLike, checkpoint: Optional[str] = None) -> LoadedTask:
    """Build the task of an experiment folder again and load its weights strictly.

    Args:
        exp: the folder.
        checkpoint: one of ``asl.tasks.weights.RULES``; None: that fixed in the run's own configuration.

    Raises:
        AslError: no such folder or not one of ``asl train``, a damaged checkpoint, weights that do not fit
            the configuration (both shapes are named), pieces of another number than the network was trained with.
    """
    exp = existing(exp)
    config = configs.read_config(exp / "config.yaml")
    _refuse_other_size(exp, config)
    rule = checkpoint or config.trainer.checkpoint
    weights = read_weights(exp, rule)
    task = configs.instantiate_task(config)
    load_weights(task, weights, exp)
    return LoadedTask(task.eval(), config, exp / "lang", rule)


def _refuse_other_size(exp: Path, config: Namespace) -> None:
    pieces, trained = read_pieces(exp / "lang"), config.task.init_args.get("vocab_size")
    if pieces is not None and trained and len(pieces) + 1 != trained:
        raise AslError(
            f"{exp / 'lang' / PIECES_FILE} has {len(pieces)} pieces, but the network in {exp} was trained with "
            f"{trained - 1}; put back the model that it was trained with"
        )


def refuse_other_pieces(source: Path, lang: Path, only: List[str]) -> None:
    """Raise AslError where all weights of ``source`` are to start a network for other pieces than they know.

    Args:
        only: prefixes of what is taken (``--init-only``); where some are given the pieces may differ.
    """
    if only or _content(source / "lang" / PIECES_FILE) == _content(lang / PIECES_FILE):
        return
    here, there = read_pieces(lang), read_pieces(source / "lang")
    if here is not None and there is not None:
        raise AslError(
            f"{source} was trained with other sentencepieces ({len(there)}) than {lang / PIECES_FILE} has ({len(here)}): "
            "its outputs mean others; take its encoder alone (--init-only encoder), or train with its pieces"
        )


def existing(exp: PathLike) -> Path:
    """Return ``exp`` as a path; AslError unless it is a folder that ``asl train`` made."""
    exp = Path(exp)
    if not exp.is_dir():
        near = exp.parent.is_dir() and sorted(p.parent.name for p in exp.parent.glob("*/config.yaml"))
        there = f"; {exp.parent} has {', '.join(near)}" if near else "; train first, or check the path"
        raise AslError(f"there is no experiment folder {exp}{there}")
    if not (exp / "config.yaml").is_file():
        raise AslError(f"{exp} has no config.yaml: it is not a folder that 'asl train' made")
    return exp


def prepare(exp: Path, config: Namespace, lang: Path, argv: List[str], force: bool) -> Optional[Path]:
    """Make ``exp`` ready for training; return the checkpoint to go on from, or None to start.

    Args:
        lang: ``data/lang``, copied.
        argv: the command line, for ``version.json``.
        force: remove what an earlier run left.

    Raises:
        AslError: ``exp`` holds a run of another configuration or other tokens; the differing keys are named.
    """
    last = exp / "checkpoints" / "last.ckpt"
    if not distributed.is_first():  # that one did it before it started the others
        return last if last.is_file() else None
    if force:
        _remove_run(exp)
    if last.is_file() or config.resume:
        _refuse_another_run(exp, config, lang)
    if last.is_file():
        return last
    _remove_run(exp)
    for name, source in lang_files(config, lang).items():
        with atomic_path(exp / "lang" / name) as tmp:
            shutil.copyfile(source, tmp)
    write_text(exp / "config.yaml", configs.dump(config))
    write_json(exp / "version.json", {**version_info(argv, config.seed), **run_data.record(exp, config)})
    return None


def _content(path: Path) -> Optional[str]:
    return hash_file(path) if path.is_file() else None


def lang_files(config: Namespace, lang: Path) -> Dict[str, Path]:
    """Name in ``exp/lang`` -> the file that is copied there."""
    table = phonology.table_of(config, lang)
    files = {name: lang / name for name in LANG_FILES}
    if (lang / PROBS_FILE).is_file():  # which pronunciation a word was trained with
        files[PROBS_FILE] = lang / PROBS_FILE
    if (lang / PIECES_FILE).is_file():
        files.update({name: lang / name for name in (PIECES_FILE, TEXT_FILE)})
    return files if table is None else {**files, phonology.TABLE: table}


def _remove_run(exp: Path) -> None:
    for name in ("checkpoints", "logs"):
        shutil.rmtree(exp / name, ignore_errors=True)
    for name in ("train.json", "curves.png"):
        (exp / name).unlink(missing_ok=True)


def _refuse_another_run(exp: Path, config: Namespace, lang: Path) -> None:
    import yaml

    # read and written again: what options had no name then has its default now
    old = configs.flatten(yaml.safe_load(configs.dump(configs.read_config(exp / "config.yaml"))))
    new = configs.flatten(yaml.safe_load(configs.dump(config)))
    keys = [k for k in dict.fromkeys((*old, *new)) if k not in _FREE_KEYS]
    differing = [k for k in keys if old.get(k) != new.get(k)]
    way_out = "Give another --exp, or --force to train again from the start"
    if differing:
        shown = [f"{k} ({old.get(k)} there, {new.get(k)} now)" for k in differing[:5]]
        more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
        raise AslError(f"{exp} holds a run of another configuration: {', '.join(shown)}{more}. {way_out}")
    sources = lang_files(config, lang)
    if any(_content(path) != _content(exp / "lang" / name) for name, path in sources.items()):
        what = "other tokens (or another phonology table)"
        raise AslError(f"{exp} holds a run with {what} than {lang} has now. {way_out}")
    run_data.refuse_other_data(exp, config)


def version_info(argv: List[str], seed: int) -> Dict[str, Any]:
    """What a run was made with: package versions, git commit, command line, seed."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "command": ["asl", "train", *argv],
        "seed": seed,
        **git_state(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
    }


def git_state() -> Dict[str, Any]:
    """``{"commit", "dirty"}`` of the source tree that runs; None where it is no git checkout."""
    root = Path(__file__).resolve().parents[2]

    def git(*args: str) -> Optional[str]:
        try:
            command = ["git", "-C", str(root), *args]
            done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    status = git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def read_result(exp: PathLike) -> Dict[str, Any]:
    """``train.json`` of a finished run: ``parameters, train_seconds, seed, checkpoint, val, …``.

    Raises:
        AslError: no such run, or it did not come to its end.
    """
    path = existing(exp) / "train.json"
    if not path.is_file():
        raise AslError(f"{exp} has no train.json: training did not come to its end; run 'asl train' again")
    return read_json(path)
