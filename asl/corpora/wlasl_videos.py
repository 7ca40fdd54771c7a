"""WLASL's videos: those that the owner's script has cut, and the uncut ones; see ``wlasl``."""

from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from asl.common.errors import AslError
from asl.corpora.manifests import VIDEO, Clip
from asl.corpora.sources import cut_spans, videos_by_stem

CUT = "videos"
RAW = ("raw_videos_mp4", "raw_videos")  # where both have one, the first counts
_YOUTUBE = ("youtube.com/", "youtu.be/")


def attach_videos(clips: Sequence[Clip], corpus: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Set the video of each clip that has one: the cut one, else the uncut one.

    Uncut ones are named by the clip's id, or by the eleven letters at the end of a url on YouTube. Of those on
    YouTube a part is the clip: ``custom["raw_frames"]``, its first and last frame, 1-based. ``cut_raw`` needs it.

    Raises:
        AslError: an entry's frame_start and frame_end are no such part.
    """
    cut = videos_by_stem(corpus / CUT)
    raw: Dict[str, Path] = {}
    for folder in reversed(RAW):
        raw.update(videos_by_stem(corpus / folder))
    for clip in clips:
        entry = entries.get(clip.id, {})
        url = str(entry.get("url", ""))
        on_youtube = any(site in url for site in _YOUTUBE)
        clip.video = cut.get(clip.id) or raw.get(clip.id) or (raw.get(url[-11:]) if on_youtube else None)
        first, last = entry.get("frame_start", 1), entry.get("frame_end", -1)
        if clip.video is None or clip.id in cut or not on_youtube or last == -1:
            continue
        if not isinstance(first, int) or not isinstance(last, int) or not 1 <= first <= last:
            raise AslError(
                f"{clip.where}: WLASL_v0.3.json has frame_start {first} and frame_end {last} for it; "
                "they count from 1, and -1 is the end: mend them"
            )
        clip.custom["raw_frames"] = [first, last]


def cut_raw(clips: Sequence[Clip]) -> Dict[str, float]:
    """Of probed uncut videos take what the owner's script cuts: frames by number, at whatever rate the video has.

    Returns:
        as ``asl.corpora.sources.cut_spans``.
    """
    for clip in clips:
        frames = clip.custom.pop("raw_frames", None)
        if clip.status == VIDEO and frames is not None:
            assert clip.fps is not None
            clip.span = (float((frames[0] - 1) / clip.fps), float(frames[1] / clip.fps))
    return cut_spans(clips)
