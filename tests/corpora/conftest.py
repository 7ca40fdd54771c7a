"""What the tests of corpora share: landmark files, and lhotse's own word on a manifest."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def hands_file():
    """``hands_file(path, frames)`` writes a two-hand array as WLASL's landmark files hold it."""

    def write(path: Path, frames: int = 30) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.full((frames, 2, 21, 3), 0.5, np.float16))
        return path

    return write


@pytest.fixture
def lhotse_validates():
    """``lhotse_validates(folder)`` runs lhotse's command line on the two manifests of a split."""

    def validate(folder: Path) -> None:
        lhotse = Path(sys.executable).with_name("lhotse")
        recordings, supervisions = folder / "recordings.jsonl.gz", folder / "supervisions.jsonl.gz"
        for words in (("validate", recordings), ("validate-pair", recordings, supervisions)):
            done = subprocess.run([lhotse, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert done.returncode == 0, done.stdout.decode()

    return validate
