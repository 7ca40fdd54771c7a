"""The synthetic corpus in WLASL's format: isolated signs, seen by a tracker of hands alone.

Its files, as their owners lay them out::

    WLASL_v0.3.json         list of {gloss, instances: [{video_id, signer_id, split, fps, frame_start, ...}]}
    nslt_100.json ...       video_id -> {subset, action: [class, first frame, last frame]}, frames at 25 fps
    wlasl_class_list.txt    class, tab, gloss
    missing.txt             ids of clips that are listed but cannot be had
    hands/<video_id>.npy    float16 (frames, 2 slots, 21 points, 3), -1 where no hand was found

Signers of val and test are not in train, and a few clips are listed but missing, as with the real corpus.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from asl.common.files import write_json, write_text
from asl.common.seeds import derive_seed
from asl.corpora.signer.camera import Camera, draw_cameras
from asl.corpora.signer.clips import SeenClip, last_hand, render_clip
from asl.corpora.signer.lexicon import make_lexicon
from asl.corpora.signer.people import Style, draw_signers

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


def signer_splits(signers: int) -> List[str]:
    """The split of each signer: about a fifth of them in val, an eighth in test, at least one each."""
    test = max(signers // 8, 1)
    val = max(round(0.22 * signers), 1)
    return ["train"] * (signers - val - test) + ["val"] * val + ["test"] * test


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


def write_wlasl(
    out: Path, signs: int, signers: int, clips_per_sign: int, style: Style, seed: int
) -> Dict[str, int]:
    """Write the corpus into ``out``, a new folder; return how many clips are there in each split."""
    (out / "hands").mkdir()
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
