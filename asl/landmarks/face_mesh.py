"""The face mesh of MediaPipe: which points lie on the middle line, which are pairs, and the drawn lines.

The mesh has 468 points, 478 with the irises. It is numbered so that the points of the signer's right half
come first (leaving out the middle line) and the left half follows from 248 on in the same order: the mirror
pairs follow from the list of middle points alone. The lines are MediaPipe's face contours.
"""

from typing import List, Tuple

MIDDLE = (0, 1, 2, 4, 5, 6, *range(8, 20), 94, 151, 152, 164, 168, 175, 195, 197, 199, 200)
_FIRST_LEFT = 248

# centre, then the four points around it, of the right iris and of the left: mirror pairs
_IRIS_PAIRS = ((468, 473), (469, 476), (470, 475), (471, 474), (472, 477))


def mirror_points(refined: bool = False) -> List[int]:
    """For each point of the mesh (468, or 478 where ``refined``) the point on the other side of the face."""
    right = [p for p in range(_FIRST_LEFT) if p not in MIDDLE]
    mirror = list(range(478 if refined else 468))
    pairs = [(p, _FIRST_LEFT + i) for i, p in enumerate(right)] + list(_IRIS_PAIRS if refined else ())
    for a, b in pairs:
        mirror[a], mirror[b] = b, a
    return mirror


_MIRROR = mirror_points()


def _both(lines: List[List[int]]) -> List[List[int]]:
    return lines + [[_MIRROR[p] for p in line] for line in lines]


LIPS = [
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291],
    [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291],
    [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308],
    [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308],
]
EYES = _both([[33, 7, 163, 144, 145, 153, 154, 155, 133], [33, 246, 161, 160, 159, 158, 157, 173, 133]])
BROWS = _both([[46, 53, 52, 65, 55], [70, 63, 105, 66, 107]])
OVAL = _both([[10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152]])
NOSE = [1, 2, 98, 327]  # tip, base and the two nostrils


def points_of(*lines: List[List[int]]) -> List[int]:
    """The points on the given groups of lines, each once, in order."""
    return sorted({p for group in lines for line in group for p in line})


def edges_of(*lines: List[List[int]]) -> List[Tuple[int, int]]:
    """The steps along the given groups of lines."""
    return [pair for group in lines for line in group for pair in zip(line, line[1:])]
