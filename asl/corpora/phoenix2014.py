"""RWTH-PHOENIX-Weather 2014: German Sign Language (DGS) from television, sentences of glosses.

Made at RWTH Aachen: Oscar Koller, Jens Forster and Hermann Ney, "Continuous sign language recognition:
Towards large vocabulary statistical recognition systems handling multiple signers", CVIU 141, 2015. Weather
forecasts of the channel PHOENIX, nine interpreters, 2009 to 2013, 25 frames a second, 210 x 260 pixels.

Terms: for non-commercial research, from its owner, nothing is downloaded here:
https://www-i6.informatik.rwth-aachen.de/~koller/RWTH-PHOENIX/

Files (``--corpus-dir`` is the folder ``phoenix-2014-multisigner`` of the owner's archive, or the one above)::

    annotations/manual/{train,dev,test}.corpus.csv            id|folder|signer|annotation; <id>/1/*.png
    annotations/<split>.frames.tsv                            id, signer, frames: where there, tells without
                                                              landmarks which sentences are too short
    evaluation/*-{train,dev,test}.stm                         the owner's references: where there, compared
    features/fullFrame-210x260px/<split>/<id>/1/*.png         the owner's frames; landmarks are extracted from them
                                                              where no sentence has any
    features/fullFrame-210x260px/<split>/<id>/1/<name>.npz    landmarks: one file (.npz, .npy or .pose) in the
                                                              sentence's folder, beside the frames or instead
                                                              of them; <id>/<name>.npz, <id>.npz do as well

What is odd about it:

- The official counts are 5,672 (train), 540 (dev) and 629 (test) sentences. dev is called val here.
- The annotations of dev and test are normalised, those of train are not: marks (``loc-``, ``cl-``,
  ``-PLUSPLUS`` ...), repeated signs, what the face and the left hand do (``__EMOTION__``, ``__LEFTHAND__``).
  A perfect recogniser that was trained on them as they stand has a WER of 19.4 %. So they are normalised by
  the rules that the references were made with (``asl.common.glosses``): 1,231 different train glosses become
  1,100, and each of the 5,671 sentences of the owner's train STM comes out. ``--labels raw`` leaves them.
- One train sentence, ``13April_2011_Wednesday_tagesschau_default-14``, is broken: 16 frames for 16 glosses.
  The train STM leaves it out, and so do we.
- Annotations hold double blanks. ``__ON__`` and ``__OFF__`` (the hands rise, fall) are glosses of the
  references: 9 to 10 % of them.
- 1 of 200 dev and test glosses is not in train: those cannot be recognised, and count as errors.
- The protocol ``si5``: train is the train sentences without Signer05, val and test are the dev and test
  sentences of Signer05 alone (4,376 / 111 / 180). The owner has lists of this protocol too (SI5), which are
  subsets of the three lists above; here the subset is made by the signer's name. val is of the same one
  signer as test, so figures are of one signer.
"""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, Iterator, List, Literal, Mapping, Sequence, Tuple

from asl.common.errors import AslError
from asl.common.files import read_json, write_text
from asl.common.glosses import clean_sentence, get_rules
from asl.common.transcripts import read_stm
from asl.corpora.manifests import (
    BAD, LEFT_OUT, SPLITS, Clip,
    check_unique, empty_split_notes, make_report, print_report, probe_clips, write_manifests, write_report,
)  # fmt: skip
from asl.corpora.sources import choose_sources, hash_sources, source_notes
from asl.corpora.synthetic import MARKER, is_synthetic
from asl.landmarks.frame_folders import PICTURES
from asl.landmarks.openpose_files import SUFFIX as OPENPOSE
from asl.landmarks.reading import SUFFIXES
from asl.lang.prepare import gloss_word, write_lang

HOME = "https://www-i6.informatik.rwth-aachen.de/~koller/RWTH-PHOENIX/"
INNER = "phoenix-2014-multisigner"
FRAMES = "features/fullFrame-210x260px"
COLUMNS = ("id", "folder", "signer", "annotation")
OWNER = {"train": "train", "val": "dev", "test": "test"}  # our split -> the owner's name
BROKEN = "13April_2011_Wednesday_tagesschau_default-14"
UNSEEN = "Signer05"
RATE = Fraction(25)
SUBSAMPLINGS = (1, 2, 4, 8)
_LISTED = 4  # up to this subsampling the report names the sentences that are too short

Protocol = Literal["signer-dependent", "si5"]
Labels = Literal["normalised", "raw"]


def check(
    corpus_dir: str,
    protocol: Protocol = "signer-dependent",
    labels: Labels = "normalised",
    from_videos: bool = False,
) -> Dict[str, Any]:
    """Say what is there of PHOENIX-2014 and what is missing; write nothing.

    There is no download: it is for non-commercial research and comes from its owner. A folder without frames
    and landmarks is told, not refused: its written side can be prepared.

    Args:
        corpus_dir: the owner's folder phoenix-2014-multisigner, with frames or landmarks in the sentences' folders.
        protocol: signer-dependent, the owner's splits; or si5, train without Signer05, dev and test of
            Signer05 alone.
        labels: of train: normalised as the references are; or raw.
        from_videos: take the sentences from their frames where there are landmarks, too.

    Returns:
        the report, see ``asl.corpora.manifests.make_report``.

    Raises:
        AslError: a list is missing or not as the owner wrote it; names file and line.
    """
    clips, facts = _read(Path(corpus_dir), protocol, labels, from_videos)
    return _finish(clips, facts)


def prepare(
    corpus_dir: str,
    out: str = "data",
    protocol: Protocol = "signer-dependent",
    labels: Labels = "normalised",
    from_videos: bool = False,
) -> Dict[str, Any]:
    """Write the manifests, the written side and the report of PHOENIX-2014.

    A sentence becomes a recording (its landmark file; the folder of its frames where no sentence has landmarks) and a
    supervision: ``text`` are its glosses,
    ``speaker`` the signer, ``custom`` holds ``annotation`` (as the owner wrote it). The words of ``lang`` are
    the glosses of train. ``<out>/text/<split>.txt`` has the glosses of every sentence that the owner lists,
    one sentence a line, with or without landmarks: a grammar is estimated from it. A split without a single
    usable sentence is reported and gets no manifests.

    Args:
        corpus_dir: the owner's folder phoenix-2014-multisigner, with frames or landmarks in the sentences' folders.
        out: the recipe's data folder.
        protocol: signer-dependent, the owner's splits; or si5, train without Signer05, dev and test of
            Signer05 alone. Figures of the two are never put into one table.
        labels: of train: normalised as the references are; or raw.
        from_videos: take the sentences from their frames where there are landmarks, too.

    Returns:
        the report, which is also written to ``<out>/report.json``.

    Raises:
        AslError: as ``check``; or a file cannot be written.
    """
    clips, facts = _read(Path(corpus_dir), protocol, labels, from_videos)
    probe_clips(clips, lambda clip, rate: (RATE, "owner") if rate is None else (rate, "file"))
    write_lang(sorted(_words(clips, "train")), Path(out) / "lang")
    for split in SPLITS:
        lines = [clip.text for clip in clips if clip.split == split and clip.status != LEFT_OUT]
        write_text(Path(out) / "text" / f"{split}.txt", "".join(f"{line}\n" for line in lines))
    facts["sources"] = hash_sources(clips)
    write_manifests(clips, out, language="gsg")
    report = _finish(clips, facts)
    write_report(report, out)
    return report


def _read(corpus: Path, protocol: str, labels: str, from_videos: bool) -> Tuple[List[Clip], Dict[str, Any]]:
    """Read the owner's lists and look for each sentence's files; return the sentences and facts."""
    if not corpus.is_dir():
        raise AslError(f"{corpus} is not a folder; give the owner's folder {INNER} (from {HOME})")
    root = corpus / INNER if (corpus / INNER).is_dir() else corpus
    clips = [clip for split in SPLITS for clip in _read_list(root, split)]
    check_unique(clips)
    facts: Dict[str, Any] = {
        "corpus_dir": str(corpus), "synthetic": is_synthetic(root), "simulated": _is_simulated(root),
        "protocol": "official" if protocol == "signer-dependent" else protocol, "labels": labels,
        "stm": {}, "notes": [],
    }  # fmt: skip
    _compare_with_stm(clips, root, facts)  # of all that is listed, whatever the protocol and the labels
    if protocol == "si5":
        clips = [clip for clip in clips if (clip.speaker == UNSEEN) != (clip.split == "train")]
        if not all(any(clip.split == split for clip in clips) for split in SPLITS):
            raise AslError(f"{root}: {UNSEEN} is not in all three lists: there is no protocol si5 of them")
    raw = len(_words(clips, "train"))
    if labels == "normalised":
        for clip in clips:
            clip.text = _normalised(clip.text) if clip.split == "train" else clip.text
    facts["train_glosses"] = {"raw": raw, "used": len(_words(clips, "train"))}
    _attach_files(clips, root)
    choose_sources(clips, root, from_videos, facts)
    facts["frames_listed"] = _frames(clips, root)
    return clips, facts


def _read_list(root: Path, split: str) -> Iterator[Clip]:
    """Yield the sentences of one of the owner's lists, with the annotation's glosses as they stand."""
    path = root / "annotations" / "manual" / f"{OWNER[split]}.corpus.csv"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise AslError(f"{path} is not there; give the owner's folder {INNER} (from {HOME})") from None
    except (OSError, UnicodeDecodeError) as e:
        raise AslError(f"cannot read {path}: {e}; get it from {HOME}") from e
    if not lines or tuple(lines[0].split("|")) != COLUMNS:
        found = repr(lines[0][:60]) if lines else "an empty file"
        raise AslError(f"{path} line 1: expected '{'|'.join(COLUMNS)}', found {found}; get it from {HOME}")
    for number, line in enumerate(lines[1:], 2):
        where = f"{path} line {number}"
        fields = line.split("|")
        if len(fields) != len(COLUMNS) or not all(field.strip() for field in fields):
            raise AslError(f"{where}: expected '{'|'.join(COLUMNS)}', found {line[:60]!r}; mend the line")
        key, folder, signer, annotation = (field.strip() for field in fields)
        glosses = annotation.split()
        for gloss in glosses:
            _check_gloss(gloss, where)
        yield Clip(
            id=key, split=split, text=" ".join(glosses), where=where, speaker=signer,
            custom={"annotation": annotation, "folder": folder},
        )  # fmt: skip
    if len(lines) < 2:
        raise AslError(f"{path} lists no sentence; get it from {HOME}")


def _check_gloss(gloss: str, where: str) -> None:
    try:
        gloss_word(gloss)
    except AslError as e:
        raise AslError(f"{where}: {e}") from None


def _normalised(text: str) -> str:
    return " ".join(clean_sentence(text.split(), get_rules("phoenix2014")))


def _is_simulated(root: Path) -> bool:
    """Whether the sentences are real and the landmarks made: ``asl simulate`` says so in its marker."""
    return is_synthetic(root) and bool(read_json(root / MARKER).get("simulated"))


def _words(clips: Sequence[Clip], split: str) -> set:
    used = (clip for clip in clips if clip.split == split and clip.status != LEFT_OUT)
    return {word for clip in used for word in clip.text.split()}


def _compare_with_stm(clips: Sequence[Clip], root: Path, facts: Dict[str, Any]) -> None:
    """Put into ``facts`` how far the owner's STM files agree with the lists, normalised."""
    for split in SPLITS:
        paths = sorted((root / "evaluation").glob(f"*-{OWNER[split]}.stm"))
        if not paths:
            continue
        theirs = read_stm(paths[0])
        ours = {clip.id: clip.text for clip in clips if clip.split == split}
        if split == "train":
            ours = {key: _normalised(text) for key, text in ours.items()}
        both = set(ours) & set(theirs)
        other = sorted(key for key in both if ours[key].split() != list(theirs[key]))
        row = {
            "file": str(paths[0]), "sentences": len(theirs), "same": len(both) - len(other),
            "different": other, "only_in_list": sorted(set(ours) - both),
            "only_in_stm": sorted(set(theirs) - both),
        }  # fmt: skip
        facts["stm"][split] = row
        kinds = {"different": "other glosses", "only_in_list": "not in it", "only_in_stm": "in it alone"}
        told = [f"{len(row[k])} {what} ({', '.join(row[k][:2])})" for k, what in kinds.items() if row[k]]
        more = f"; {'; '.join(told)}" if told else ""
        facts["notes"].append(f"{paths[0].name}: {row['same']:,} sentences have the same glosses{more}")


def _attach_files(clips: Sequence[Clip], root: Path) -> None:
    """Set landmark file and folder of frames of each sentence."""
    for clip in clips:
        base = root / FRAMES / OWNER[clip.split]
        # two names of the same folder where the list has it without the 1 between
        folders = list(dict.fromkeys([(base / clip.custom.pop("folder")).parent, base / clip.id]))
        if clip.id == BROKEN:
            clip.status = LEFT_OUT
            clip.reason = "broken: 16 frames for 16 glosses; the owner's STM leaves it out"
            continue
        names = [(folder, name) for folder in folders for name in _names(folder)]
        found = [folder / name for folder, name in names if name.endswith(SUFFIXES)]
        found += [path for path in (base / f"{clip.id}{suffix}" for suffix in SUFFIXES) if path.is_file()]
        found += [folder for folder in folders if _has(folder, names, OPENPOSE) and not _has(folder, names, PICTURES)]
        pictures = sum(folder == folders[0] and name.endswith(PICTURES) for folder, name in names)
        if pictures:
            clip.video, clip.fps, clip.num_frames = folders[0], RATE, pictures
        if len(found) == 1:
            clip.path = found[0]
        elif found:
            two = " and ".join(str(path.relative_to(base)) for path in sorted(found)[:2])
            clip.status, clip.reason = BAD, f"{len(found)} landmark files ({two}): keep one"


def _has(folder: Path, names: Sequence[Tuple[Path, str]], suffixes: Any) -> bool:
    return any(where == folder and name.endswith(suffixes) for where, name in names)


def _names(folder: Path) -> List[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _frames(clips: Sequence[Clip], root: Path) -> Dict[str, int]:
    """Frames of each sentence as its folder of frames or ``annotations/<split>.frames.tsv`` tells."""
    frames = {clip.id: clip.num_frames for clip in clips if clip.num_frames}
    for split in SPLITS:
        path = root / "annotations" / f"{OWNER[split]}.frames.tsv"
        if not path.is_file():
            continue
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as e:
            raise AslError(f"cannot read {path}: {e}; mend the file, or remove it: the folders of frames tell, too") from e
        for number, line in enumerate(lines, 1):
            fields = line.split("\t")
            if len(fields) != 3 or not fields[2].isdigit():
                where = f"{path} line {number}"
                raise AslError(f"{where}: expected id, signer, frames, found {line[:60]!r}; mend it")
            frames.setdefault(fields[0], int(fields[2]))
    return frames


def _finish(clips: List[Clip], facts: Dict[str, Any]) -> Dict[str, Any]:
    listed = facts["frames_listed"]
    facts = {key: value for key, value in facts.items() if key != "frames_listed"}
    facts["infeasible"] = _infeasible(clips, listed)
    facts["oov"] = {split: _oov(clips, split) for split in ("val", "test")}
    facts["notes"] = [*facts["notes"], *_notes(clips, facts, bool(listed))]
    report = make_report("phoenix2014", clips, facts)
    kind = "Simulated PHOENIX-2014" if facts["simulated"] else "Synthetic corpus in PHOENIX-2014's format"
    name = kind if facts["synthetic"] else "PHOENIX-2014"
    protocol = "signer-dependent" if facts["protocol"] == "official" else facts["protocol"]
    print(f"{name}, {protocol}, train labels {facts['labels']}")
    print_report(report)
    return report


def _infeasible(clips: Sequence[Clip], listed: Mapping[str, int]) -> Dict[str, Any]:
    """Train sentences with fewer network outputs, one every so many frames, than CTC needs."""
    short: Dict[str, List[str]] = {str(by): [] for by in SUBSAMPLINGS}
    for clip in clips:
        frames = clip.num_frames or listed.get(clip.id, 0)
        if clip.split != "train" or clip.status in (LEFT_OUT, BAD) or not frames:
            continue
        glosses = clip.text.split()
        needed = len(glosses) + sum(a == b for a, b in zip(glosses, glosses[1:]))
        for by in SUBSAMPLINGS:
            if -(-frames // by) < needed:
                short[str(by)].append(clip.id)
    return {
        "count": {by: len(ids) for by, ids in short.items()},
        "ids": sorted({key for by, ids in short.items() if int(by) <= _LISTED for key in ids}),
    }


def _oov(clips: Sequence[Clip], split: str) -> Dict[str, Any]:
    train = _words(clips, "train")
    glosses = [word for clip in clips if clip.split == split for word in clip.text.split()]
    unknown = [word for word in glosses if word not in train]
    return {"glosses": len(glosses), "oov": len(unknown), "words": sorted(set(unknown))}


def _notes(clips: Sequence[Clip], facts: Mapping[str, Any], frames_known: bool) -> List[str]:
    number = facts["train_glosses"]
    annotated, used = f"{number['raw']:,}", f"{number['used']:,}"
    notes = [f"{annotated} different train glosses as annotated, {used} as labels ({facts['labels']})"]
    for split, row in facts["oov"].items():
        if row["oov"]:
            share = f"{100 * row['oov'] / row['glosses']:.2f} %"
            notes.append(f"{split}: {row['oov']} of {row['glosses']:,} glosses ({share}) are not in train")
    if frames_known or any(clip.num_frames for clip in clips):
        short = {by: n for by, n in facts["infeasible"]["count"].items() if n}
        counts = ", ".join(f"{n} with one output every {by}" for by, n in short.items())
        notes.append(f"train sentences with too few frames for CTC: {counts or 'none, up to one every 8'}")
    for clip in clips:
        if clip.status == LEFT_OUT:
            notes.append(f"{clip.id} ({clip.split}) is left out: {clip.reason}")
    notes += source_notes(clips, facts) + empty_split_notes(clips)
    if not any(clip.usable for clip in clips):
        notes.append(
            "annotations only: no landmarks and no frames, so only the written side can be made (stage 1, and its "
            f"grammar); put them at {FRAMES}/<split>/<id>/1/*.png or <name>.npz"
        )
    return notes
