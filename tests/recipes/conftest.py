"""The WLASL recipe on a synthetic corpus of a few signs, trained for two epochs: all stages, no claim to learn."""

import os
import re
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
        return said_by(self.command(*words))

    def environment(self):
        return with_this_python()

    def copy(self, folder: Path) -> "Recipe":
        """The same with all that it has made, elsewhere."""
        shutil.copytree(self.folder, folder / "egs/wlasl", copy_function=shutil.copy2)
        link_toolkit(folder)
        return Recipe(folder / "egs/wlasl", self.corpus, *self.words)


def link_toolkit(folder: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    for part in ("asl", "utils"):
        (folder / part).symlink_to(root / part)


def copy_recipe(folder: Path, name: str, epochs: int, *configs: str) -> Path:
    """Copy egs/NAME, nothing that it has made, into ``folder`` beside the toolkit; its configs train so many epochs."""
    link_toolkit(folder)
    recipe = folder / "egs" / name
    ignored = shutil.ignore_patterns("data*", "exp", "results", "RESULTS.md")
    shutil.copytree((folder / "asl").resolve().parent / "egs" / name, recipe, ignore=ignored)
    for config in configs:
        shorten(recipe / f"conf/{config}.yaml", epochs)
    return recipe


def shorten(config: Path, epochs: int) -> None:
    """Have a config train for so many epochs."""
    text, found = re.subn(r"(?m)^( *max_epochs:) .*$", rf"\1 {epochs}", config.read_text())
    assert found == 1, config
    config.write_text(text)


def with_this_python():
    return {**os.environ, "ASL_PYTHON": sys.executable}


def said_by(command) -> str:
    """Run it; return what it said. A failure shows all of it."""
    done = subprocess.run(
        [str(word) for word in command], env=with_this_python(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A synthetic corpus in WLASL's format."""
    folder = tmp_path_factory.mktemp("corpora") / "wlasl"
    synthesize(str(folder), signs=SIGNS, signers=4, clips_per_sign=8)
    return folder


@pytest.fixture
def new_recipe(corpus):
    """``new_recipe(folder, *words)`` -> a Recipe in ``folder`` that trains for two epochs."""

    def new(folder: Path, *words: str) -> Recipe:
        copy_recipe(folder, "wlasl", 2, "ctc", "ctc_aux", "softmax_phon")
        return Recipe(folder / "egs/wlasl", corpus, *words)

    return new
