"""Are two processes twice as fast as one, and is a long video decoded once for all its sentences?

    python tests/bench/extract_many.py CLIPS [--nj 2] [--repeat 1] [--only speed decode] [--out FILE]

CLIPS is a folder of .mp4 files, a clip each. Both are asked of ``asl landmarks extract``, from manifests to files.

speed    the clips with MediaPipe, with one process and with N, in turn; frames a second of the clock, from the
         command's start (its processes, their imports and models among it) to its end. The load of the machine
         stands beside it: what others take is missing from both figures.
decode   a video of 40 minutes with 200 sentences, as small as can be, with an estimator that costs nothing: how
         many frames are decoded
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from asl.common.files import write_json  # noqa: E402
from asl.data.extracting import extract_landmarks  # noqa: E402
from asl.landmarks.video import probe_video  # noqa: E402
from tests.data.extraction import use_fake, write_corpus, write_video  # noqa: E402

MINUTES, SENTENCES, FPS = 40, 200, 25


def speed(clips: List[Path], nj: int, folder: Path) -> Dict[str, Any]:
    """One run of the command over the clips, from nothing."""
    rows = [(clip.stem, "train", clip, probe_video(clip).frames, None) for clip in clips]
    data = write_corpus(folder / f"data-{nj}-{time.monotonic_ns()}", rows)
    before, cpu, clock = os.getloadavg()[0], _cpu(), time.perf_counter()
    report = extract_landmarks(str(data), nj=nj, max_failures=1.0)
    seconds, used = time.perf_counter() - clock, _cpu() - cpu
    frames = report["this_run"]["frames"]
    row = {
        "nj": nj, "frames": frames, "seconds": seconds, "frames_per_second": frames / seconds, "cpu_seconds": used,
        "cpu_ms_per_frame": 1000 * used / frames, "load_before": before, "load_after": os.getloadavg()[0],
    }  # fmt: skip
    print({key: round(value, 2) for key, value in row.items()}, flush=True)
    return row


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def decode(folder: Path) -> Dict[str, Any]:
    """A long video with many sentences, which leave gaps and overlap here and there."""
    use_fake()
    frames = MINUTES * 60 * FPS
    video = write_video(folder / "long.mp4", frames, size=(128, 96))
    length = MINUTES * 60 / SENTENCES
    spans = [(i * length, min((i + (1.05 if i % 7 == 0 else 0.9)) * length, MINUTES * 60)) for i in range(SENTENCES)]
    rows = [(f"s{i:03d}", "train", video, round((e - s) * FPS), (s, e)) for i, (s, e) in enumerate(spans)]
    report = extract_landmarks(str(write_corpus(folder / "long", rows)))
    found = {"frames_of_the_video": frames, "decoded": report["this_run"]["decoded"], "clips": report["this_run"]["clips"]}
    print(found)
    assert found["decoded"] <= frames and found["clips"] == SENTENCES
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--nj", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=("speed", "decode"), default=["speed", "decode"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result: Dict[str, Any] = {"cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as name:
        if "speed" in options.only:
            clips = sorted(options.clips.resolve().glob("*.mp4"))
            rows = [speed(clips, nj, Path(name)) for _ in range(options.repeat) for nj in (1, options.nj)]
            best = {nj: max(r["frames_per_second"] for r in rows if r["nj"] == nj) for nj in (1, options.nj)}
            result["speed"], result["times"] = rows, best[options.nj] / best[1]
            print(f"{options.nj} processes: {result['times']:.2f} times as fast as one")
        if "decode" in options.only:
            result["decode"] = decode(Path(name))
    if options.out:
        write_json(options.out, result)


if __name__ == "__main__":
    main()
