"""``asl stitch isolated``: pseudo-sentences for translation, made of clips of isolated signs.

For each sentence of a text the words that have a sign among the clips are signed one after the other, in the order of
the text; the sentence itself is the translation. Nobody signs like that: word order, inflection and everything between
the signs are the written language's. As training data it helped all the same (published for How2Sign, landmarks
alone: BLEU 4.56 with such sentences against 1.2 to 2.4 without).

Each clip is cut to the frames in which the hands are raised, brought to the rate of the recorded clips and moved to
where one of their signers stands; between two signs the hands travel on a smooth path of a few frames.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Literal, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.ctm import TimedWord, write_timed
from asl.common.errors import AslError
from asl.common.files import write_json
from asl.common.jsonl import read_jsonl
from asl.common.seeds import derive_seed
from asl.data.stitching_frames import Frame, at_speed, move, shared_points, stand, travel
from asl.data.stitching_signs import Signs, Target, read_target
from asl.data.stitching_words import GlossFinder, Matched
from asl.data.storage import check_new_split, make_cut, write_archive, write_cuts
from asl.landmarks.layouts import Layout

_AN_ARCHIVE = 200  # clips: an archive is built in memory
_SHOWN = 10
SLOWEST, FASTEST = 1.0, 3.0


class Stitched(NamedTuple):
    """A pseudo-sentence: ``array (frames, points, dims)``, its signs and first and behind-last frame of each."""

    id: str
    text: str
    array: np.ndarray
    glosses: List[str]
    spans: List[Tuple[int, int]]


def stitch_isolated(
    source: str,
    text: str,
    data: str = "data",
    source_split: str = "train",
    split: str = "train",
    out: str = "train_stitched",
    count: Optional[int] = None,
    least_matched: float = 0.5,
    lemmas: Literal["english", "none"] = "english",
    recorded: bool = True,
    pace: Optional[float] = None,
    other_signers: float = 0.2,
    speed: float = 0.15,
    max_gap: int = 5,
    body: Literal["still", "none"] = "still",
    seed: int = 0,
) -> Dict[str, Any]:
    """Join clips of isolated signs to the sentences of a text; write them, and a split's own clips, as another split.

    DATA/OUT gets cuts.jsonl.gz (data.train_split: OUT), archives of the stitched clips, signs.ctm (which sign is where)
    and stitched.json (what was matched). Words are matched to glosses as asl/data/stitching_words.py says; those
    without a clip are not signed.

    Args:
        source: the data folder of isolated signs (after stage 2), whose texts are glosses.
        text: the sentences, one a line.
        data: the recipe's data folder.
        source_split: whose clips are joined; val and test of the source stay unseen.
        split: the recorded clips, whose layout and rate the stitched ones get, and beside which they stand.
        out: name of the new split.
        count: sentences to make; default: each of the text once. Beyond that the text is gone through again, with
            other clips.
        least_matched: a sentence of whose words a smaller share has a sign is left out.
        lemmas: english: forms of a word are its gloss, too (went -> go); none: words as they stand.
        recorded: whether the recorded clips are in the new split, too.
        pace: how many times as fast as they were recorded signs are joined; default: so that a sentence takes as
            many frames a written word as the recorded ones, 1 to 3.
        other_signers: share of the signs that are taken from any signer.
        speed: standard deviation of the logarithm of each sign's speed.
        max_gap: frames between two signs at most.
        body: what becomes of points of body and face that the isolated clips lack (hands alone): still: they are where
            the recorded signer mostly has them, arms left out; none: not found.
        seed: of everything that is drawn.

    Returns:
        what stitched.json holds.

    Raises:
        AslError: a folder without clips, clips of several layouts, layouts without a point in common, or no
            sentence with enough words.
    """
    _check(count, least_matched, other_signers, speed, max_gap, pace)
    if out == split:
        raise AslError(f"--out {out}: give the name of a new split, which is not {split}")
    check_new_split(data, out)
    sentences = _read_sentences(text)
    signs = Signs(source, source_split)
    finder = GlossFinder(signs.clips, lemmas == "english")
    matched = [finder.match(sentence) for sentence in sentences]
    usable = [i for i, m in enumerate(matched) if m.glosses and m.found >= least_matched * m.words]
    counts = _matching(matched, usable, least_matched)
    if not usable:
        raise AslError(
            f"{text}: no sentence has signs in {source}/{source_split} for {least_matched:.0%} of its words (all "
            f"together {counts['matched']} of {counts['words']}); "
            + ("lower --least-matched (a recipe's --stitch-least), or take more signs" if counts["matched"] else
               "take signs whose glosses are words of the text")
        )
    target = read_target(data, split, signs.layout)
    signs.prepare(target)
    if pace is None:
        pace = _pace(signs.frames(), target.a_word, [matched[i] for i in usable], max_gap)
    total, folder, standing = count or len(usable), Path(data) / out, signs.layout if body == "still" else None

    def made() -> Iterator[Stitched]:
        for number in range(total):
            place = usable[number % len(usable)]
            rng = np.random.default_rng(derive_seed(seed, "stitch isolated", number))
            glosses = matched[place].glosses
            signed = [signs.read(i) for i in signs.draw(glosses, rng, other_signers)]
            array, spans = join_signs(signed, target, rng, pace, speed, max_gap, standing)
            yield Stitched(f"stitched-{number:06d}", sentences[place], array, glosses, spans)

    (folder / "cuts.jsonl.gz").unlink(missing_ok=True)  # the archives change under it
    rows = _write(folder, made(), target)
    report = {
        "sentences": total, "source": source, "source_split": source_split, "seed": seed, "pace": round(pace, 4),
        "layout": target.layout.name, "points": len(shared_points(signs.layout, target.layout)),
        "points_of_layout": target.layout.num_points, "body": body,
        "frames": sum(row["features"]["num_frames"] for row in rows), **counts,
    }  # fmt: skip
    write_json(folder / "stitched.json", report)
    kept = list(_recorded_rows(data, split, folder)) if recorded else []
    write_cuts(folder / "cuts.jsonl.gz", [*kept, *rows])
    _print(report, folder, len(kept), signs)
    return report


def _check(count: Optional[int], least_matched: float, other_signers: float, speed: float, max_gap: int,
           pace: Optional[float]) -> None:  # fmt: skip
    if (count is not None and count < 1) or max_gap < 0 or speed < 0 or (pace is not None and not pace > 0):
        raise AslError(f"--count {count} --max-gap {max_gap} --speed {speed} --pace {pace}: give a count of 1 or more, "
                       "a pace above 0, and 0 or more for the others")  # fmt: skip
    for name, value in (("least-matched", least_matched), ("other-signers", other_signers)):
        if not 0 <= value <= 1:
            raise AslError(f"--{name} {value}: give a share from 0 to 1")


def _read_sentences(path: str) -> List[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise AslError(f"{path} does not exist; give a file of one sentence a line, as data/text/train.txt") from None
    except (OSError, UnicodeDecodeError) as e:
        raise AslError(f"cannot read {path}: {e}; it must be UTF-8 text of one sentence a line") from e
    return [" ".join(line.split()) for line in lines if line.strip()]


def _matching(matched: Sequence[Matched], usable: Sequence[int], least: float) -> Dict[str, Any]:
    """How many words of the text have a sign, and which have not."""
    lost = Counter(word for m in matched for word in m.lost)
    return {
        "sentences_of_text": len(matched), "sentences_used": len(usable), "least_matched": least,
        "words": sum(m.words for m in matched), "matched": sum(m.found for m in matched),
        "words_used": sum(matched[i].words for i in usable), "matched_used": sum(matched[i].found for i in usable),
        "without_a_sign": dict(lost.most_common(100)),
    }  # fmt: skip


def _pace(frames: float, a_word: float, matched: Sequence[Matched], max_gap: int) -> float:
    """How many times as fast signs of so many frames are joined, for a sentence to take as long as a recorded one.

    Args:
        frames: the mean length of a sign.
        a_word: frames that a written word takes in the recorded clips.
    """
    signs, words = sum(len(m.glosses) for m in matched), sum(m.words for m in matched)
    room = words * a_word - (signs - len(matched)) * max_gap / 2
    return float(np.clip(signs * frames / room, SLOWEST, FASTEST)) if room > 0 else FASTEST


def join_signs(
    signed: Sequence[Tuple[np.ndarray, Optional[Frame]]], target: Target, rng: np.random.Generator, pace: float,
    speed: float, max_gap: int, standing: Optional[Layout] = None,
) -> Tuple[np.ndarray, List[Tuple[int, int]]]:  # fmt: skip
    """Landmarks ``(frames, points, dims)`` of signs one after the other, and first and behind-last frame of each.

    Args:
        signed: clips in the target's layout and rate, and where their signers stand.
        standing: the layout that they were recorded in, where what it lacks is to stand still.
    """
    known = target.frames or [frame for _, frame in signed if frame is not None]
    place = known[int(rng.integers(len(known)))] if known else None
    parts: List[np.ndarray] = []
    spans: List[Tuple[int, int]] = []
    for array, frame in signed:
        array = at_speed(move(array, target.layout, frame, place), pace * float(np.exp(rng.normal(0.0, speed))))
        gap = int(rng.integers(max_gap + 1))
        if parts:
            parts.append(travel(parts[-1], array, gap))
        begin = sum(map(len, parts))
        spans.append((begin, begin + len(array)))
        parts.append(array)
    array = np.concatenate(parts).astype(target.dtype)
    return array if standing is None else stand(array, standing, target.layout, place if target.frames else None), spans


def _write(folder: Path, sentences: Iterable[Stitched], target: Target) -> List[Dict[str, Any]]:
    """Write archives and ``signs.ctm``; return the rows of the cuts."""
    rows: List[Dict[str, Any]] = []
    timed: Dict[str, List[TimedWord]] = {}
    rate, clips, name = float(target.fps), [], ""
    for old in folder.glob("stitched-*.h5"):
        old.unlink()
    for number, made in enumerate(sentences):
        name = f"stitched-{number // _AN_ARCHIVE:04d}.h5"
        clips.append((made.id, made.array))
        duration = len(made.array) * target.fps.denominator / target.fps.numerator
        supervision = {"id": made.id, "recording_id": made.id, "start": 0.0, "duration": duration, "channel": 0,
                       "text": made.text}  # fmt: skip
        rows.append(make_cut({"id": made.id}, supervision, made.array, target.fps, target.layout.name, name))
        timed[made.id] = [TimedWord(g, a / rate, (b - a) / rate) for g, (a, b) in zip(made.glosses, made.spans)]
        if len(clips) == _AN_ARCHIVE:
            write_archive(folder / name, clips)
            clips = []
    if clips:
        write_archive(folder / name, clips)
    write_timed(folder / "signs.ctm", timed)
    return rows


def _recorded_rows(data: str, split: str, folder: Path) -> Iterator[Dict[str, Any]]:
    """The recorded clips' cuts, whose archives stay where they are."""
    source = Path(data) / split
    for row in read_jsonl(source / "cuts.jsonl.gz"):
        row["features"]["storage_path"] = os.path.relpath(source / row["features"]["storage_path"], folder)
        yield row


def _print(report: Dict[str, Any], folder: Path, recorded: int, signs: Signs) -> None:
    used, least = report["sentences_used"], report["least_matched"]
    share, of_all = (report[f"matched{of}"] / max(report[f"words{of}"], 1) for of in ("_used", ""))
    print(f"{folder}: {report['sentences']} sentences stitched from {sum(map(len, signs.clips.values()))} clips of "
          f"{len(signs.clips)} signs, {report['pace']:.2f} times as fast as recorded, beside {recorded} recorded ones")
    print(f"{used} of {report['sentences_of_text']} sentences of the text have signs for {least:.0%} of their words or "
          f"more ({share:.1%} of the words of these, {of_all:.1%} of all); the others are left out")  # fmt: skip
    if report["points"] < report["points_of_layout"]:
        print(f"{report['points']} of the {report['points_of_layout']} points of {report['layout']} are in the "
              f"isolated clips ({signs.layout.name}); the others "
              + ("stand still, but for the arms" if report["body"] == "still" else "are not found"))  # fmt: skip
    lost = list(report["without_a_sign"].items())[:_SHOWN]
    print("words without a sign: " + (", ".join(f"{word} ({n})" for word, n in lost) or "none"))
