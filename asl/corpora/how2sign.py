"""How2Sign: instructional videos translated into American Sign Language, each sentence with its English.

Made at the Universitat Politècnica de Catalunya with Carnegie Mellon, Gallaudet and Facebook AI: Amanda Duarte,
Shruti Palaskar, Lucas Ventura, Deepti Ghadiyaram, Kenneth DeHaan, Florian Metze, Jordi Torres and Xavier
Giro-i-Nieto, "How2Sign: A Large-scale Multimodal Dataset for Continuous American Sign Language", CVPR 2021. Some 80
hours before a green screen, 11 signers who watch the video's English captions; there are no glosses.

Terms: CC BY-NC 4.0, from its owner, nothing is downloaded here: https://how2sign.github.io

Files (``--corpus-dir`` is the owner's folder ``How2Sign``, or one with the lists in it)::

    how2sign_realigned_{train,val,test}.csv   VIDEO_ID VIDEO_NAME SENTENCE_ID SENTENCE_NAME START_REALIGNED
                                              END_REALIGNED SENTENCE; also where the owner's script puts them:
                                              sentence_level/<split>/text/en/raw_text/re_aligned/
    how2sign_{train,val,test}.csv             the older times (START, END): used where there is no realigned file
    landmarks/<SENTENCE_NAME>.npz             landmarks of a sentence (.npz, .npy or .pose); landmarks/<split>/ too
    landmarks/<VIDEO_NAME>.npz                landmarks of a whole video: its sentences are cut out by their times
    clips/<SENTENCE_NAME>.mp4                 videos; sentence_level/<split>/rgb_front/raw_videos too. Landmarks are
                                              extracted from them where no sentence has any
    videos/<VIDEO_NAME>.mp4                   whole ones; raw_videos, video_level/<split>/rgb_front/raw_videos too:
                                              their sentences are cut out by their times
    transcripts.tsv                           SENTENCE_NAME, SENTENCE of a part of train, for ``--protocol by-video``

What is odd about it:

- The official counts are 31,165 (train), 1,741 (val) and 2,357 (test) sentences. Give n found of n official.
- The key is SENTENCE_NAME: SENTENCE_ID repeats where a video was signed twice.
- The owner's files are separated by tabs, copies of them by commas with CRLF. Both are read.
- The number in a name is the signer: in ``…_7-5-rgb_front`` signer 5. There are 5 in val and 6 in test, as the
  paper says; all of val's are in test. So signers are not unseen here.
- The owner's sentence clips were cut by the older times, the text was aligned anew later: where a sentence has
  landmarks or a clip of its own, its times are not used, and those that last otherwise by more than half a second are
  listed. Whole videos and their landmarks are cut by the times of the list.
- Some end times lie past the end of the video: these are cut to the end, counted and listed; nothing is left of a
  sentence that starts there, and it is bad.
- The shortest val sentence lasts 0.02 s, the longest 58 s; the mean is 6.9 s and 17.5 words. ``--max-seconds`` leaves
  longer ones out of train. Val and test are never thinned out.
- A landmark file that does not say its rate is taken for 24 frames a second, the rate of the clips seen so far.
"""

import random
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable, Dict, List, Literal, Mapping, Optional, Sequence, Tuple

from asl.common.errors import AslError
from asl.common.files import read_json, write_text
from asl.common.seeds import derive_seed
from asl.corpora.how2sign_lists import (
    HOME, OWNER_COUNTS, TRANSCRIPTS, as_facts, find_lists, read_list, read_transcripts,
)  # fmt: skip
from asl.corpora.manifests import (
    BAD, LEFT_OUT, SPLITS, Clip,
    check_unique, empty_split_notes, make_report, print_report, probe_clips, write_manifests,
    write_report,
)  # fmt: skip
from asl.corpora.sources import choose_sources, cut_spans, hash_sources, source_notes, videos_by_stem
from asl.corpora.synthetic import MARKER, is_synthetic
from asl.landmarks.reading import landmarks_by_stem

INNER = "How2Sign"
LANDMARKS = "landmarks"
RATE = Fraction(24)
_CLIPS = ("clips", "sentence_level/{0}/rgb_front/raw_videos")
_WHOLE = ("videos", "raw_videos", "video_level/{0}/rgb_front/raw_videos")
_OTHERWISE = 0.5  # seconds by which a clip may differ from its times before it is listed

Protocol = Literal["official", "by-video"]


def check(
    corpus_dir: str,
    protocol: Protocol = "official",
    val_share: float = 0.2,
    max_seconds: Optional[float] = None,
    seed: int = 0,
    from_videos: bool = False,
) -> Dict[str, Any]:
    """Say what is there of How2Sign and what is missing; write nothing.

    There is no download: it is CC BY-NC 4.0 and comes from its owner, https://how2sign.github.io. A folder without
    landmarks and videos is told, not refused: its written side can be prepared.

    Args:
        corpus_dir: the owner's folder How2Sign, or one with how2sign_realigned_<split>.csv and landmarks/ or videos.
        protocol: official, the owner's splits; or by-video, the sentences of transcripts.tsv (of the train list
            where there is none) that have landmarks, divided into train and val by whole videos.
        val_share: by-video: the share of the sentences that goes to val, as nearly as whole videos allow.
        max_seconds: leave sentences that last longer out of train; without it all stay.
        seed: of by-video's division.
        from_videos: take the sentences from videos where there are landmarks, too.

    Returns:
        the report, see ``asl.corpora.manifests.make_report``.

    Raises:
        AslError: a list is missing or not as the owner wrote it; names file and line.
    """
    clips, facts = _read(Path(corpus_dir), protocol, val_share, seed, from_videos)
    _leave_out(clips, facts, max_seconds)
    return _finish(clips, facts)


def prepare(
    corpus_dir: str,
    out: str = "data",
    protocol: Protocol = "official",
    val_share: float = 0.2,
    max_seconds: Optional[float] = None,
    seed: int = 0,
    from_videos: bool = False,
) -> Dict[str, Any]:
    """Write the manifests, the texts and the report of How2Sign.

    A sentence becomes a recording (its landmark file; its video where no sentence has landmarks) and a supervision:
    ``text`` is its English as the owner wrote it, ``speaker`` the signer's number; ``custom`` holds ``video``,
    ``times`` (start and end in it, seconds) and, where it is cut out of the landmarks of its video, ``source_frames``
    (the first of them and the one after the last), or out of the video, ``source_times`` (seconds).
    ``<out>/text/<split>.txt`` has every sentence that the owner lists and training may see, one a line, with or
    without landmarks: what tokens and language models are made of. There is no ``lang``: which pieces the text is cut
    into is the next command's choice (``asl lang sentencepiece``). A split without a single usable sentence is
    reported and gets no manifests.

    Args:
        corpus_dir: the owner's folder How2Sign, or one with how2sign_realigned_<split>.csv and landmarks/ or videos.
        out: the recipe's data folder.
        protocol: official, the owner's splits; or by-video, the sentences of transcripts.tsv (of the train list
            where there is none) that have landmarks, divided into train and val by whole videos. Figures of the two
            are never put into one table.
        val_share: by-video: the share of the sentences that goes to val, as nearly as whole videos allow.
        max_seconds: leave sentences that last longer out of train; without it all stay.
        seed: of by-video's division.
        from_videos: take the sentences from videos where there are landmarks, too.

    Returns:
        the report, which is also written to ``<out>/report.json``.

    Raises:
        AslError: as ``check``; or a file cannot be written.
    """
    clips, facts = _read(Path(corpus_dir), protocol, val_share, seed, from_videos)
    probe_clips(clips, _rate)
    _compare_lengths(clips, facts)
    facts.update(cut_to_end=cut_spans(clips), sources=hash_sources(clips))
    _leave_out(clips, facts, max_seconds)
    for split in SPLITS:
        lines = [clip.text for clip in clips if clip.split == split and clip.status != LEFT_OUT and clip.text]
        path = Path(out) / "text" / f"{split}.txt"
        if lines:
            write_text(path, "".join(f"{line}\n" for line in lines))
        else:
            path.unlink(missing_ok=True)
    write_manifests(clips, out, language="ase")
    report = _finish(clips, facts)
    write_report(report, out)
    return report


def _read(
    corpus: Path, protocol: str, val_share: float, seed: int, from_videos: bool
) -> Tuple[List[Clip], Dict[str, Any]]:
    """Read the lists and look for each sentence's files; return the sentences and facts."""
    if not corpus.is_dir():
        raise AslError(f"{corpus} is not a folder; give the owner's folder {INNER} (from {HOME})")
    root = corpus / INNER if (corpus / INNER).is_dir() else corpus
    marker = read_json(root / MARKER) if is_synthetic(root) else {}
    facts: Dict[str, Any] = {
        "corpus_dir": str(corpus), "synthetic": is_synthetic(root), "simulated": bool(marker.get("simulated")),
        "protocol": protocol, "lists": {}, "owner_counts": OWNER_COUNTS, "cut_to_end": {}, "other_length": [],
        "overlong": {}, "notes": [], "transcripts": (root / TRANSCRIPTS).is_file() and protocol == "official",
    }  # fmt: skip
    clips = _listed(root, protocol, facts)
    check_unique(clips)
    _attach_files(clips, root)
    choose_sources(clips, root, from_videos, facts)
    if protocol == "by-video":
        clips = _divide(clips, val_share, seed, facts)
    return clips, facts


def _listed(root: Path, protocol: str, facts: Dict[str, Any]) -> List[Clip]:
    lists, transcripts = find_lists(root), root / TRANSCRIPTS
    if protocol == "by-video":
        if transcripts.is_file():
            facts["lists"] = {"train": {"file": str(transcripts), "times": None}}
            return read_transcripts(transcripts)
        if "train" not in lists:
            raise AslError(f"{root} has neither {TRANSCRIPTS} nor how2sign_realigned_train.csv, which by-video divides")
        lists = {"train": lists["train"]}
    if not lists:
        hint = f"; it has {TRANSCRIPTS}: give --protocol by-video" if transcripts.is_file() else f" (from {HOME})"
        raise AslError(f"{root} has no how2sign_realigned_train.csv, _val.csv or _test.csv{hint}")
    facts["lists"] = as_facts(lists)
    return [clip for split, (path, _) in lists.items() for clip in read_list(path, split)]


def _attach_files(clips: Sequence[Clip], root: Path) -> None:
    """Set landmarks and video of each sentence: its own, else those of its whole video and its times there."""
    for split in SPLITS:
        landmarks = _files(root, (LANDMARKS, LANDMARKS + "/{0}"), split, landmarks_by_stem)
        own, whole = (_files(root, folders, split, videos_by_stem) for folders in (_CLIPS, _WHOLE))
        for clip in clips:
            if clip.split != split or clip.status == BAD:
                continue
            video, times = clip.custom["video"], clip.custom.get("times")
            clip.path, clip.video = landmarks.get(clip.id), own.get(clip.id)
            if clip.path is None and times is not None and video in landmarks:
                clip.path, clip.span = landmarks[video], (times[0], times[1])
            if clip.video is None and times is not None and video in whole:
                clip.video, clip.video_span = whole[video], (times[0], times[1])


def _files(
    root: Path, folders: Tuple[str, ...], split: str, by_stem: Callable[[Path], Dict[str, Path]]
) -> Dict[str, Path]:
    found: Dict[str, Path] = {}
    for folder in reversed(folders):
        found.update(by_stem(root / folder.format(split)))
    return found


def _divide(clips: Sequence[Clip], val_share: float, seed: int, facts: Dict[str, Any]) -> List[Clip]:
    """The sentences that can be used, whole videos of them in val: as near to the share as these allow."""
    if not 0 <= val_share < 1:
        raise AslError(f"--val-share {val_share}: give a share from 0 (all to train on) to below 1, such as 0.2")
    found = [clip for clip in clips if clip.usable]
    sizes = Counter(clip.custom["video"] for clip in found)
    if len(sizes) < 2:
        raise AslError(f"{facts['corpus_dir']}: {facts['from']} of {len(sizes)} recordings, by-video divides 2 or more")
    order = sorted(sizes)
    random.Random(derive_seed(seed, "by-video")).shuffle(order)
    in_val = _choose(order, sizes, val_share * len(found)) if val_share else []
    for clip in found:
        clip.split = "val" if clip.custom["video"] in in_val else "train"
    numbers = {split: sum(clip.split == split for clip in found) for split in ("train", "val")}
    facts.update(val_share=val_share, seed=seed, val_videos=sorted(in_val))
    facts["notes"].append(
        f"by video: {numbers['train']} sentences of {len(sizes) - len(in_val)} videos in train, {numbers['val']} of "
        f"{len(in_val)} in val; {len(found)} of the owner's {OWNER_COUNTS['train']:,} train sentences, "
        f"{len(clips) - len(found)} more are listed without {facts['from']}"
    )
    return found


def _choose(order: Sequence[str], sizes: Mapping[str, int], target: float) -> List[str]:
    """Of all sets of videos, but none and all, one that holds most nearly ``target`` sentences."""
    last: Dict[int, Tuple[int, str]] = {0: (0, "")}  # a sum that can be had -> the sum before, the video added
    for video in order:
        for total in sorted(last, reverse=True):
            if total <= target:
                last.setdefault(total + sizes[video], (total, video))
    everything = sum(sizes.values())
    total = min((t for t in last if 0 < t < everything), key=lambda t: (abs(t - target), t))
    chosen = []
    while total:
        total, video = last[total]
        chosen.append(video)
    return chosen


def _rate(clip: Clip, file_rate: Optional[Fraction]) -> Tuple[Fraction, str]:
    return (RATE, "assumed") if file_rate is None else (file_rate, "file")


def _compare_lengths(clips: Sequence[Clip], facts: Dict[str, Any]) -> None:
    """List the sentences whose own files last otherwise than their times."""
    for clip in clips:
        if clip.usable and clip.span is None and "times" in clip.custom:
            assert clip.fps is not None
            start, end = clip.custom["times"]
            if abs(clip.num_frames / clip.fps - (end - start)) > _OTHERWISE:
                facts["other_length"].append(clip.id)


def _leave_out(clips: Sequence[Clip], facts: Dict[str, Any], max_seconds: Optional[float]) -> None:
    """Leave overlong sentences out of train; those of val and test are listed and stay."""
    if max_seconds is None:
        return
    if max_seconds <= 0:
        raise AslError(f"--max-seconds {max_seconds}: give a number of seconds above 0, such as 30")
    overlong: Dict[str, List[str]] = defaultdict(list)
    for clip in clips:
        start, end = clip.custom.get("times", (0.0, 0.0))
        seconds = float(clip.num_frames / clip.fps) if clip.fps else end - start
        if clip.status != BAD and seconds > max_seconds:
            overlong[clip.split].append(clip.id)
            if clip.split == "train" and clip.usable:
                clip.status, clip.reason = LEFT_OUT, f"{seconds:.1f} s, longer than {max_seconds:g} s"
    facts.update(max_seconds=max_seconds, overlong=dict(overlong))


def _finish(clips: List[Clip], facts: Dict[str, Any]) -> Dict[str, Any]:
    facts["notes"] = [*facts["notes"], *_notes(clips, facts)]
    report = make_report("how2sign", clips, facts)
    kind = "Simulated How2Sign" if facts["simulated"] else "Synthetic corpus in How2Sign's format"
    print(f"{kind if facts['synthetic'] else 'How2Sign'}, {facts['protocol']}")
    print_report(report)
    return report


def _notes(clips: Sequence[Clip], facts: Mapping[str, Any]) -> List[str]:
    notes = []
    for split in SPLITS if facts["protocol"] == "official" else ():
        listed = sum(clip.split == split for clip in clips)
        found = sum(clip.split == split and clip.usable for clip in clips)
        official = OWNER_COUNTS[split]
        if split not in facts["lists"]:
            notes.append(f"{split}: no how2sign_realigned_{split}.csv; the owner's lists {official:,} sentences")
        elif listed != official and not facts["synthetic"]:
            notes.append(f"{split}: {listed:,} sentences in this list, {found:,} found; the owner's has {official:,}")
        if facts["lists"].get(split, {}).get("times") == "older":
            notes.append(f"{split}: older times ({facts['lists'][split]['file']}); the realigned ones are better")
    if facts["cut_to_end"]:
        longest = max(facts["cut_to_end"].items(), key=lambda item: item[1])
        notes.append(
            f"{len(facts['cut_to_end'])} sentences end after their video and are cut to its end (cut_to_end; most: "
            f"{longest[0]}, by {longest[1]} s)"
        )
    if facts["other_length"]:
        notes.append(
            f"{len(facts['other_length'])} clips last otherwise than their times by more than {_OTHERWISE} s, as the "
            "owner's clips of the older times do (other_length)"
        )
    for split, ids in facts["overlong"].items():
        what = "left out" if split == "train" else "kept, since val and test are never thinned out"
        notes.append(f"{split}: {len(ids)} sentences last longer than {facts['max_seconds']:g} s: {what} (overlong)")
    notes += source_notes(clips, facts)
    notes += empty_split_notes(clips)
    if clips and not any(clip.usable for clip in clips):
        notes.append(
            "no landmarks and no video of any listed sentence, so only the written side can be made; put them at "
            f"{LANDMARKS}/<SENTENCE_NAME>.npz or {_CLIPS[0]}/<SENTENCE_NAME>.mp4 (<VIDEO_NAME> of whole ones)"
            + (f". There is a {TRANSCRIPTS}: what it lists, --protocol by-video takes" if facts["transcripts"] else "")
        )
    return notes
