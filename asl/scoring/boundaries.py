"""``asl score boundaries``: how far the begins and ends of an alignment are from the true ones."""

from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

from asl.common.ctm import TimedWord, read_timed
from asl.common.errors import AslError
from asl.common.files import write_json
from asl.common.rates import parse_rate


def boundaries(hyp: str, ref: str, fps: str = "25", out: Optional[str] = None) -> Dict[str, Any]:
    """Compare an alignment with true word boundaries: mean and median error in frames.

    Both are CTMs; the words of a clip must be the same in both. A clip that only the reference has is counted as
    not aligned and named; of one that only the alignment has nothing is known, and it is an error.

    Args:
        hyp: the alignment (align.ctm).
        ref: the true boundaries.
        fps: frames a second, in which errors are counted (25, 29.97, 30000/1001).
        out: file for the numbers (json); nothing is written without.

    Returns:
        ``clips``, ``words``, ``not_aligned`` (ids), and for ``begin``, ``end`` and ``all``: ``mean`` and ``median`` of
        the absolute error, ``bias`` (mean of hyp - ref), ``within_2`` (per cent at most 2 frames off), in frames.

    Raises:
        AslError: a file that is no CTM, no clip in common, or a clip whose words differ.
    """
    rate = float(parse_rate(fps))
    truth, found = read_timed(ref), read_timed(hyp)
    unknown = sorted(set(found) - set(truth))
    if unknown:
        raise AslError(f"{hyp}: clip '{unknown[0]}' ({len(unknown)} in all) has no true boundaries in {ref}")
    pairs = [(truth[key], found[key], key) for key in truth if key in found]
    for true, guess, key in pairs:
        if [w.word for w in true] != [w.word for w in guess]:
            raise AslError(f"{hyp}: the words of clip {key} are not those of {ref}; align the same transcripts")
    lost = sorted(set(truth) - set(found))
    begins = _errors([w for p in pairs for w in p[0]], [w for p in pairs for w in p[1]], "start") * rate
    ends = _errors([w for p in pairs for w in p[0]], [w for p in pairs for w in p[1]], "end") * rate
    result = {
        "hyp": str(hyp), "ref": str(ref), "fps": fps, "clips": len(pairs), "words": len(begins), "not_aligned": lost,
        "begin": _summary(begins), "end": _summary(ends), "all": _summary(np.concatenate([begins, ends])),
    }  # fmt: skip
    if out:
        write_json(Path(out), result)
    more = f"; {len(lost)} clips not aligned: {', '.join(lost[:5])}" if lost else ""
    print(f"{hyp}: {len(begins)} words of {len(pairs)} clips{more}")
    for name in ("begin", "end", "all"):
        row = result[name]
        print(f"  {name:6} mean {row['mean']:.2f}, median {row['median']:.2f} frames off, bias {row['bias']:+.2f}, "
              f"{row['within_2']:.1f} % within 2")  # fmt: skip
    return result


def _errors(true: List[TimedWord], guess: List[TimedWord], side: str) -> np.ndarray:
    return np.array([getattr(g, side) - getattr(t, side) for t, g in zip(true, guess)])


def _summary(errors: np.ndarray) -> Dict[str, float]:
    size = np.abs(errors)
    return {
        "mean": round(float(size.mean()), 3), "median": round(float(np.median(size)), 3),
        "bias": round(float(errors.mean()), 3), "within_2": round(100 * float((size < 2.05).mean()), 2),
    }  # fmt: skip
