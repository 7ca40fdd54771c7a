"""How much memory and time a large manifest takes: python tests/bench/lazy_manifest.py [--clips 200000]

Writes a manifest of made-up cuts (no landmarks), opens it through the data module and runs the training
sampler over one epoch. Prints the peak of this process's memory.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator

ROOT = Path(__file__).resolve().parents[2]
WORDS = [f"sign{i:04d}" for i in range(1000)]


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage counts what the process was before it ran this program, too
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return float(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def rows(clips: int) -> Iterator[Dict[str, Any]]:
    """Cuts as stage 2 writes them: sentences of 1 to 12 words, 30 to 300 frames at 29.97 fps."""
    for i in range(clips):
        frames, words = 30 + (i * 7919) % 271, 1 + (i * 104729) % 12
        duration, clip_id = frames * 1001 / 30000, f"clip{i:07d}"
        text = " ".join(WORDS[(i * 31 + k * 17) % len(WORDS)] for k in range(words))
        segment = {
            "id": clip_id, "recording_id": clip_id, "start": 0.0, "duration": duration, "channel": 0, "text": text,
            "language": "ase", "speaker": f"signer{i % 97}", "custom": {"fps_from": "span", "fps_estimated": True},
        }  # fmt: skip
        features = {
            "type": "landmarks.hands42", "num_frames": frames, "num_features": 126, "frame_shift": 1001 / 30000,
            "sampling_rate": 30000, "start": 0.0, "duration": duration, "storage_type": "numpy_hdf5",
            "storage_path": f"../landmarks/train-{i // 256:05d}.h5", "storage_key": clip_id,
            "recording_id": clip_id, "channels": 0,
        }  # fmt: skip
        yield {
            "id": clip_id, "start": 0.0, "duration": duration, "channel": 0, "supervisions": [segment],
            "features": features, "type": "MonoCut",
        }  # fmt: skip


def measure(clips: int) -> Dict[str, float]:
    """Return MB before and at the peak, seconds to open, for the first batch and for the epoch, and its steps."""
    from asl.data.module import LandmarkDataModule
    from asl.data.storage import write_cuts
    from asl.landmarks.pipeline import LandmarkPipeline
    from asl.lang.prepare import write_lang

    with tempfile.TemporaryDirectory() as folder:
        write_cuts(Path(folder) / "train" / "cuts.jsonl.gz", rows(clips))
        write_lang(WORDS, Path(folder) / "lang")
        before, start = peak_mb(), time.perf_counter()
        module = LandmarkDataModule(LandmarkPipeline("hands42"), data_dir=folder, max_frames_tokens=50_000)
        sampler = module.train_dataloader().sampler
        opened = time.perf_counter()
        batches = iter(sampler)
        seen = len(next(batches).cuts)
        first = time.perf_counter()
        steps = 1
        for batch in batches:
            seen += len(batch.cuts)
            steps += 1
        end = time.perf_counter()
    assert seen == clips and steps == len(sampler), (seen, clips, steps, len(sampler))
    return {
        "before_mb": before, "peak_mb": peak_mb(), "open_s": opened - start, "first_batch_s": first - opened,
        "epoch_s": end - opened, "steps": steps,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200_000)
    clips = parser.parse_args().clips
    found = measure(clips)
    print(f"{clips:,} clips in {found['steps']:,.0f} batches: every clip once")
    print(f"peak memory {found['peak_mb']:,.0f} MB ({found['before_mb']:,.0f} MB before the manifest was opened)")
    print(f"opened and measured in {found['open_s']:.1f} s, first batch after {found['first_batch_s']:.1f} s more")
    print(f"the sampler alone: {1000 * found['epoch_s'] / found['steps']:.2f} ms a batch")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
