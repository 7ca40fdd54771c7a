"""Fixtures that every room's tests share."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asl.cli import prefer_fast_kernels

# As the commands do, and before torch is imported: a network trained in this process and one trained by a command
# are the same to the last bit only with the same kernels.
prefer_fast_kernels()
# One thread a process: results do not depend on the machine, and tests do not fight over its cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder that holds ``asl``, ``egs``, ``utils``."""
    return ROOT


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real corpora, named by ``ASL_CORPORA``; absent is a failure, never a skip."""
    folder = os.environ.get("ASL_CORPORA")
    if not folder or not Path(folder).is_dir():
        pytest.fail("set ASL_CORPORA to the folder of real corpora, or deselect with -m 'not corpora'")
    return Path(folder).resolve()


@pytest.fixture
def make_recipe(tmp_path):
    """``make_recipe(name="wlasl")`` -> a fresh copy of ``egs/<name>`` that runs against this source tree."""

    def make(name: str = "TEMPLATE") -> Path:
        recipe = tmp_path / "egs" / name
        shutil.copytree(
            ROOT / "egs" / name, recipe, ignore=shutil.ignore_patterns("data", "exp", "results", "RESULTS.md")
        )
        # a symlink keeps the recipe's own ../.. right wherever the copy lies
        for entry in ("asl", "utils"):
            (tmp_path / entry).symlink_to(ROOT / entry)
        return recipe

    return make


@pytest.fixture
def run_shell():
    """``run_shell(*words, cwd=...)`` -> CompletedProcess with text output, stdin closed, this Python for ``asl``."""

    def run(*words, cwd=None, timeout=600, **env):
        return subprocess.run(
            [str(w) for w in words],
            cwd=cwd,
            env={**os.environ, "ASL_PYTHON": sys.executable, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=timeout,
        )

    return run
