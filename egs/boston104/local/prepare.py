"""RWTH-BOSTON-104, the owner's tables -> corpus.csv and a landmark file a sentence, with one of K folds held out.

    python local/prepare.py --corpus-dir DIR --fold 0 --out corpus

The corpus: sentences of American Sign Language by three signers, chosen at RWTH Aachen from Boston University's
recordings (Dreuw et al. 2007, Speech recognition techniques for a sign language recognition system). What is read:

- ``sentences.tsv``: video, speaker, split, n_frames, glosses. Sentences whose split is not train are left alone.
- ``hands_condensed.csv``: video, frame, left-x, left-y, right-x, right-y, nose-x, nose-y, in pixels, 0,0 at the top left;
  frames in order, their count may start above 0.
- ``train_words.csv``: video, speaker, word, startframe, endframe (inclusive): the true word boundaries.
- ``speaker.csv``: video, speaker; must say what sentences.tsv says.

Written: ``corpus.csv`` (the held-out fold is val, the others train), ``clips/<video>.npy`` of layout nose_wrists3 and
``words.ctm``, the true boundaries of all of them. A fold never holds a sentence whose gloss string stands in another:
46 of the 161 sentences stand verbatim elsewhere in the set.
"""

import argparse
import collections
import csv
import sys
from pathlib import Path

import numpy as np

from asl.common.ctm import TimedWord, write_timed
from asl.common.errors import AslError
from asl.common.files import atomic_path, write_text

PICTURE = (312, 242)  # pixels; hands may be below its lower edge
FPS = 30
POINTS = ("nose", "left", "right")


def table(folder, name, wanted, delimiter=","):
    """The rows of one of the owner's tables as dicts; AslError where a column is missing."""
    path = Path(folder) / name
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter=delimiter))
    except OSError as e:
        raise AslError(f"cannot read {path}: {e.strerror}; --corpus-dir is the owner's folder") from None
    lost = set(wanted) - set(rows[0] if rows else ())
    if lost:
        raise AslError(f"{path} has no column {', '.join(sorted(lost))}; it needs {', '.join(wanted)}")
    return rows


def folds_of(sentences, count):
    """Fold of each sentence: groups of one gloss string stay together, the largest first into the emptiest fold.

    Args:
        sentences: id -> gloss string.
        count: folds.
    """
    groups = collections.defaultdict(list)
    for key, glosses in sentences.items():
        groups[glosses].append(key)
    sizes, fold = [0] * count, {}
    for glosses in sorted(groups, key=lambda g: (-len(groups[g]), g)):
        emptiest = sizes.index(min(sizes))
        sizes[emptiest] += len(groups[glosses])
        fold.update(dict.fromkeys(groups[glosses], emptiest))
    return fold


def read_frames(folder):
    """video -> its frames' numbers and ``(frames, 3 points, 2)`` in fractions of the picture."""
    columns = [f"{point}-{axis}" for point in POINTS for axis in "xy"]
    frames = collections.defaultdict(list)
    for row in table(folder, "hands_condensed.csv", ["video", "frame", *columns]):
        frames[row["video"]].append((int(row["frame"]), *(float(row[name]) for name in columns)))
    out = {}
    for video, rows in frames.items():
        rows = np.array(sorted(rows))
        if (np.diff(rows[:, 0]) != 1).any():
            raise AslError(f"{folder}/hands_condensed.csv: video {video} lacks frames or has one twice")
        out[video] = rows[:, 0].astype(int), (rows[:, 1:].reshape(-1, 3, 2) / PICTURE).astype(np.float32)
    return out


def read_corpus(folder):
    """Sentences of the train split (rows), their frames and words; AslError where the tables disagree."""
    wanted = ["video", "speaker", "split", "n_frames", "glosses"]
    rows = [row for row in table(folder, "sentences.tsv", wanted, "\t") if row["split"] == "train"]
    signer = {row["video"]: row["speaker"] for row in table(folder, "speaker.csv", ["video", "speaker"])}
    frames, words = read_frames(folder), collections.defaultdict(list)
    for row in table(folder, "train_words.csv", ["video", "word", "startframe", "endframe"]):
        words[row["video"]].append((row["word"], int(row["startframe"]), int(row["endframe"])))
    for row in rows:
        video = row["video"]
        if video not in frames or len(frames[video][0]) != int(row["n_frames"]):
            raise AslError(f"{folder}: video {video} has not the {row['n_frames']} frames of sentences.tsv")
        if [word for word, _, _ in words[video]] != row["glosses"].split():
            raise AslError(f"{folder}: the words of video {video} in train_words.csv are not its glosses")
        if signer.get(video) != row["speaker"]:
            raise AslError(f"{folder}: video {video} is by {row['speaker']} and by {signer.get(video)}")
    return rows, frames, words


def prepare(folder, out, fold, folds):
    """Write corpus.csv, clips/ and words.ctm."""
    rows, frames, words = read_corpus(folder)
    place = dict.fromkeys((row["video"] for row in rows), 0)
    if fold == "all":
        fold = 0
    else:
        place = folds_of({row["video"]: " ".join(row["glosses"].split()) for row in rows}, folds)
        if fold not in map(str, range(folds)):
            raise AslError(f"--fold {fold}: there are folds 0 to {folds - 1}, and 'all'")
        fold = int(fold)
    lines, timed = ["id,path,split,text,signer,fps"], {}
    for row in rows:
        video, split = row["video"], "val" if place[row["video"]] == fold else "train"
        first, array = frames[video][0][0], frames[video][1]
        with atomic_path(Path(out) / "clips" / f"{video}.npy") as tmp:
            np.save(tmp, array)
        lines.append(f"{video},clips/{video}.npy,{split},{row['glosses']},{row['speaker']},{FPS}")
        timed[video] = [TimedWord(w, (a - first) / FPS, (b + 1 - a) / FPS) for w, a, b in words[video]]
    write_timed(Path(out) / "words.ctm", timed)
    write_text(Path(out) / "corpus.csv", "\n".join(lines) + "\n")
    held = sum(place[row["video"]] == fold for row in rows)
    print(f"{out}: {len(rows)} sentences, {held} of them held out as val")


def check(folder, folds):
    """Say what is there and how it falls into folds."""
    rows, frames, words = read_corpus(folder)
    place = folds_of({row["video"]: " ".join(row["glosses"].split()) for row in rows}, folds)
    total, count = sum(len(frames[row["video"]][0]) for row in rows), sum(len(words[row["video"]]) for row in rows)
    print(f"{folder}: {len(rows)} train sentences of {len({row['speaker'] for row in rows})} signers, {count} words, "
          f"{total} frames ({total / FPS / 60:.1f} minutes)")  # fmt: skip
    for fold in range(folds):
        held = [row for row in rows if place[row["video"]] == fold]
        known = {w for row in rows if place[row["video"]] != fold for w, _, _ in words[row["video"]]}
        unseen = [w for row in held for w, _, _ in words[row["video"]] if w not in known]
        said = sum(len(words[row["video"]]) for row in held)
        print(f"fold {fold}: {len(held)} sentences, {said} words, {len(unseen)} of them in no training sentence")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--corpus-dir", required=True, help="the owner's folder")
    parser.add_argument("--out", default="corpus", help="folder for corpus.csv, clips/ and words.ctm")
    parser.add_argument("--fold", default="0", help="the fold that is held out; all: every sentence")
    parser.add_argument("--check", action="store_true", help="say what is there; write nothing")
    parser.add_argument("--folds", type=int, default=4, help="how many there are")
    given = parser.parse_args()
    try:
        if given.check:
            check(given.corpus_dir, given.folds)
        else:
            prepare(given.corpus_dir, given.out, given.fold, given.folds)
    except AslError as e:
        print(f"{parser.prog}: error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
