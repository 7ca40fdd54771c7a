"""A synthetic corpus in an owner's on-disk format, made by the kinematic signer of ``asl.corpora.signer``.

It stands in for corpora that are too big or too closed to carry: the recipes run on it unchanged. It is no
corpus of any sign language, and ``SYNTHETIC.json`` in its folder says so to reports and tables
(``is_synthetic``).

WLASL's format, as its owners lay it out::

    WLASL_v0.3.json         a list of {gloss, instances: [{video_id, signer_id, split, fps, frame_start,
    ...}]} nslt_100.json ...       video_id -> {subset, action: [class, first frame, last frame]}, frames at
    25 fps wlasl_class_list.txt    class, tab, gloss
    missing.txt             ids of clips that are listed but cannot be had
    hands/<video_id>.npy    float16 (frames, 2 slots, 21 points, 3), -1 where no hand was found

Signers of val and test are not in train, and a few clips are listed but missing, as with the real corpus.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike, read_json, write_json, write_text
from asl.common.seeds import derive_seed
from asl.corpora.signer.camera import Camera, draw_cameras
from asl.corpora.signer.clips import SeenClip, last_hand, render_clip
from asl.corpora.signer.lexicon import Sign, make_lexicon
from asl.corpora.signer.people import Signer, Style, draw_signers

FORMATS = ("wlasl",)
MARKER = "SYNTHETIC.json"
_WLASL_SUBSETS = (100, 300, 1000, 2000)
_WLASL_FPS = 25
_MISSING_SHARE, _STALE_SHARE = 0.04, 0.05
_PICTURE_HEIGHT = 480


@dataclass(frozen=True)
class Listed:
    """A clip before it is made: its place in the lexicon, who signs it, its id, and whether it can be had."""

    sign: int
    signer: int
    take: int
    video_id: str
    missing: bool


def is_synthetic(corpus_dir: PathLike) -> bool:
    """True where ``corpus_dir`` was made by ``asl synthesize``."""
    return (Path(corpus_dir) / MARKER).is_file()


def signer_splits(signers: int) -> List[str]:
    """The split of each signer: about a fifth of them in val, an eighth in test, at least one each."""
    test = max(signers // 8, 1)
    val = max(round(0.22 * signers), 1)
    return ["train"] * (signers - val - test) + ["val"] * val + ["test"] * test


def synthesize(
    dir: str,
    format: str = "wlasl",
    signs: int = 20,
    signers: int = 8,
    clips_per_sign: int = 12,
    difficulty: float = 1.0,
    seed: int = 0,
) -> None:
    """Write a small synthetic corpus in an owner's on-disk format.

    The same arguments write the same bytes. A folder that already holds this very corpus is left as it is.

    Args:
        dir: the folder to write; it must be new, empty, or hold the same synthetic corpus.
        format: whose format: wlasl.
        signs: how many signs the lexicon has, 2 to 2000.
        signers: how many people sign, at least 3; about a fifth of them are kept for val and an eighth for
            test.
        clips_per_sign: clips of each sign over all signers.
        difficulty: scales how much signers and takes differ; 0 makes all sign alike, 1 is the settled corpus.
        seed: everything random follows from it.

    Raises:
        AslError: an argument is out of range, or the folder holds something else.
    """
    if format not in FORMATS:
        raise AslError(
            f"unknown format '{format}'{did_you_mean(format, FORMATS)}; known: {', '.join(FORMATS)}"
        )
    _check("signs", signs, 2, 2000)
    _check("signers", signers, 3, 1000)
    held_out = sum(split != "train" for split in signer_splits(signers))
    _check(
        "clips_per_sign",
        clips_per_sign,
        held_out + 1,
        1000,
        why=f"{held_out} of the {signers} signers are held out, and each sign needs a clip to train on",
    )
    _check("difficulty", difficulty, 0, 3)
    parameters = dict(signs=signs, signers=signers, clips_per_sign=clips_per_sign, difficulty=difficulty)
    marker = {
        "synthetic": True,
        "format": format,
        "seed": seed,
        "parameters": parameters,
        "about": "made by a kinematic signer (asl synthesize); no recording of a person, no sign language",
    }
    out = Path(dir)
    if is_synthetic(out) and read_json(out / MARKER) == marker:
        print(f"{out} already holds this corpus")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AslError(f"{out} is there and is not this synthetic corpus; name a new folder or remove it")

    # written beside and renamed whole: a corpus that was cut short is never taken for one
    unfinished = out.with_name(f".tmp{os.getpid()}.{out.name}")
    try:
        (unfinished / "hands").mkdir(parents=True)
        counts = _write_wlasl(unfinished, signs, signers, clips_per_sign, Style(scale=difficulty), seed)
        write_json(unfinished / MARKER, marker)
        os.replace(unfinished, out)
    except OSError as e:
        raise AslError(f"cannot write {out}: {e.strerror or e}; free space or choose another folder") from e
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    print(
        f"{out}: {signs} signs by {signers} signers, clips: "
        + ", ".join(f"{split} {n}" for split, n in counts.items())
    )


def _check(name: str, value: float, low: float, high: float, why: str = "") -> None:
    if not low <= value <= high:
        raise AslError(
            f"--{name} {value} is out of range; give {low} to {high}" + (f" ({why})" if why else "")
        )


def _listing(signs: int, signers: int, clips_per_sign: int, seed: int) -> List[Listed]:
    """All clips, sign by sign; takes go round the signers, so that each makes about as many."""
    rng = np.random.default_rng(derive_seed(seed, "listing"))
    count = signs * clips_per_sign
    digits = max(5, len(str(10 * count)))
    numbers = rng.choice(10**digits, size=count, replace=False)
    missing = rng.random(count) < _MISSING_SHARE
    return [
        Listed(
            sign,
            (sign + take) % signers,
            take // signers,
            f"{numbers[sign * clips_per_sign + take]:0{digits}d}",
            bool(missing[sign * clips_per_sign + take]),
        )
        for sign in range(signs)
        for take in range(clips_per_sign)
    ]


def _write_wlasl(
    out: Path, signs: int, signers: int, clips_per_sign: int, style: Style, seed: int
) -> Dict[str, int]:
    """Write the corpus into ``out``; return how many clips are there in each split."""
    lexicon = make_lexicon(signs, np.random.default_rng(derive_seed(seed, "lexicon")))
    people = draw_signers(signers, style, derive_seed(seed, "signers"))
    cameras = draw_cameras(signers, derive_seed(seed, "cameras"))
    splits = signer_splits(signers)
    # so that neither a left-hander nor any one build is always in the same split
    order = np.random.default_rng(derive_seed(seed, "splits")).permutation(signers)
    split_of = {int(who): splits[i] for i, who in enumerate(order)}

    glosses: List[Dict[str, Any]] = [{"gloss": sign.gloss, "instances": []} for sign in lexicon]
    spans: Dict[str, Tuple[str, int, int]] = {}
    counts = {split: 0 for split in ("train", "val", "test")}
    missing, before = [], None
    for listed in _listing(signs, signers, clips_per_sign, seed):
        rng = np.random.default_rng(derive_seed(seed, "clip", listed.sign, listed.signer, listed.take))
        camera, split = cameras[listed.signer], split_of[listed.signer]
        leftover = before if rng.random() < _STALE_SHARE else None
        clip = render_clip(lexicon[listed.sign], people[listed.signer], camera, rng, leftover)
        if listed.missing:
            missing.append(listed.video_id)
        else:
            np.save(out / "hands" / f"{listed.video_id}.npy", clip.hands.astype(np.float16))
            counts[split] += 1
            before = last_hand(clip)
        instances = glosses[listed.sign]["instances"]
        instances.append(_instance(listed, len(instances), split, camera))
        spans[listed.video_id] = (split, listed.sign, _span_end(clip))
    _write_lists(out, glosses, spans, missing)
    return counts


def _span_end(clip: SeenClip) -> int:
    """Last frame of a clip counted at 25 fps, from 1, as the owner's lists count whatever the clip's own rate
    is.

    Above 25 fps the owner's counts are about two frames longer than the clip (see ``asl.corpora.rates``).
    """
    frames = len(clip.hands) * _WLASL_FPS / clip.fps
    return int(round(frames + (1.83 if clip.fps > _WLASL_FPS else 0.0)))


def _instance(listed: Listed, number: int, split: str, camera: Camera) -> Dict[str, Any]:
    width = int(round(_PICTURE_HEIGHT * camera.aspect))
    return {
        "bbox": [width // 5, _PICTURE_HEIGHT // 20, width - width // 5, _PICTURE_HEIGHT],
        "fps": _WLASL_FPS,
        "frame_end": -1,
        "frame_start": 1,
        "instance_id": number,
        "signer_id": listed.signer,
        "source": "synthetic",
        "split": split,
        "url": "",
        "variation_id": 0,
        "video_id": listed.video_id,
    }


def _write_lists(
    out: Path, glosses: List[Dict[str, Any]], spans: Dict[str, Tuple[str, int, int]], missing: List[str]
) -> None:
    write_json(out / "WLASL_v0.3.json", glosses)
    write_text(out / "wlasl_class_list.txt", "".join(f"{i}\t{g['gloss']}\n" for i, g in enumerate(glosses)))
    write_text(out / "missing.txt", "\n".join(missing))
    # the owner's names say 100, 300, ...: each holds as many of the first classes as there are
    for size in _WLASL_SUBSETS:
        write_json(
            out / f"nslt_{size}.json",
            {
                video_id: {"subset": split, "action": [sign, 1, end]}
                for video_id, (split, sign, end) in spans.items()
                if sign < size
            },
        )
        if size >= len(glosses):
            break
