"""One's own corpus, described by one table: ``corpus.csv``, a clip a line.

For whoever has videos or landmark files and a spreadsheet; no Python has to be written. Columns, in any order,
separated by commas or tabs (UTF-8, with or without a byte-order mark, any line ends; fields may be quoted)::

    id,path,split,text,signer[,gloss][,fps][,start,end]

    id      unique, without whitespace
    path    the clip's video, the folder of its numbered frames (.png, .jpg), or its landmarks (.npy, .npz,
            .pose, or a folder of OpenPose's JSON); relative paths start at the table's folder
    split   train, val or test
    text    what is signed: one word (isolated signs) or several (sentences)
    signer  who signs; may be empty
    gloss   the glosses, with blanks between them (a gloss of two words is written thank_you); where this
            column is there, the glosses are what is recognised, and text is kept beside them
    fps     frames per second (25, 29.97, 30000/1001) of landmarks and of folders of frames. A folder needs it;
            of landmarks it may be empty: then the file's own rate counts, and 25 where it has none (.npy), which
            is reported as assumed. A video tells its rate itself: empty
    start   where the clip begins and ends in the file, in seconds: several clips may be of one long video. Empty:
    end     from its beginning, to its end

Where every clip is one word, the corpus is isolated signs and a clip's class is its word; otherwise
sentences, of which each word (or gloss) is a token. Words are numbered in the order in which they first
appear in the table, whatever their split. Further columns are named and not used.

All that is wrong with the table is said at once, by line. A clip whose landmark file is there but cannot be
read or has no frames is no such error: it is counted as bad and listed in the report.
"""

import csv
import math
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from asl.common.errors import AslError, did_you_mean
from asl.common.rates import parse_rate
from asl.corpora.manifests import (
    FOUND, SPLITS, VIDEO, Clip,
    empty_split_notes, make_report, print_report, probe_clips, write_manifests, write_report,
)  # fmt: skip
from asl.corpora.rates import ASSUMED_RATE
from asl.corpora.sources import cut_spans, hash_sources
from asl.corpora.synthetic import is_synthetic
from asl.landmarks.openpose_files import is_openpose
from asl.landmarks.reading import SUFFIXES
from asl.landmarks.video import is_video
from asl.lang.prepare import gloss_word, write_lang

NAME = "corpus.csv"
COLUMNS = ("id", "path", "split", "text", "signer")
OPTIONAL = ("gloss", "fps", "start", "end")
_SHOWN = 30  # problems told one by one


def check(corpus_dir: str) -> Dict[str, Any]:
    """Say what a corpus table holds and all that is wrong with it; write nothing.

    Args:
        corpus_dir: the table, or the folder with corpus.csv.

    Returns:
        the report, see ``asl.corpora.manifests.make_report``.

    Raises:
        AslError: no table, columns missing, or bad lines (all of them, by file and line).
    """
    clips, facts = _read(Path(corpus_dir))
    return _finish(clips, facts)


def prepare(corpus_dir: str, out: str = "data", language: Optional[str] = None) -> Dict[str, Any]:
    """Write the manifests, the written side and the report of a corpus table.

    A clip becomes a recording (its landmark file, video or folder of frames) and a supervision: ``text`` is what is
    to be recognised (the glosses where there are any, else the words), ``speaker`` the signer; ``custom`` holds
    ``text`` where there are glosses, ``fps_from`` and ``fps_estimated``, and where the clip is a part of its file
    ``source_frames`` (of landmarks) or ``source_times`` (of a video, seconds).

    Args:
        corpus_dir: the table, or the folder with corpus.csv.
        out: the recipe's data folder.
        language: which sign language it is (ISO 639-3: ase for ASL, gsg for DGS), for the manifests.

    Returns:
        the report, which is also written to ``<out>/report.json``.

    Raises:
        AslError: as ``check``; no clip can be used; or a file cannot be written.
    """
    clips, facts = _read(Path(corpus_dir))
    probe_clips(clips, _rate)
    facts.update(cut_to_end=cut_spans(clips), sources=hash_sources(clips))
    if not any(clip.usable for clip in clips):
        raise AslError(f"{facts['table']}: none of its {len(clips)} clips can be used: {clips[0].reason}")
    write_lang(list(dict.fromkeys(word for c in clips for word in c.text.split())), Path(out) / "lang")
    write_manifests(clips, out, language)
    report = _finish(clips, facts)
    write_report(report, out)
    return report


def _finish(clips: List[Clip], facts: Dict[str, Any]) -> Dict[str, Any]:
    train = {w for c in clips if c.split == "train" and c.usable for w in c.text.split()}
    unseen = {w for c in clips if c.split != "train" and c.usable for w in c.text.split()} - train
    facts["unseen_words"] = sorted(unseen)
    facts["notes"] = facts["notes"] + empty_split_notes(clips)
    facts["notes"] += _source_notes(clips, facts)
    if unseen:
        facts["notes"].append(f"{len(unseen)} words of val and test are not in train, as '{min(unseen)}'")
    report = make_report("csv", clips, facts)
    num_words = len({word for c in clips for word in c.text.split()})
    kind = "isolated signs" if facts["isolated"] else "sentences"
    print(f"{facts['table']}: {len(clips):,} clips, {kind}, {num_words:,} different {facts['units']}")
    print_report(report)
    return report


def _source_notes(clips: List[Clip], facts: Dict[str, Any]) -> List[str]:
    """What is taken from videos, what of it is mixed, and what was cut."""
    notes = []
    videos, others = (sum(clip.status == status for clip in clips) for status in (VIDEO, FOUND))
    if videos:
        notes.append(f"{videos:,} clips are videos: stage 2 extracts their landmarks")
    if videos and others:
        notes.append(f"{others:,} clips are landmarks: two extractions in one model, which seldom agree")
    if facts.get("cut_to_end"):
        notes.append(f"{len(facts['cut_to_end'])} clips end after their file and are cut to its end (cut_to_end)")
    return notes


def _read(table: Path) -> Tuple[List[Clip], Dict[str, Any]]:
    folder = table
    if table.is_dir():
        table = table / NAME
    else:
        folder = table.parent
    if not table.is_file():
        raise AslError(f"{table} is not there; give the table or its folder (columns: {','.join(COLUMNS)})")
    rows = _rows(table)
    header = next(rows)[1]
    unused = _check_header(header, table)
    clips: List[Clip] = []
    problems: List[str] = []
    seen: Dict[str, int] = {}
    for line, row in rows:
        wrong, clip = _clip(row, header, table, line)
        if row.get("id") and seen.setdefault(row["id"], line) != line:
            wrong.append(f"id '{row['id']}' stands in line {seen[row['id']]} already")
        problems += [f"{table} line {line}: {what}" for what in wrong]
        clips.append(clip)
    if problems:
        told = problems[:_SHOWN] + ([f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else [])
        raise AslError(f"{len(problems)} problems; mend the table:\n  " + "\n  ".join(told))
    if not clips:
        raise AslError(f"{table} has a header and no clips; add a line for each clip")
    notes = [f"columns not used: {', '.join(unused)}"] if unused else []
    facts = {
        "table": str(table), "synthetic": is_synthetic(folder), "notes": notes,
        "isolated": all(len(c.text.split()) == 1 for c in clips),
        "units": "glosses" if "gloss" in header else "words",
    }  # fmt: skip
    return clips, facts


def _rows(table: Path) -> Iterator[Tuple[int, Any]]:
    """Yield the header as ``(line, names)``, then ``(line, {name: field})`` for every line that is not empty.

    A line with too many fields has them under the key ``None``; one with too few has ``None`` for a field.
    """
    line = 1
    try:
        with open(table, encoding="utf-8-sig", newline="") as f:
            first = f.readline()
            f.seek(0)
            # strict: a quote that is never closed is told, instead of taking in the rest of the file
            reader = csv.DictReader(f, delimiter="\t" if "\t" in first else ",", strict=True)
            names = [name.strip().lower() for name in reader.fieldnames or []]
            reader.fieldnames = names
            yield 1, names
            for row in reader:
                line = reader.line_num
                if any(field and field.strip() for field in row.values() if not isinstance(field, list)):
                    yield line, {k: v.strip() if isinstance(v, str) else v for k, v in row.items()}
    except csv.Error as e:
        raise AslError(f"{table} after line {line}: {e}; close the quotes or take them out") from None
    except UnicodeDecodeError as e:
        raise AslError(f"{table} is not UTF-8 text ({e.reason}); save it as 'CSV UTF-8'") from None
    except OSError as e:
        raise AslError(f"cannot read {table}: {e.strerror or e}") from None


def _check_header(header: List[str], table: Path) -> List[str]:
    """Return the columns that are not used; raise where one is missing, twice, or nearly an optional one."""
    lacking = [name for name in COLUMNS if name not in header]
    if lacking:
        near = "".join(did_you_mean(name, [h for h in header if h not in COLUMNS]) for name in lacking)
        raise AslError(
            f"{table} line 1: no column {', '.join(lacking)} among {', '.join(header) or 'nothing'}{near}; "
            f"name the columns {','.join(COLUMNS)}[,gloss][,fps][,start,end], with commas or tabs between them"
        )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise AslError(f"{table} line 1: column {', '.join(twice)} stands twice; rename one")
    unused = [name for name in header if name not in COLUMNS + OPTIONAL]
    for name in unused:
        near = did_you_mean(name, OPTIONAL)
        if near and not set(OPTIONAL) & set(header):
            raise AslError(f"{table} line 1: unknown column '{name}'{near}")
    return unused


def _clip(row: Dict[Any, Any], header: List[str], table: Path, line: int) -> Tuple[List[str], Clip]:
    """Return what is wrong with a line, and the clip as far as it goes."""
    wrong: List[str] = []
    if None in row or None in row.values():
        has = len(header) + len(row.get(None, [])) - sum(value is None for value in row.values())
        wrong.append(f"{has} fields where the header has {len(header)}; quote fields that hold one")
    field = {name: row.get(name) or "" for name in COLUMNS + OPTIONAL}
    if not field["id"]:
        wrong.append("the id is empty")
    elif len(field["id"].split()) > 1:
        wrong.append(f"id '{field['id']}' holds whitespace")
    if field["split"] not in SPLITS:
        near = did_you_mean(field["split"], SPLITS)
        wrong.append(f"unknown split '{field['split']}'{near} (train, val or test)")
    custom: Dict[str, Any] = {"text": field["text"]} if "gloss" in header else {}
    if not field["text"]:
        wrong.append("the text is empty")
    if "gloss" in header and not field["gloss"]:
        wrong.append("the gloss is empty")
    words = field["gloss" if "gloss" in header else "text"].split()
    for word in words:
        try:
            gloss_word(word)
        except AslError as e:
            wrong.append(str(e))
    clip = Clip(
        id=field["id"], split=field["split"], text=" ".join(words), where=f"{table} line {line}",
        path=table.parent / field["path"], speaker=field["signer"] or None, custom=custom,
    )  # fmt: skip
    wrong += _source_problems(clip, field)
    return wrong, clip


def _source_problems(clip: Clip, field: Dict[str, str]) -> List[str]:
    """Set status, rate and span of a clip; return what is wrong with its path, fps, start and end."""
    path, wrong = clip.path, []
    try:
        clip.fps = parse_rate(field["fps"]) if field["fps"] else None
    except AslError as e:
        wrong.append(str(e))
    if not field["path"]:
        return ["the path is empty", *wrong]
    if not path.exists():
        return [f"path {path} is not there", *wrong]
    if is_video(path):
        clip.status, clip.video = VIDEO, path
        if path.is_dir() and not field["fps"]:
            wrong.append(f"path {path} is a folder of frames: give its frames per second in the column fps")
        if not path.is_dir() and field["fps"]:
            wrong.append(f"fps '{field['fps']}' of the video {path}: leave it empty, the video tells its own")
    elif path.is_dir() and not is_openpose(path):
        wrong.append(f"path {path} is a folder without numbered frames (.png, .jpg) or OpenPose's JSON")
    elif path.is_file() and path.suffix not in SUFFIXES:
        wrong.append(f"path {path} is neither a landmark file ({', '.join(SUFFIXES)}) nor a video (.mp4 and so on)")
    wrong += _span_problems(clip, field)
    if path.is_dir() and clip.span is not None and clip.fps is not None and clip.fps.denominator not in (1, 1001):
        # a recording tells the rate of its folder by its own length, which is not the folder's there
        wrong.append(f"a part of frames at {field['fps']} a second: make a folder of it, or give a whole rate")
    return wrong


def _span_problems(clip: Clip, field: Dict[str, str]) -> List[str]:
    """Set the span of a clip; return what is wrong with start and end."""
    times: List[Optional[float]] = []
    for name in ("start", "end"):
        try:
            times.append(float(field[name]) if field[name] else None)
        except ValueError:
            times.append(math.nan)
        if times[-1] is not None and not 0 <= times[-1] < math.inf:
            return [f"{name} '{field[name]}' is no time in seconds from 0 on"]
    start, end = times[0] or 0.0, times[1]
    if end is not None and end <= start:
        return [f"end {field['end']} is not after start {field['start'] or 0}"]
    if times != [None, None]:
        clip.span = (start, end)
    return []


def _rate(clip: Clip, file_rate: Optional[Fraction]) -> Tuple[Fraction, str]:
    """The table's rate before the file's, and 25 fps where neither says."""
    if clip.fps is not None:
        return clip.fps, "table"
    return (file_rate, "file") if file_rate is not None else (ASSUMED_RATE, "assumed")
