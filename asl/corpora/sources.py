"""What a corpus's clips are read from: landmark files, or videos that stage 2 extracts landmarks from.

A corpus module finds both for each clip. One kind serves the whole corpus, since landmarks of two extractions do
not mix in one model: landmarks where any clip has some, videos where none has or where the user asks for them.
"""

import hashlib
import os
from pathlib import Path
from typing import Any, Dict, List, Sequence

from asl.common.stages import hash_listing
from asl.corpora.manifests import BAD, FOUND, LEFT_OUT, MISSING, VIDEO, VIDEO_ONLY, Clip
from asl.landmarks.video import VIDEO_SUFFIXES


def videos_by_stem(folder: Path) -> Dict[str, Path]:
    """Map the stem to the file for the videos in ``folder``; of one stem's files the commoner container counts."""
    if not folder.is_dir():
        return {}
    videos = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in VIDEO_SUFFIXES]
    videos.sort(key=lambda path: VIDEO_SUFFIXES.index(path.suffix.lower()), reverse=True)
    return {path.stem: path for path in videos}


def choose_sources(clips: Sequence[Clip], root: Path, from_videos: bool, facts: Dict[str, Any]) -> None:
    """Decide from ``path`` and ``video`` what each clip is read from, and set its status.

    Args:
        clips: with ``path`` (a landmark file) and ``video`` (a video or a folder of frames) where they are there. What
            is ``bad`` or ``left_out`` by its list has neither, and stays.
        root: the corpus, which reasons name files from.
        from_videos: take videos where there are landmarks too; a clip that has landmarks alone is then missing.
        facts: gets ``from`` (``landmarks`` or ``videos``) and ``has``: how many clips have ``landmarks``, a ``video``
            and ``both``.
    """
    has = {
        "landmarks": sum(clip.path is not None for clip in clips),
        "video": sum(clip.video is not None for clip in clips),
        "both": sum(clip.path is not None and clip.video is not None for clip in clips),
    }
    videos = has["video"] > 0 and (from_videos or not any(c.path is not None and c.status == FOUND for c in clips))
    facts.update({"from": "videos" if videos or from_videos else "landmarks", "has": has})
    for clip in clips:
        if clip.status == LEFT_OUT:
            continue
        if clip.video is not None and videos:
            clip.status, clip.reason, clip.path, clip.span = VIDEO, "", clip.video, clip.video_span
        elif from_videos and clip.status != BAD:
            clip.reason = "no video" if clip.path is None else f"{os.path.relpath(clip.path, root)}, no video"
            clip.status, clip.path = MISSING, None
        elif clip.status == FOUND and clip.path is None:
            clip.status = VIDEO_ONLY if clip.video is not None else MISSING
            clip.reason = "no file" if clip.video is None else f"{os.path.relpath(clip.video, root)}, no landmarks"


def source_notes(clips: Sequence[Clip], facts: Dict[str, Any]) -> List[str]:
    """One line each for what has landmarks and what has videos, and for the clips that are left out because of it."""
    notes, has = [], facts["has"]
    if has["video"]:
        notes.append(f"{has['landmarks']:,} clips have landmarks, {has['video']:,} a video, {has['both']:,} both")
    from_video = sum(clip.status == VIDEO for clip in clips)
    if from_video:
        notes.append(f"{from_video:,} clips are taken from videos: stage 2 extracts their landmarks")
    only = sum(clip.status == VIDEO_ONLY for clip in clips)
    if only:
        notes.append(
            f"{only:,} clips have a video and no landmarks and are left out beside those that have them, since two "
            "extractions do not mix in one model; --from-videos takes all clips from their videos"
        )
    return notes


def cut_spans(clips: Sequence[Clip]) -> Dict[str, float]:
    """Turn each probed clip's ``span`` into what stage 2 cuts by: frames of a landmark file, seconds of a video.

    ``custom`` gets ``source_frames`` (the first frame and the one after the last) or ``source_times`` (start and end,
    which is not in it), and ``num_frames`` becomes the span's. A span that ends after the file is cut to its end; a
    clip whose span starts there is ``bad``, and so is one whose landmark file does not tell its rate.

    Returns:
        id -> seconds that were cut off, of the clips whose span ends after the file.
    """
    cut = {}
    for clip in clips:
        if not clip.usable or clip.span is None:
            continue
        assert clip.fps is not None
        (start, end), whole = clip.span, clip.num_frames
        first = round(start * clip.fps)
        if clip.status == FOUND and clip.custom["fps_from"] not in ("file", "table"):
            clip.status = BAD
            clip.reason = f"{clip.path} does not say its frames per second, which cutting by times needs"
        elif first >= whole:
            clip.status = BAD
            last = f"{float(whole / clip.fps):.2f} s"
            clip.reason = f"it starts at {start:g} s, and {clip.path} ends at {last} ({clip.where})"
        else:
            wanted = whole if end is None else max(round(end * clip.fps), first + 1)
            if wanted > whole:
                cut[clip.id] = round(float((wanted - whole) / clip.fps), 2)
            clip.num_frames = min(wanted, whole) - first
            if clip.status == FOUND:
                clip.custom["source_frames"] = [first, min(wanted, whole)]
            else:
                last = float(whole / clip.fps)
                clip.custom["source_times"] = [start, last if end is None else min(end, last)]
    return cut


def hash_sources(clips: Sequence[Clip]) -> str:
    """SHA-256 over name, size and time of what the usable clips are read from.

    It stands in the report, which stage 2 depends on: a landmark file or a video that was exchanged is read again,
    where the manifests, which tell its length alone, are the same.
    """
    digest, seen = hashlib.sha256(), set()
    for clip in sorted((c for c in clips if c.usable), key=lambda c: c.id):
        if clip.path not in seen:
            seen.add(clip.path)
            digest.update(f"{clip.id} {_state(clip.path)}\n".encode())
    return digest.hexdigest()


def _state(path: Path) -> str:
    if path.is_dir():
        return hash_listing(str(path))
    stat = os.stat(path)
    return f"{stat.st_size} {stat.st_mtime_ns}"
