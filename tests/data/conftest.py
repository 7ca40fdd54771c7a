"""A recipe's data folder with made-up clips, as stage 1 leaves it."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from asl.corpora.manifests import Clip, write_manifests
from asl.lang.prepare import write_lang

WORDS = ["book", "drink", "go", "home"]


def two_hands(frames: int, seed: int) -> np.ndarray:
    """(frames, 2, 21, 3) float16: two hands that move; -1 where one was not found."""
    rng = np.random.default_rng(seed)
    shape = rng.normal(0, 0.03, (1, 2, 21, 3))
    centre = np.array([[0.35, 0.5, 0.0], [0.65, 0.5, 0.0]])[None, :, None]
    path = 0.1 * np.sin(np.linspace(0, 6, frames) + rng.uniform(0, 6))[:, None, None, None]
    hands = (shape + centre + path).astype(np.float16)
    hands[rng.random((frames, 2)) < 0.2] = -1
    hands[0] = hands[frames // 2] = (shape + centre).astype(np.float16)  # never without any hand
    return hands


@pytest.fixture
def make_data(tmp_path):
    """``make_data(train=12, val=3)`` -> the data folder of a corpus with so many clips of 20 to 60 frames."""

    def make(texts=None, rates=(Fraction(25),), frames=None, **splits) -> Path:
        source, clips = tmp_path / "corpus", []
        source.mkdir(exist_ok=True)
        for split, count in splits.items():
            for i in range(count):
                clip_id = f"{split}{i:03d}"
                length = frames(i) if frames else 20 + (7 * i) % 41
                np.save(source / f"{clip_id}.npy", two_hands(length, seed=len(clips)))
                text = texts(i) if texts else WORDS[i % len(WORDS)]
                clip = Clip(clip_id, split, text, "here", source / f"{clip_id}.npy", speaker=f"signer{i % 3}")
                clip.num_frames, clip.fps = length, rates[i % len(rates)]
                clips.append(clip)
        write_manifests(clips, tmp_path / "data", "ase")
        write_lang(WORDS, tmp_path / "data" / "lang")
        return tmp_path / "data"

    return make


@pytest.fixture
def imported(make_data):
    """``imported(train=12, val=3)`` -> the same after stage 2."""
    from asl.data.importing import import_landmarks

    def make(**options) -> Path:
        data = make_data(**options)
        import_landmarks(str(data))
        return data

    return make
