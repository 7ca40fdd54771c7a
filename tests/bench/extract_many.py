"""Are two processes twice as fast as one, and is a long video decoded once for all its sentences?

    python tests/bench/extract_many.py CLIPS [--nj 2] [--times 3] [--repeat 1] [--only speed decode] [--out FILE]

CLIPS is a folder of .mp4 files, a clip each. What is measured is the work of ``asl landmarks extract``, from
manifests to files.

speed    the clips with MediaPipe, by one process and by N, in turn; frames a second of the clock from when every
         process has its first clip behind it, and the processor's time a frame. The load of the machine stands beside
         them: what others take is missing from the frames a second; the processor's time is not touched by it, and
         on processors of their own N processes are N times as fast as one if it stays the same. MediaPipe works on
         more than one core by itself, so one process is also measured where it may use one core only (Linux).
decode   a video of 40 minutes with 200 sentences, as small as can be, with an estimator that costs nothing: how
         many frames are decoded
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import wait
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from asl.common.files import write_json  # noqa: E402
from asl.data.executors import Pool, run_tasks  # noqa: E402
from asl.data.extract_video import Outcome, VideoTask, extract_video  # noqa: E402
from asl.data.extracting import estimator_maker, extract_landmarks  # noqa: E402
from asl.data.videos import Settings, by_video, list_video_clips  # noqa: E402
from asl.landmarks.video import probe_video  # noqa: E402
from tests.data.extraction import use_fake, write_corpus, write_video  # noqa: E402

MINUTES, SENTENCES, FPS = 40, 200, 25


def on_one_core(function: Callable[[], Dict[str, Any]]) -> Dict[str, Any]:
    """What ``function`` returns when it and the processes that it starts share one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return function()
    finally:
        os.sched_setaffinity(0, cores)


def speed(clips: List[Path], times: int, nj: int, folder: Path) -> Dict[str, Any]:
    """The clips, each so many times, by ``nj`` processes that have their first clip behind them."""
    folder = folder / f"{nj}-{time.monotonic_ns()}"
    folder.mkdir()
    rows = []
    for i, clip in enumerate(clips * times):
        link = folder / f"{i:04d}.mp4"
        link.symlink_to(clip)
        rows.append((link.stem, "train", link, probe_video(clip).frames, None))
    todo = list_video_clips(write_corpus(folder / "data", rows))
    (folder / "data" / "landmarks" / "clips").mkdir(parents=True)
    settings = Settings()
    make, log = estimator_maker(settings), folder / "extract.log"
    tasks = [VideoTask(tuple(group), settings, make, log) for group in by_video(todo)]
    pool, load = Pool(nj), os.getloadavg()[0]
    wait([pool.submit(extract_video, task) for task in tasks[-nj:]])
    clock = time.perf_counter()
    done = [result for _, result in run_tasks(pool, timed, tasks[:-nj], lambda: None)]
    seconds = time.perf_counter() - clock
    frames = sum(outcome.frames for outcome, _ in done)
    row = {
        "nj": nj, "frames": frames, "seconds": seconds, "frames_per_second": frames / seconds,
        "cpu_ms_per_frame": 1000 * sum(cpu for _, cpu in done) / frames,
        "load_before": load, "load_after": os.getloadavg()[0],
    }  # fmt: skip
    print({key: round(value, 2) for key, value in row.items()}, flush=True)
    return row


def timed(task: VideoTask) -> Tuple[Outcome, float]:
    """One video, and the processor's seconds that it took."""
    cpu = time.process_time()
    outcome = extract_video(task)
    return outcome, time.process_time() - cpu


def decode(folder: Path) -> Dict[str, Any]:
    """A long video with many sentences, which leave gaps and overlap here and there."""
    use_fake()
    frames = MINUTES * 60 * FPS
    video = write_video(folder / "long.mp4", frames, size=(128, 96))
    length = MINUTES * 60 / SENTENCES
    ends = [(i + (1.05 if i % 7 == 0 else 0.9)) * length for i in range(SENTENCES)]
    spans = [(i * length, min(end, MINUTES * 60)) for i, end in enumerate(ends)]
    rows = [(f"s{i:03d}", "train", video, round((e - s) * FPS), (s, e)) for i, (s, e) in enumerate(spans)]
    report = extract_landmarks(str(write_corpus(folder / "long", rows)))
    run = report["this_run"]
    found = {"frames_of_the_video": frames, "decoded": run["decoded"], "clips": run["clips"]}
    print(found)
    assert found["decoded"] <= frames and found["clips"] == SENTENCES
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--nj", type=int, default=2)
    parser.add_argument("--times", type=int, default=3, help="so often is every clip listed")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=("speed", "decode"), default=["speed", "decode"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result: Dict[str, Any] = {"cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as name:
        if "speed" in options.only:
            clips = sorted(options.clips.resolve().glob("*.mp4"))
            turns = [1, options.nj] * options.repeat
            rows = [speed(clips, options.times, nj, Path(name)) for nj in turns]
            best = {nj: max(r["frames_per_second"] for r in rows if r["nj"] == nj) for nj in (1, options.nj)}
            least = {nj: min(r["cpu_ms_per_frame"] for r in rows if r["nj"] == nj) for nj in (1, options.nj)}
            free = options.nj * least[1] / least[options.nj]
            result.update(speed=rows, times=best[options.nj] / best[1], free=free)
            print(f"{options.nj} processes: {result['times']:.2f} times as fast as one by the clock, "
                  f"{free:.2f} times by the processor's time a frame")
            if hasattr(os, "sched_setaffinity"):
                alone = on_one_core(lambda: speed(clips, options.times, 1, Path(name)))
                result["times_one_core"] = best[options.nj] / alone["frames_per_second"]
                print(f"and {result['times_one_core']:.2f} times as fast as one process on one core")
        if "decode" in options.only:
            result["decode"] = decode(Path(name))
    if options.out:
        write_json(options.out, result)


if __name__ == "__main__":
    main()
