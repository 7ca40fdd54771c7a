"""The WLASL recipe on a synthetic corpus of a few signs, trained for two epochs: all stages, no claim to learn."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asl.corpora.synthetic import synthesize

SIGNS = 4


class Recipe:
    """A copy of egs/wlasl beside links to this source tree."""

    def __init__(self, folder: Path, corpus: Path, *words: str) -> None:
        self.folder, self.corpus, self.words = folder, corpus, words
        self.exp = folder / f"exp/ctc_{SIGNS}_seed0"

    def command(self, *words):
        options = ("--corpus-dir", self.corpus, "--subset", SIGNS, "--head", "ctc", *self.words, *words)
        return [str(word) for word in (self.folder / "run.sh", *options)]

    def run(self, *words):
        """Run it; return what it said. A failure shows all of it."""
        done = subprocess.run(
            self.command(*words), env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert done.returncode == 0, done.stdout.decode()
        return done.stdout.decode()

    def environment(self):
        return {**os.environ, "ASL_PYTHON": sys.executable}

    def copy(self, folder: Path) -> "Recipe":
        """The same with all that it has made, elsewhere."""
        shutil.copytree(self.folder, folder / "egs/wlasl", copy_function=shutil.copy2)
        link_toolkit(folder)
        return Recipe(folder / "egs/wlasl", self.corpus, *self.words)


def link_toolkit(folder: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    for part in ("asl", "utils"):
        (folder / part).symlink_to(root / part)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A synthetic corpus in WLASL's format."""
    folder = tmp_path_factory.mktemp("corpora") / "wlasl"
    synthesize(str(folder), signs=SIGNS, signers=4, clips_per_sign=8)
    return folder


@pytest.fixture
def new_recipe(corpus, root):
    """``new_recipe(folder, *words)`` -> a Recipe in ``folder`` that trains for two epochs."""

    def new(folder: Path, *words: str) -> Recipe:
        ignored = shutil.ignore_patterns("data", "exp", "results", "RESULTS.md")
        shutil.copytree(root / "egs/wlasl", folder / "egs/wlasl", ignore=ignored)
        link_toolkit(folder)
        for name in ("ctc", "ctc_aux", "softmax_phon"):
            config = folder / f"egs/wlasl/conf/{name}.yaml"
            lines = config.read_text().splitlines()
            assert sum(line.strip().startswith("max_epochs:") for line in lines) == 1
            short = ["  max_epochs: 2" if line.strip().startswith("max_epochs:") else line for line in lines]
            config.write_text("\n".join(short) + "\n")
        return Recipe(folder / "egs/wlasl", corpus, *words)

    return new
