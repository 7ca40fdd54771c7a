"""What stage 1 wrote down of the clips: manifests read in pairs, and where a recording's file is."""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.landmarks.reading import SUFFIXES
from asl.landmarks.video import is_video

Row = Dict[str, Any]
_ORDER = ("train", "val", "test")


class ManifestMismatch(AslError):
    """A file is not the one that stage 1 wrote down, or that landmarks were extracted from."""


def list_splits(root: Path) -> List[str]:
    """The splits that have manifests, train, val and test first."""
    found = {p.parent.name for p in root.glob("*/recordings.jsonl.gz")}
    if not found:
        raise AslError(f"{root} has no <split>/recordings.jsonl.gz; run stage 1 (asl prepare) first: it "
                       "writes none where the corpus has no clip that can be used, and says so")
    return sorted(found, key=lambda s: (_ORDER.index(s) if s in _ORDER else len(_ORDER), s))


def read_pairs(folder: Path) -> Iterator[Tuple[Row, Row]]:
    """Yield ``(recording, supervision)`` of each clip of a split's folder.

    Raises:
        AslError: a manifest is absent or damaged, or the two do not list the same clips in the same order.
    """
    names = [folder / f"{kind}.jsonl.gz" for kind in ("recordings", "supervisions")]
    recordings, supervisions = (read_jsonl(name) for name in names)
    seen = set()
    for number, recording in enumerate(recordings, 1):
        supervision = next(supervisions, {})
        clip_id = recording.get("id")
        if clip_id is None or supervision.get("recording_id") != clip_id:
            raise AslError(
                f"{names[1]} line {number}: of recording {supervision.get('recording_id')!r}, but {names[0]} "
                f"has {clip_id!r} there; they must list the same clips in the same order: run stage 1 again"
            )
        if clip_id in seen:
            raise AslError(f"{names[0]} line {number}: {clip_id!r} is listed twice; run stage 1 again")
        seen.add(clip_id)
        yield recording, supervision
    extra = next(supervisions, None)
    if extra is not None:
        raise AslError(f"{names[1]}: {extra.get('id')!r} has no recording in {names[0]}; run stage 1 again")


def source_file(recording: Row, folder: Path) -> Path:
    """Return the file of a recording; its path stands in the manifest relative to ``folder``."""
    return Path(os.path.normpath(os.path.join(os.path.realpath(folder), recording["sources"][0]["source"])))


def has_video(recording: Row, supervision: Row, folder: Path) -> bool:
    """Whether a clip's source is a video (which may be gone), from which landmarks have to be extracted."""
    path = source_file(recording, folder)
    if path.suffix in SUFFIXES:
        return False
    return (supervision.get("custom") or {}).get("fps_from") == "video" or is_video(path)


def recorded_rate(rate: int, samples: int, frames: int, path: Path) -> Fraction:
    """Return frames per second as stage 1 wrote them: the sampling rate over the samples that one frame lasts.

    Raises:
        ManifestMismatch: so many frames are not those that stage 1 saw.
    """
    hop, rest = divmod(samples, frames) if frames else (0, samples)
    fps = Fraction(rate, max(hop, 1))
    ntsc = rate in (24_000, 30_000, 60_000, 120_000)
    if rest or fps.numerator != rate or hop > 1001 or (ntsc and hop != 1001):
        raise ManifestMismatch(
            f"{path} has {frames} frames, but stage 1 wrote down {samples / rate:.3f} s at a rate of "
            f"{rate} / frame; it was changed since: run stage 1 again"
        )
    return fps
