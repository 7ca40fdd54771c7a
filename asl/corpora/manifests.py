"""What every corpus module does with its clips: probe, count, write lhotse manifests and the report."""

import functools
import os
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from asl.common.errors import AslError
from asl.common.files import PathLike, write_json
from asl.common.jsonl import write_jsonl
from asl.landmarks.reading import probe
from asl.landmarks.video import probe_video

SPLITS = ("train", "val", "test")
FOUND, VIDEO, MISSING, VIDEO_ONLY = "found", "video", "missing", "video_only"
BAD, LEFT_OUT = "bad", "left_out"
Span = Tuple[float, Optional[float]]  # start and end in seconds; None: to the end


@dataclass
class Clip:
    """One clip as its owner lists it, and what became of it here.

    Attributes:
        id: unique in the corpus, without whitespace.
        split: ``train``, ``val`` or ``test``.
        text: what is to be recognised: words with single blanks between them.
        where: file and line or entry that lists it, for errors.
        path: its landmark file, where there is one; of a clip that is taken from a video that video.
        status: ``found`` (landmarks), ``video`` (landmarks are extracted from its video), ``missing`` (no file),
            ``video_only`` (a video, no landmarks, beside clips that have them), ``bad`` (a file that cannot be
            used) or ``left_out`` (by the re-split).
        reason: why the clip is not usable.
        speaker: the signer.
        custom: further fields for the supervision.
        num_frames, fps: of the landmark file or video; 0 and None until ``probe_clips`` has looked. ``fps`` is
            there before where the corpus or a table tells it.
        span: the seconds of ``path`` that are the clip; None: all of it.
        video: its video, or the folder of its frames, where there is one.
        video_span: as ``span``, of ``video``.
    """

    id: str
    split: str
    text: str
    where: str
    path: Optional[Path] = None
    status: str = FOUND
    reason: str = ""
    speaker: Optional[str] = None
    custom: Dict[str, Any] = field(default_factory=dict)
    num_frames: int = 0
    fps: Optional[Fraction] = None
    span: Optional[Span] = None
    video: Optional[Path] = None
    video_span: Optional[Span] = None

    @property
    def usable(self) -> bool:
        """Whether the manifests list it: there are landmarks, or they will be extracted."""
        return self.status in (FOUND, VIDEO)


# (clip, the file's own fps or None) -> fps and where it is from; clip.num_frames is known by then
RateOf = Callable[[Clip, Optional[Fraction]], Tuple[Fraction, str]]


def check_unique(clips: Iterable[Clip]) -> None:
    """Raise an AslError that names both places where an id is listed twice."""
    seen: Dict[str, Clip] = {}
    for clip in clips:
        first = seen.setdefault(clip.id, clip)
        if first is not clip:
            raise AslError(f"{clip.where}: id '{clip.id}' stands at {first.where} already; ids must differ")


def probe_clips(clips: Sequence[Clip], rate_of: RateOf) -> None:
    """Set frames and fps of every usable clip in place; one that cannot be read or is empty becomes ``bad``.

    ``custom`` gets ``fps_from`` (what the rate rests on: ``file`` for the landmark file, ``video`` for a video,
    ``table``, ``owner`` where the corpus has one rate, or what ``rate_of`` calls it) and ``fps_estimated``, which is
    false for those four. A video's rate is its header's, a folder of frames has the one that ``fps`` holds before.
    """
    probed = functools.lru_cache(maxsize=1024)(probe)  # a whole video has many clips
    probed_video = functools.lru_cache(maxsize=1024)(probe_video)
    for clip in clips:
        if not clip.usable:
            continue
        assert clip.path is not None
        try:
            if clip.status == VIDEO:
                video = probed_video(clip.path, clip.fps if clip.path.is_dir() else None)
                clip.num_frames, rate = video.frames, video.fps
            else:
                clip.num_frames, rate = probed(clip.path)
        except AslError as e:
            clip.status, clip.reason = BAD, str(e)
            continue
        clip.fps, source = (rate, "video") if clip.status == VIDEO else rate_of(clip, rate)
        clip.custom.update(fps_from=source, fps_estimated=source not in ("file", "video", "table", "owner"))


def source_path(path: PathLike, folder: PathLike) -> str:
    """Return ``path`` as it stands in a manifest of ``folder``.

    Relative to ``folder`` where both are below the working directory (the recipe folder): the recipe can
    then be moved as a whole. Absolute otherwise. Links are followed first, since ``..`` behind a linked
    ``data`` folder would lead elsewhere.
    """
    path, folder, here = (os.path.realpath(p) for p in (path, folder, os.curdir))
    inside = all(os.path.commonpath([p, here]) == here for p in (path, folder))
    return os.path.relpath(path, folder) if inside else path


def write_manifests(clips: Sequence[Clip], out: PathLike, language: Optional[str]) -> Dict[str, int]:
    """Write ``<out>/<split>/{recordings,supervisions}.jsonl.gz`` of the usable clips, in order of id.

    A recording's only source is its landmark file, or the video (a file, or a folder of frames) that landmarks are
    extracted from; its sampling rate is the numerator of its fps and a frame lasts the denominator in samples, so
    that every time is a whole number of samples. A split without a usable clip gets no files, and those of an
    earlier run go (its cuts too: they would be decoded).

    Args:
        clips: probed clips of any status; ids must be unique.
        language: of the supervisions (ISO 639-3, ``ase`` for ASL), None where unknown.

    Returns:
        the number of clips written for each split.

    Raises:
        AslError: an id twice, a file that cannot be written.
    """
    check_unique(clips)
    written = {}
    for split in SPLITS:
        folder = Path(out) / split
        rows = sorted((c for c in clips if c.split == split and c.usable), key=lambda c: c.id)
        written[split] = len(rows)
        if rows:
            recordings = [_recording(clip, folder) for clip in rows]
            write_jsonl(folder / "recordings.jsonl.gz", (r.to_dict() for r in recordings))
            write_jsonl(
                folder / "supervisions.jsonl.gz",
                (_supervision(c, r.duration, language).to_dict() for c, r in zip(rows, recordings)),
            )
        else:
            for name in ("cuts.jsonl.gz", "recordings.jsonl.gz", "supervisions.jsonl.gz"):
                (folder / name).unlink(missing_ok=True)
    return written


def _recording(clip: Clip, folder: Path) -> Any:
    from lhotse import AudioSource, Recording, validate

    assert clip.fps is not None and clip.path is not None
    num_samples = clip.num_frames * clip.fps.denominator
    recording = Recording(
        id=clip.id,
        sources=[AudioSource(type="file", channels=[0], source=source_path(clip.path, folder))],
        sampling_rate=clip.fps.numerator,
        num_samples=num_samples,
        duration=num_samples / clip.fps.numerator,
    )
    validate(recording)
    return recording


def _supervision(clip: Clip, duration: float, language: Optional[str]) -> Any:
    from lhotse import SupervisionSegment, validate

    supervision = SupervisionSegment(
        id=clip.id, recording_id=clip.id, start=0.0, duration=duration, channel=0, text=clip.text,
        language=language, speaker=clip.speaker, custom=clip.custom,
    )  # fmt: skip
    validate(supervision)
    return supervision


def make_report(corpus: str, clips: Sequence[Clip], facts: Mapping[str, Any]) -> Dict[str, Any]:
    """Count what is there; the report that stages 0 and 1 print and stage 1 writes.

    Returns:
        ``corpus``, the ``facts``, and for each split in ``splits``: ``official`` (clips its owner lists),
        ``found`` (usable here), ``video`` (of those found, the ones whose landmarks are extracted from
        a video), ``missing`` (not there), ``video_only`` (of those missing, the ones with a video), ``bad``,
        ``left_out``, ``signers``, ``words`` (different ones), ``frames`` and ``seconds`` of the found ones
        (0 before they are probed); ``fps`` and ``fps_from``: clips by rate and by what the rate rests on;
        ``missing_ids``: ids by split; ``not_used``: id, split, status and reason of each clip that has a
        file and is not found.
    """
    report: Dict[str, Any] = {"corpus": corpus, **facts, "splits": {}, "fps": {}, "fps_from": {}}
    for split in SPLITS:
        of_split = [c for c in clips if c.split == split]
        found = [c for c in of_split if c.usable]
        number = {s: sum(c.status == s for c in of_split) for s in (MISSING, VIDEO_ONLY, BAD, LEFT_OUT)}
        report["splits"][split] = {
            "official": len(of_split),
            "found": len(found),
            "video": sum(c.status == VIDEO for c in found),
            "missing": number[MISSING] + number[VIDEO_ONLY],
            "video_only": number[VIDEO_ONLY],
            "bad": number[BAD],
            "left_out": number[LEFT_OUT],
            "signers": len({c.speaker for c in found if c.speaker is not None}),
            "words": len({word for c in found for word in c.text.split()}),
            "frames": sum(c.num_frames for c in found),
            "seconds": round(sum(c.num_frames / float(c.fps) for c in found if c.fps), 2),
        }
        for clip in found:
            if clip.fps is not None and "fps_from" in clip.custom:
                _count(report["fps"], str(clip.fps))
                _count(report["fps_from"], clip.custom["fps_from"])
    report["missing_ids"] = {
        split: sorted(c.id for c in clips if c.split == split and c.status in (MISSING, VIDEO_ONLY))
        for split in SPLITS
    }
    report["not_used"] = [
        {"id": c.id, "split": c.split, "status": c.status, "reason": c.reason}
        for c in sorted(clips, key=lambda c: c.id) if c.status in (VIDEO_ONLY, BAD, LEFT_OUT)
    ]  # fmt: skip
    return report


def _count(table: Dict[str, int], key: str) -> None:
    table[key] = table.get(key, 0) + 1


def write_report(report: Mapping[str, Any], out: PathLike) -> None:
    """Write ``<out>/report.json`` (last of all: it speaks of files that are there)."""
    write_json(Path(out) / "report.json", report)


def print_report(report: Mapping[str, Any]) -> None:
    """Print the counts as a table, n found of n official, and a line for all that is out of the ordinary."""
    columns = ("official", "found", "video", "missing", "video_only", "bad", "left_out", "words", "signers")
    probed = bool(report["fps"])
    shown = [c for c in columns if c in ("official", "found", "missing") or
             any(row[c] for row in report["splits"].values())]  # fmt: skip
    print("split" + "".join(f"{name.replace('_', ' '):>12}" for name in shown) + f"{'minutes':>12}" * probed)
    for split, row in report["splits"].items():
        cells = "".join(f"{row[name]:>12,}" for name in shown)
        print(f"{split:<5}{cells}" + f"{row['seconds'] / 60:>12.1f}" * probed)
    if report["fps"]:
        rates = sorted(report["fps"].items(), key=lambda item: -item[1])
        print("fps: " + ", ".join(f"{_rate_name(rate)} ({n:,} clips)" for rate, n in rates))
        print("fps taken from: " + ", ".join(f"{source} ({n:,})" for source, n in report["fps_from"].items()))
    for line in report.get("notes", []):
        print(f"note: {line}")
    for clip in [c for c in report["not_used"] if c["status"] == BAD][:10]:
        print(f"bad: {clip['id']} ({clip['split']}): {clip['reason']}")


def _rate_name(rate: str) -> str:
    return f"{float(Fraction(rate)):.4g}"


def empty_split_notes(clips: Sequence[Clip]) -> List[str]:
    """One line for each split that is listed but has no usable clip."""
    notes = []
    for split in SPLITS:
        usable = [c.usable for c in clips if c.split == split]
        if usable and not any(usable):
            notes.append(f"{split}: none of its {len(usable):,} clips can be used here; no manifest for it")
    return notes
