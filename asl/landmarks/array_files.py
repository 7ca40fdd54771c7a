"""What ``.npy`` and ``.npz`` files have in common: their headers, what breaks them, what comes of their numbers."""

import zipfile
import zlib
from pathlib import Path
from typing import Tuple

import numpy as np

from asl.common.errors import AslError
from asl.landmarks.layouts import subset

# what numpy raises of files that are cut short or something else
BROKEN = (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error)


def broken(path: Path, error: Exception) -> AslError:
    """The error for a file of which ``error`` was raised."""
    return AslError(f"{path}: cut short or not a {path.suffix} file ({error}); copy or extract it again")


def read_header(path: Path, file) -> Tuple[Tuple[int, ...], np.dtype]:
    """Shape and type of the array whose ``.npy`` header is next in ``file``.

    Raises:
        AslError: it is none, or not of floats.
    """
    try:
        version = np.lib.format.read_magic(file)
        fmt = np.lib.format
        read = fmt.read_array_header_1_0 if version == (1, 0) else fmt.read_array_header_2_0
        shape, _, dtype = read(file)
    except BROKEN as error:
        raise broken(path, error) from error
    if dtype.kind != "f":
        raise AslError(f"{path}: holds {dtype}, not floats (parts of the picture); extract it again")
    return shape, dtype


def cut_out(path: Path, array: np.ndarray, held: str, layout: str) -> np.ndarray:
    """``layouts.subset``, whose error names the file."""
    try:
        return subset(array, held, layout)
    except AslError as error:
        raise AslError(f"{path}: {error}") from None


def lossless(array: np.ndarray) -> np.ndarray:
    """float16 as it is, all else as float32."""
    return array if array.dtype == np.float16 else array.astype(np.float32)
