"""``asl landmarks export``: the cuts of a split -> landmark files for other tools."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Tuple

from asl.common.errors import AslError
from asl.data.clip_video import find_recordings, picture_size
from asl.data.executors import check_options
from asl.data.file_making import Made, MakeTask, check_failures, check_size, make_files, print_report
from asl.data.storage import ArchiveReader, cut_fps, cut_layout, open_cuts
from asl.data.videos import landmark_file, source_state
from asl.landmarks.layouts import get_layout, subset
from asl.landmarks.reading import Clip
from asl.landmarks.writing import NOT_HELD, write_landmarks

# Files of an older version of this are made again: raised where others come out.
VERSION = 1
NAME = "export"


@dataclass(frozen=True)
class Export:
    """One cut to write.

    Attributes:
        cut: its row, as JSON.
        recording: the row of its recording, as JSON, or "".
        data, split: where both stand.
        layout: layout to cut out of it, or None.
        size: width and height of the picture as given, or None.
    """

    cut: str
    recording: str
    data: str
    split: str
    layout: Optional[str]
    size: Optional[Tuple[int, int]]


def export_landmarks(
    out: str,
    data: str = "data",
    split: str = "val",
    to: Literal["pose", "npz", "npy"] = "pose",
    layout: Optional[str] = None,
    width: Optional[int] = None,
    height: Optional[int] = None,
    nj: int = 1,
    max_failures: float = 0.0,
    force: bool = False,
) -> Dict[str, Any]:
    """Write the landmarks of a split's cuts, as they are stored, to files named by their ids.

    May be killed at any moment and started again: what is done and unchanged is kept. OUT/export.json lists what
    failed and what is to be told.

    Args:
        out: the folder to write to.
        data: the recipe's data folder.
        split: train, val or test, or one that asl stitch made.
        to: format to write: pose (pose-format, for its viewers), npz (How2Sign's arrays) or npy.
        layout: layout to cut out of every clip, such as hands42; by default the one that is stored.
        width: of the picture in pixels; by default as the landmark file or video that the clip came from says, and
            where none does, 1024 x 1024.
        height: likewise.
        nj: processes.
        max_failures: share of the clips (0 to 1) that may fail and are then left out.
        force: make all files again.

    Returns:
        What export.json holds.

    Raises:
        AslError: no such split, an option that fits not, too many clips failed, or a file cannot be written.
    """
    check_options(nj, max_failures)
    if layout is not None:
        get_layout(layout)
    size, folder = check_size(width, height), Path(out)
    cuts = list(open_cuts(data, split))
    if not cuts:
        raise AslError(f"{data}/{split}/cuts.jsonl.gz lists no clip; run stage 2 again")
    recordings = find_recordings(data, split, {cut.features.recording_id for cut in cuts})
    tasks: List[MakeTask] = []
    for cut in cuts:
        recording = recordings.get(cut.features.recording_id)
        row = json.dumps(cut.to_dict())
        job = Export(row, json.dumps(recording) if recording else "", data, split, layout, size)
        tasks.append(MakeTask(cut.id, landmark_file(folder, cut.id).with_suffix(f".{to}"), _key(cut, job, to), job))
    _READER.close()  # archives may have been made anew since
    report = make_files(tasks, export_cut, folder, NAME, nj, force)
    _READER.close()
    print_report(report, NAME, folder)
    if to in NOT_HELD:
        print(f"note: .{to} files do not hold {NOT_HELD[to]}")
    check_failures(report, max_failures, folder / f"{NAME}.json")
    return report


def _key(cut: Any, job: Export, to: str) -> str:
    """Of what is in the archive and of the options; the data folder may have moved."""
    archive = cut.features.storage_path
    state = source_state(Path(archive)) if os.path.exists(archive) else None
    what = [os.path.basename(archive), cut.features.storage_key, cut.features.type, cut.start, cut.duration, state]
    about = [VERSION, to, job.layout, job.size, job.recording, str(cut_fps(cut)), *what]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


_READER = ArchiveReader()  # of this process


def export_cut(task: MakeTask) -> Made:
    """Read one cut from its archive and write it."""
    from lhotse.cut.set import deserialize_cut

    job: Export = task.job
    cut = deserialize_cut(json.loads(job.cut))
    try:
        form = get_layout(cut_layout(cut))
        array = _READER.read(cut)
        array = array.reshape(len(array), form.num_points, form.num_dims)
        if job.layout is not None:
            array = subset(array, form.name, job.layout)
        size = job.size
        if size is None and task.out.suffix != ".npy":
            recording = json.loads(job.recording) if job.recording else None
            size = picture_size(cut.features.recording_id, recording, job.data, job.split)
        width, height = size or (None, None)
        clip = Clip(array, job.layout or form.name, cut_fps(cut), width, height)
        return Made(len(array), write_landmarks(task.out, clip))
    except AslError as e:
        return Made(failure=str(e))
