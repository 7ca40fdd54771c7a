"""WLASL: 2,000 signs of American Sign Language, each clip one sign (isolated recognition).

Made by Dongxu Li, Cristian Rodriguez Opazo, Xin Yu and Hongdong Li (Australian National University),
"Word-level Deep Sign Language Recognition from Video", WACV 2020: 21,083 videos of some 119 signers,
collected from sign dictionaries and teachers' pages on the web, each cut to one sign.

Terms: WLASL is under the Computational Use of Data Agreement (C-UDA) and for academic use only, so nothing is
downloaded here. Its owner has it at https://dxli94.github.io/WLASL/ (lists and the script that fetches the
videos: https://github.com/dxli94/WLASL). Many videos have gone from the web since; its owner gives the
missing ones on request.

Files::

    WLASL_v0.3.json               [{gloss, instances: [{video_id, signer_id, split, source, variation_id,
                                  fps, frame_start, frame_end, bbox, url, instance_id}]}]; its order is the
                                  order of the classes, the most frequent sign first
    nslt_{100,300,1000,2000}.json {video_id: {subset: train|val|test, action: [class, start, end]}}
    hands/<video_id>.npy          landmarks, wherever they were extracted: one of these three folders
    landmarks/<video_id>.{npz,npy,pose}
    poses/<video_id>.{pose,npz,npy}
    videos/<video_id>.mp4         the owner's clips, cut to the sign; or what they are cut from:
    raw_videos/<name>.mp4         named by its video_id, or by the eleven letters that end the url of one that is
                                  on YouTube; raw_videos_mp4/ too (the owner's script converts .swf into it)

What is odd about it:

- The subsets are nested: the 100 signs are the first 100 classes of the 300, and so on, with the same clips
  and splits. So any N is the first N classes of the smallest list that holds them.
- Official counts (train/val/test): 100: 1442/338/258; 300: 3549/901/668; 1000: 8978/2320/1876; 2000:
  14296/3920/2879. Give n found of n official with every figure: those whose videos are gone are part of the
  owner's splits.
- ``start`` and ``end`` are 1-based and counted at 25 fps, whatever the video's rate: they never index a
  full-rate array. They serve to estimate the rate, see ``asl.corpora.rates.estimate_rate``. ``fps`` in
  WLASL_v0.3.json is 25 for every clip and says nothing about the video either.
- ``frame_start`` and ``frame_end`` of WLASL_v0.3.json count the frames of the uncut video, at its own rate (1-based;
  -1: to the end; 50 frames are a ``[1, 43]`` of nslt: so for each of the 1,561 clips of asl5200, by the law of
  ``estimate_rate`` for 29.97 fps). The owner's script cuts YouTube's videos there and copies the others whole, and so
  do we with what is in raw_videos.
- 12 clips of nslt_2000.json (6 of the 1,000 signs, none of the 100) are not in WLASL_v0.3.json: their
  signer is unknown.
- ``wlasl_class_list.txt`` has the same order; one sign is misspelt there (163, "losear" for "lose"), so the
  glosses are taken from WLASL_v0.3.json.
- Most test clips come from signers that are seen in train; the protocol ``signer-independent`` divides anew:
  once for the whole of WLASL_v0.3.json, so that the subsets stay nested and a signer of val is in val of all.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Tuple

from asl.common.errors import AslError
from asl.common.files import read_json
from asl.common.rates import parse_rate
from asl.corpora.manifests import (
    BAD, LEFT_OUT, MISSING, SPLITS, VIDEO_ONLY, Clip,
    empty_split_notes, make_report, print_report, probe_clips, write_manifests, write_report,
)  # fmt: skip
from asl.corpora.rates import ASSUMED_RATE, estimate_rate
from asl.corpora.resplit import Item, split_by_signer
from asl.corpora.sources import choose_sources, hash_sources, source_notes
from asl.corpora.synthetic import is_synthetic
from asl.corpora.wlasl_videos import attach_videos, cut_raw
from asl.landmarks.reading import landmarks_by_stem
from asl.lang.prepare import gloss_word, write_lang

HOME = "https://dxli94.github.io/WLASL/"
LISTS = (100, 300, 1000, 2000)
SIGNER_INDEPENDENT = "signer-independent"
Protocol = Literal["official", "signer-independent"]
METADATA = "WLASL_v0.3.json"
# In the order in which they are preferred where two hold the same number of clips.
LANDMARKS = {
    "hands": (".npy",),
    "landmarks": (".npz", ".npy", ".pose"),
    "poses": (".pose", ".npz", ".npy"),
}


def check(corpus_dir: str, subset: int = 100, from_videos: bool = False) -> Dict[str, Any]:
    """Say what is there of WLASL and what is missing; write nothing.

    There is no download: WLASL has terms of use (C-UDA, academic). Its owner has it at
    https://dxli94.github.io/WLASL/.

    Args:
        corpus_dir: the folder with WLASL_v0.3.json, nslt_100.json (300, 1000, 2000 for more signs) and the
            landmarks: hands/<video_id>.npy, or .npz, .npy or .pose files in landmarks/ or poses/; or the videos.
        subset: the first so many signs: the owner's 100, 300, 1000 or 2000, or any other number up to 2000.
        from_videos: take the clips from their videos where there are landmarks, too.

    Returns:
        the report, see ``asl.corpora.manifests.make_report``.

    Raises:
        AslError: the folder or a list is missing, empty, cut short or another file; no clip has landmarks or a video.
    """
    clips, facts, _ = _read(Path(corpus_dir), subset, from_videos)
    return _finish(clips, facts)


def prepare(
    corpus_dir: str,
    out: str = "data",
    subset: int = 100,
    protocol: Protocol = "official",
    seed: int = 0,
    from_videos: bool = False,
) -> Dict[str, Any]:
    """Write the manifests, the written side and the report of WLASL.

    A clip becomes a recording (its landmark file; its video where no clip has landmarks) and a supervision: ``text``
    is the gloss as one word, ``speaker`` the signer; ``custom`` holds ``gloss``, ``class_id``, ``source``,
    ``variation``, ``span`` (start, end at 25 fps), ``fps_from`` and ``fps_estimated``, and where the clip is a part of
    an uncut video ``source_times`` (its start and end there, in seconds). Class ``i`` is word ``i`` of ``lang``.
    A split without a single usable clip is reported and gets no files.

    Args:
        corpus_dir: the folder with WLASL_v0.3.json, nslt_100.json (300, 1000, 2000 for more signs) and the
            landmarks: hands/<video_id>.npy, or .npz, .npy or .pose files in landmarks/ or poses/; or the videos.
        out: the recipe's data folder.
        subset: the first so many signs: the owner's 100, 300, 1000 or 2000, or any other number up to 2000.
        protocol: official, the owner's splits; or signer-independent, train, val and test divided anew so
            that no signer is in two of them, in about the owner's proportions. Figures of the two are never
            put into one table.
        seed: of that division.
        from_videos: take the clips from their videos where there are landmarks, too.

    Returns:
        the report, which is also written to ``<out>/report.json``.

    Raises:
        AslError: as ``check``; or a file cannot be written.
    """
    clips, facts, entries = _read(Path(corpus_dir), subset, from_videos)
    facts["protocol"] = protocol
    if protocol == SIGNER_INDEPENDENT:
        facts["owner_splits"] = {s: sum(c.split == s for c in clips) for s in SPLITS}
        facts["seed"] = seed
        _divide_by_signer(clips, entries, seed)
    unexplained: List[str] = []
    probe_clips(clips, lambda clip, file_rate: _rate(clip, file_rate, unexplained))
    for clip in clips:
        del clip.custom["fps_json"]
    facts.update(cut_to_end=cut_raw(clips), fps_unexplained=unexplained, sources=hash_sources(clips))
    write_lang(facts["words"], Path(out) / "lang")
    write_manifests(clips, out, language="ase")
    report = _finish(clips, facts)
    write_report(report, out)
    return report


def _finish(clips: List[Clip], facts: Dict[str, Any]) -> Dict[str, Any]:
    facts = {key: value for key, value in facts.items() if key != "words"}
    subset = facts["subset"]
    facts["notes"] = empty_split_notes(clips) + source_notes(clips, facts)
    in_train = {c.text for c in clips if c.split == "train" and c.usable}
    if len(in_train) < subset:
        facts["notes"].append(f"{subset - len(in_train)} signs have no train clip here")
    if facts.get("fps_unexplained"):
        n = len(facts["fps_unexplained"])
        facts["notes"].append(f"{n} clips fit their span at no rate: 25 fps assumed (fps_unexplained)")
    if facts.get("cut_to_end"):
        n = len(facts["cut_to_end"])
        facts["notes"].append(f"{n} clips end after their video and are cut to its end (cut_to_end)")
    if any(c.status in (MISSING, VIDEO_ONLY) for c in clips) and not facts["synthetic"]:
        facts["notes"].append(f"the owner gives videos that are gone from the web on request: {HOME}")
    report = make_report("wlasl", clips, facts)
    name = "Synthetic corpus in WLASL's format" if facts["synthetic"] else "WLASL"
    print(f"{name}, the first {subset} signs ({facts['list']}), {facts['from']}: {facts['landmarks'] or 'none'}")
    print_report(report)
    if not any(row["found"] for row in report["splits"].values()):
        first = next((f"; first: {clip.id}: {clip.reason}" for clip in clips if clip.status == BAD), "")
        raise AslError(
            f"{facts['corpus_dir']}: none of the {len(clips):,} clips has usable landmarks or a video that can be read"
            f"{first}; put them at videos/<video_id>.mp4, "
            + ", ".join(f"{folder}/<video_id>{suffixes[0]}" for folder, suffixes in LANDMARKS.items())
        )
    return report


def _read(
    corpus: Path, subset: int, from_videos: bool
) -> Tuple[List[Clip], Dict[str, Any], Dict[str, Dict[str, Any]]]:
    """Read the owner's lists, look for each clip's files; return the clips, facts and METADATA's entries."""
    if not 1 <= subset <= LISTS[-1]:
        raise AslError(f"subset {subset}: WLASL has {LISTS[-1]} signs; give a number from 1 to {LISTS[-1]}")
    if not corpus.is_dir():
        raise AslError(f"{corpus} is not a folder; give the folder that holds {METADATA} (from {HOME})")
    if not any(corpus.iterdir()):
        raise AslError(f"{corpus} is empty; put WLASL's files there (from {HOME})")
    wanted = [f"nslt_{n}.json" for n in LISTS if n >= subset]
    lists = [name for name in wanted if (corpus / name).exists()]
    if not lists:
        raise AslError(f"{corpus} has no list of clips ({' or '.join(wanted)}); get it from {HOME}")
    glosses, metadata = _read_metadata(corpus / METADATA)
    if len(glosses) < subset:
        raise AslError(f"{corpus / METADATA} has {len(glosses)} signs; give --subset {len(glosses)} or less")
    clips = _read_list(corpus / lists[0], subset, glosses, metadata)
    facts: Dict[str, Any] = {
        "corpus_dir": str(corpus), "synthetic": is_synthetic(corpus), "subset": subset, "list": lists[0],
        "landmarks": _attach_files(clips, corpus),
        "words": [gloss_word(gloss) for gloss in glosses[:subset]],
    }  # fmt: skip
    attach_videos(clips, corpus, metadata)
    choose_sources(clips, corpus, from_videos, facts)
    if facts["from"] == "videos":
        folders = {clip.path.parent.name for clip in clips if clip.path is not None}
        facts["landmarks"] = ", ".join(sorted(folders)) or None
    return clips, facts, metadata


def _read_metadata(path: Path) -> Tuple[List[str], Dict[str, Dict[str, Any]]]:
    """Return the glosses in class order and each clip's entry (with ``class_id``)."""
    signs = read_json(path)
    if not isinstance(signs, list) or not all(
        isinstance(s, dict) and isinstance(s.get("gloss"), str) and isinstance(s.get("instances"), list)
        for s in signs
    ):
        raise AslError(f"{path} is not the list [{{gloss, instances}}] of signs; get it from {HOME}")
    entries: Dict[str, Dict[str, Any]] = {}
    for class_id, sign in enumerate(signs):
        for entry in sign["instances"]:
            clip_id = entry.get("video_id") if isinstance(entry, dict) else None
            if not isinstance(clip_id, str):
                raise AslError(f"{path}: '{sign['gloss']}' has a clip without video_id; get it from {HOME}")
            if clip_id in entries:
                other = signs[entries[clip_id]["class_id"]]["gloss"]
                raise AslError(
                    f"{path}: video_id '{clip_id}' stands under '{other}' and '{sign['gloss']}'; keep one"
                )
            entries[clip_id] = {**entry, "class_id": class_id}
    return [sign["gloss"] for sign in signs], entries


def _read_list(
    path: Path, subset: int, glosses: List[str], metadata: Dict[str, Dict[str, Any]]
) -> List[Clip]:
    """Return the clips of the first ``subset`` classes of an nslt file, in order of id."""
    rows = read_json(path)
    if not isinstance(rows, dict) or not rows:
        raise AslError(f"{path} is not a list {{video_id: {{subset, action}}}} of clips; get it from {HOME}")
    clips = []
    for clip_id, row in sorted(rows.items()):
        where = f"{path} id '{clip_id}'"
        class_id, start, end = _action(row, where)
        entry = metadata.get(clip_id, {})
        if class_id >= len(glosses) or entry.get("class_id", class_id) != class_id:
            raise AslError(f"{where}: class {class_id} is another than in {METADATA}; take both from {HOME}")
        if class_id >= subset:
            continue
        signer = entry.get("signer_id")
        custom = {
            "gloss": glosses[class_id], "class_id": class_id, "span": [start, end],
            "source": entry.get("source"), "variation": entry.get("variation_id"),
            "fps_json": entry.get("fps"),
        }  # fmt: skip
        clips.append(Clip(
            id=clip_id, split=row["subset"], text=gloss_word(glosses[class_id]), where=where,
            speaker=None if signer is None else str(signer), custom=custom,
        ))  # fmt: skip
    return clips


def _action(row: Any, where: str) -> Tuple[int, int, int]:
    action = row.get("action") if isinstance(row, dict) else None
    whole = isinstance(action, list) and len(action) == 3 and all(isinstance(x, int) for x in action)
    if not whole or row.get("subset") not in SPLITS:
        raise AslError(
            f"{where}: expected subset (train, val or test) and action [class, start, end], found {row}; "
            f"get the file from {HOME}"
        )
    class_id, start, end = action
    if class_id < 0 or start < 1 or (end < start and end != -1):
        raise AslError(f"{where}: action {action} is not [class, start, end], from 1, end after start or -1")
    return class_id, start, end


def _attach_files(clips: List[Clip], corpus: Path) -> Optional[str]:
    """Set the landmark file of each clip; return the folder that the landmarks are taken from.

    One folder serves the whole corpus, the one with most of the clips: two extractions have different
    points, which do not mix in one model.
    """
    found = {folder: landmarks_by_stem(corpus / folder, suffixes) for folder, suffixes in LANDMARKS.items()}
    folder = max(found, key=lambda f: sum(c.id in found[f] for c in clips))
    for clip in clips:
        clip.path = found[folder].get(clip.id)
    return folder if any(c.path for c in clips) else None


def _divide_by_signer(clips: List[Clip], entries: Dict[str, Dict[str, Any]], seed: int) -> None:
    """Set each clip's split anew. Clips whose signer is unknown could be of anyone and are left out.

    Divided are all clips that METADATA lists, of whichever subset: an encoder that was pre-trained on train
    of 1,000 signs has then seen no signer of val of 100.
    """
    items = [
        Item(clip_id, str(entry["signer_id"]), str(entry["class_id"]), str(entry.get("split")))
        for clip_id, entry in entries.items()
        if entry.get("signer_id") is not None
    ]
    division = split_by_signer(items, seed)
    for clip in clips:
        if clip.id not in division:
            clip.status, clip.reason = LEFT_OUT, f"its signer is not in {METADATA}"
        else:
            clip.split = division[clip.id]


def _rate(clip: Clip, file_rate: Optional[Fraction], unexplained: List[str]) -> Tuple[Fraction, str]:
    """The landmark file's own rate where it has one, else the one that the span tells, else 25."""
    stated = clip.custom["fps_json"]
    if file_rate is not None:
        return file_rate, "file"
    start, end = clip.custom["span"]
    if end == -1:  # to the end of the video: no length to estimate from
        return (parse_rate(stated), METADATA) if stated else (ASSUMED_RATE, "assumed")
    rate, _ = estimate_rate(clip.num_frames, end - start + 1)
    if rate is None:
        unexplained.append(clip.id)
        return ASSUMED_RATE, "assumed"
    return rate, "span"
