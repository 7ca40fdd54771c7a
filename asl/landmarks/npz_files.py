"""One clip's landmarks as an ``.npz``, in the arrays that How2Sign's files have, and what made them."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, Dict, Optional, Union

import numpy as np

from asl.common.files import atomic_path
from asl.landmarks.spans import Extracted

_BROKEN = (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error)


def write_npz(path: Union[str, Path], extracted: Extracted, about: Dict[str, Any]) -> None:
    """Write one clip atomically; ``asl.landmarks.reading`` reads it.

    Arrays: the parts (``pose``, ``face``, ``left_hand``, ``right_hand``, by option ``pose_world``) float32 as they
    were found, ``times`` float64, ``fps``, ``width``, ``height``, and ``about``, a JSON text.

    Args:
        path: the ``.npz`` to write.
        extracted: the clip; it has frames.
        about: JSON values: where it comes from and how it was made.

    Raises:
        AslError: the folder cannot be written, or the disk is full.
    """
    text = np.array(json.dumps(about, ensure_ascii=False, sort_keys=True))
    fps, width, height = np.float64(extracted.fps), np.int64(extracted.width), np.int64(extracted.height)
    with atomic_path(path) as tmp:
        np.savez_compressed(
            tmp, about=text, **extracted.parts, times=extracted.times, fps=fps, width=width, height=height
        )


def read_about(path: Union[str, Path]) -> Optional[Dict[str, Any]]:
    """What ``write_npz`` was told, without reading the landmarks; None: no such file, or not one of its, or broken."""
    try:
        with np.load(path, allow_pickle=False) as data:
            about = json.loads(str(data["about"][()]))
    except _BROKEN:
        return None
    return about if isinstance(about, dict) else None
