"""Small videos, the manifests that list them, and an estimator that costs nothing; importable by other processes."""

import functools
import os
import signal
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import asl.data.extracting
from asl.common.jsonl import write_jsonl

PARTS = {"pose": (33, 4), "face": (468, 3), "left_hand": (21, 3), "right_hand": (21, 3)}


class FakeEstimator:
    """Finds the picture's mean brightness everywhere; nothing in black ones; fails on light, dies of white ones."""

    layout, parts, about = "holistic543", PARTS, {"name": "fake"}
    made = 0

    def __init__(self, delay: float = 0.0) -> None:
        FakeEstimator.made += 1
        self._delay = delay

    def new_tracker(self):
        return self

    def __call__(self, image):
        time.sleep(self._delay)
        mean = float(image.mean())
        if 240 < mean < 250:
            raise ValueError("this grey is too light")
        if mean > 250:
            os.kill(os.getpid(), signal.SIGKILL)
        value = np.nan if mean < 5 else mean / 255
        return {name: np.full(shape, value, np.float32) for name, shape in PARTS.items()}

    def close(self):
        pass


def use_fake(delay: float = 0.0) -> None:
    """From now on ``asl landmarks extract`` of this process (and its workers) has the fake estimator."""
    asl.data.extracting.estimator_maker = lambda settings: functools.partial(FakeEstimator, delay)


def run_here(executor, function, tasks, tick):
    """``run_tasks`` in this process: no second is spent on starting others."""
    for task in tasks:
        yield task, function(task)
        tick()


def extract_here(data: Path, **options):
    """``asl landmarks extract`` in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asl.data.extracting, "run_tasks", run_here)
        return asl.data.extracting.extract_landmarks(str(data), **options)


def write_video(path: Path, frames: int, number: int = 0, fps: float = 25.0, size=(128, 96), level=None,
                codec: str = "mp4v") -> Path:  # fmt: skip
    """A video whose frames are all different (by ``number`` and by time), or all of one ``level``."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, size)
    for i in range(frames):
        image = np.full((size[1], size[0], 3), 40 + (number * 31 + i * 3) % 160 if level is None else level, np.uint8)
        image[:, : size[0] // 2] //= 2 if level is None else 1
        writer.write(image)
    writer.release()
    return path


def write_corpus(data: Path, clips) -> Path:
    """Stage 1's manifests of ``(id, split, video, frames, (start, end) or None)`` clips, at 25 fps."""
    rows = {}
    for clip_id, split, video, frames, span in clips:
        recording = {
            "id": clip_id,
            "sources": [{"type": "file", "channels": [0], "source": os.path.relpath(video, data / split)}],
            "sampling_rate": 25, "num_samples": frames, "duration": frames / 25,
        }  # fmt: skip
        supervision = {
            "id": clip_id, "recording_id": clip_id, "start": 0.0, "duration": frames / 25, "channel": 0,
            "text": "book", "speaker": "signer0",
            "custom": {"fps_from": "video", "fps_estimated": False, **({"source_times": span} if span else {})},
        }  # fmt: skip
        rows.setdefault(split, []).append((recording, supervision))
    for split, pairs in rows.items():
        write_jsonl(data / split / "recordings.jsonl.gz", [r for r, _ in pairs])
        write_jsonl(data / split / "supervisions.jsonl.gz", [s for _, s in pairs])
    return data


def make_corpus(folder: Path, videos: int = 6, frames: int = 20, long: int = 0) -> Path:
    """A corpus of ``videos`` videos of one clip each, and one more video with ``long`` clips of 10 frames."""
    clips = []
    for i in range(videos):
        video = write_video(folder / "corpus" / f"v{i:02d}.mp4", frames + i, i)
        clips.append((f"v{i:02d}", "val" if i % 5 == 4 else "train", video, frames + i, None))
    if long:
        video = write_video(folder / "corpus" / "long.mp4", long * 12, 50)
        for i in range(long):
            start = i * 12 / 25
            clips.append((f"long-{i:03d}", "train", video, 10, (start, start + float(Fraction(10, 25)))))
    return write_corpus(folder / "data", clips)


def contents(data: Path):
    """The bytes of every landmark file, by name."""
    return {path.name: path.read_bytes() for path in (data / "landmarks" / "clips").iterdir()}
