"""``asl landmarks sheet``: every clip of a split as a thumbnail on one HTML page, the worst detections first."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

from asl.common.errors import AslError
from asl.common.files import write_text
from asl.data.clip_video import find_recordings, picture_size
from asl.data.quality_rows import Row, badness, clip_row, measured_clips, read_array
from asl.data.quality_totals import Totals
from asl.data.sheet_page import GENERATOR, page
from asl.data.showing import USUAL_RATIO
from asl.data.storage import ArchiveReader, cut_layout, open_cuts
from asl.landmarks.quality import measure
from asl.landmarks.thumbnails import thumbnail

_THUMB = re.compile(r"\d{5,}\.png")
_BUILDING = "thumbs-in-the-making."


def sheet(data: str = "data", split: str = "val", out: str = "sheet", clips: int = 5000) -> None:
    """Draw the clips of a split as thumbnails on an HTML page, the worst detections first.

    The page, OUT/index.html, opens from disk: it needs no server, no network and nothing but the folder. It can be
    sorted by what asl landmarks check measures, and searched by gloss, sentence and id.

    Args:
        data: the recipe's data folder, after stage 2.
        split: train, val or test.
        out: the folder to write; one that holds an older sheet is replaced.
        clips: how many clips are shown at most, the worst ones.

    Raises:
        AslError: no cuts, a damaged archive, ``out`` holds something else, or cannot be written.
    """
    from tqdm import tqdm

    if clips < 1:
        raise AslError(f"--clips {clips}: show 1 or more")
    folder = Path(out)
    _check_folder(folder)
    totals, order = Totals(), []
    for clip in tqdm(measured_clips(data, split), unit="clip", desc="measure", disable=None):
        totals.add(clip.row, clip.quality)
        order.append((badness(clip.row), clip.row["id"]))
    if not order:
        raise AslError(f"{data}/{split} has no clips; run stage 2 again")
    order.sort(reverse=True)
    names = {clip_id: f"{k:05d}.png" for k, (_, clip_id) in enumerate(order[:clips])}

    try:
        folder.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=folder))
        try:
            rows = _draw(data, split, names, building)
            cards: List[Tuple[Row, str]] = [(rows[clip_id], f"thumbs/{name}") for clip_id, name in names.items()]
            text = page(cards, totals.summary(), data, split)
            (folder / "index.html").unlink(missing_ok=True)  # no page without its pictures
            shutil.rmtree(folder / "thumbs", ignore_errors=True)
            building.chmod(0o755)
            building.rename(folder / "thumbs")
        finally:
            shutil.rmtree(building, ignore_errors=True)
    except OSError as e:
        raise AslError(f"cannot write {folder}: {e.strerror or e}; free space or choose another folder") from e
    write_text(folder / "index.html", text)
    left = f", the worst of {len(order):,}" if len(order) > len(names) else ""
    print(f"{folder / 'index.html'}: {len(names):,} clips{left} of {data}/{split}; open it in a browser")


def _check_folder(folder: Path) -> None:
    """Refuse a folder with a page or pictures that are not of an older sheet; clear what a killed one left."""
    index, thumbs = folder / "index.html", folder / "thumbs"
    if folder.exists() and not folder.is_dir():
        raise AslError(f"--out {folder} is a file; give a folder")
    if index.exists() and GENERATOR not in index.read_text(encoding="utf-8", errors="replace")[:2000]:
        raise AslError(f"{index} is no sheet of landmarks; give another folder by --out")
    if thumbs.exists() and not (thumbs.is_dir() and all(_THUMB.fullmatch(p.name) for p in thumbs.iterdir())):
        raise AslError(f"{thumbs} holds more than a sheet's thumbnails; give another folder by --out")
    for left in folder.glob(f"{_BUILDING}*"):
        shutil.rmtree(left, ignore_errors=True)


def _draw(data: str, split: str, names: Dict[str, str], folder: Path) -> Dict[str, Row]:
    """Draw the clips ``id -> file name`` into ``folder``; return the row of each."""
    from tqdm import tqdm

    recordings = find_recordings(data, split, names)
    rows: Dict[str, Row] = {}
    reader = ArchiveReader()
    with tqdm(total=len(names), unit="clip", desc="draw", disable=None) as bar:
        for cut in open_cuts(data, split):
            if cut.id not in names:
                continue
            array, layout = read_array(reader, cut), cut_layout(cut)
            quality = measure(array, layout)
            size = _size(cut, recordings, data, split)
            ratio = size[0] / size[1] if size else USUAL_RATIO
            (folder / names[cut.id]).write_bytes(thumbnail(array, layout, quality, ratio))
            rows[cut.id] = clip_row(cut, split, quality)
            bar.update()
    reader.close()
    return rows


def _size(cut: Any, recordings: Dict[str, Row], data: str, split: str) -> Any:
    recording_id = cut.features.recording_id
    return picture_size(recording_id, recordings.get(recording_id), data, split)
