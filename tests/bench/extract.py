"""What does extraction cost over MediaPipe itself, does it agree with the owner's landmarks, does its memory stay flat?

    python tests/bench/extract.py --corpus-dir HOW2SIGN [--only reference time memory] [--out FOLDER]

HOW2SIGN is a folder with clips/*.mp4 and the landmarks of the same clips in landmarks/*.npz. Each figure is a ratio
or a difference within one run. Seconds are the process's own (CPU, all its threads), so that work beside it on the
machine does not count; those of the clock are given too. Into the folder goes extract.json.

reference   every clip extracted again, against its landmarks
time        a bare loop of MediaPipe calls on decoded pictures, with one tracker that is made anew, or reset, for every
            clip; the same with the decoding; and asl's extraction from file to file. Clip by clip in turn.
memory      300 clips of three frames; resident memory after 10, 50, 100, ... of them
"""

import argparse
import gc
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from asl.common.files import write_json  # noqa: E402
from asl.landmarks.estimator import Estimator, make_estimator  # noqa: E402
from asl.landmarks.npz_files import write_npz  # noqa: E402
from asl.landmarks.spans import Span, extract_spans  # noqa: E402

Seconds = Tuple[float, float]  # of the process, of the clock


def measured(work: Callable[[], Any]) -> Seconds:
    """Seconds that ``work`` takes."""
    cpu, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - clock


def reference(clips: List[Path], estimator: Estimator) -> List[Dict[str, Any]]:
    """Each clip against the owner's landmarks."""
    rows = []
    for clip in clips:
        (mine,) = extract_spans(clip, [Span(clip.stem)], estimator)
        with np.load(clip.parent.parent / "landmarks" / f"{clip.stem}.npz") as theirs:
            row: Dict[str, Any] = {"clip": clip.stem, "frames": len(mine.times), "parts": {}}
            for name, part in mine.parts.items():
                row["parts"][name] = compare(part, theirs[name])
        print(f"{clip.stem}: {row['frames']} frames")
        rows.append(row)
    parts = [part for row in rows for part in row["parts"].values()]
    for key in ("same_shape", "same_frames_found", "same_bits"):
        print(f"{key}: {sum(part.get(key, False) for part in parts)} of {len(parts)} parts of {len(rows)} clips")
    largest = max(part.get("mean", 0.0) for part in parts)
    print(f"mean difference of a part of a clip, at most: {largest:.2e} of the picture")
    return rows


def compare(part: np.ndarray, theirs: np.ndarray) -> Dict[str, Any]:
    """One part of one clip. ``same_bits``: rounded to the type of the owner's file (half precision for the face)."""
    if part.shape != theirs.shape:
        return {"same_shape": False}
    found, known = (np.isfinite(p[..., 0]).any(axis=1) for p in (part, theirs))
    row = {"same_shape": True, "same_frames_found": bool((found == known).all()), "found": int(found.sum())}
    row["same_bits"] = bool(np.array_equal(part.astype(theirs.dtype), theirs, equal_nan=True))
    apart = np.abs(part - theirs.astype(np.float32))[found & known][..., :2]
    return {**row, "mean": float(apart.mean()), "max": float(apart.max())} if apart.size else row


def pictures(clip: Path) -> List[np.ndarray]:
    """The plainest way to read a video."""
    capture, frames = cv2.VideoCapture(str(clip)), []
    while True:
        more, picture = capture.read()
        if not more:
            return frames
        frames.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def times(clips: List[Path], estimator: Estimator, folder: Path, rounds: int) -> Dict[str, Any]:
    """Extraction, and loops of MediaPipe calls on the same frames."""
    from mediapipe.python.solutions.holistic import Holistic

    kept = Holistic(model_complexity=1)

    def bare(frames: List[np.ndarray], anew: bool) -> None:
        tracker = Holistic(model_complexity=1) if anew else kept
        if not anew:
            tracker.reset()
        for frame in frames:
            tracker.process(frame)
        if anew:
            tracker.close()

    def ours(clip: Path) -> None:
        for extracted in extract_spans(clip, [Span(clip.stem)], estimator):
            write_npz(folder / f"{clip.stem}.npz", extracted, {"source": clip.name})

    spent: Dict[str, List[Seconds]] = {}
    frames_seen = 0
    for turn in range(rounds + 1):
        for clip in clips if turn else clips[:1]:  # the first turn warms up
            frames = pictures(clip)
            ways = {
                "MediaPipe, a new tracker a clip": lambda: bare(frames, True),
                "MediaPipe, the tracker reset": lambda: bare(frames, False),
                "decoding and MediaPipe, reset": lambda: bare(pictures(clip), False),
                "asl, file to file": lambda: ours(clip),
            }
            names = sorted(ways, reverse=bool(turn % 2))
            for name in names:
                seconds = measured(ways[name])
                if turn:
                    spent.setdefault(name, []).append(seconds)
            frames_seen += len(frames) * bool(turn)
    totals = {name: tuple(float(sum(s)) for s in zip(*rows)) for name, rows in spent.items()}
    base = totals["MediaPipe, a new tracker a clip"]
    for name, (cpu, clock) in totals.items():
        per_frame = f"{1000 * cpu / frames_seen:6.2f} ms a frame (CPU), {1000 * clock / frames_seen:6.2f} (clock)"
        print(f"{name:34s} {per_frame}; over the first: {cpu / base[0]:.3f} CPU, {clock / base[1]:.3f} clock")
    return {"frames": frames_seen, "seconds": totals}


def resident() -> float:
    """Resident memory of this process, in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(clips: List[Path], estimator: Estimator, folder: Path, count: int = 300) -> Dict[int, float]:
    """Resident memory while ``count`` short clips are extracted."""
    sizes = {}
    for i in range(1, count + 1):
        clip = clips[i % len(clips)]
        for extracted in extract_spans(clip, [Span(f"clip{i}", 0.0, 0.125)], estimator):
            write_npz(folder / f"{extracted.id}.npz", extracted, {})
        if i % 50 == 0 or i == 10:
            gc.collect()
            sizes[i] = resident()
            print(f"{i:4d} clips: {sizes[i]:.1f} MiB")
    return sizes


def main() -> None:
    """Run what ``--only`` names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=["reference", "time", "memory"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    clips = sorted((args.corpus_dir / "clips").glob("*.mp4"))
    estimator = make_estimator()
    result: Dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: Dict[str, Callable[[], Any]] = {
            "reference": lambda: reference(clips, estimator),
            "time": lambda: times(clips, estimator, folder, args.rounds),
            "memory": lambda: memory(clips, estimator, folder),
        }
        for part in args.only:
            print(f"--- {part}")
            result[part] = parts[part]()
    if args.out:
        write_json(args.out / "extract.json", result)


if __name__ == "__main__":
    main()
