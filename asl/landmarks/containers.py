"""What a video container says of its own size: a copy or download that broke off is seen without decoding it.

A container is a row of boxes that say how long they are. Where the last one ends past the file's end, the file was
cut short, whatever its header says of frames (that of Matroska and WebM only estimates).

MP4, MOV: ISO/IEC 14496-12. Matroska, WebM: RFC 8794 (EBML), RFC 9559. AVI: RIFF.
"""

import struct
from pathlib import Path
from typing import BinaryIO, Optional, Tuple

_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_MP4 = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # what an MP4 or MOV may begin with
_MAX_BOXES = 100_000  # a fragmented film has some thousands


def missing_bytes(path: Path) -> Optional[int]:
    """Bytes that the container of ``path`` announces and the file does not have; 0: it is whole.

    None where that cannot be told: a container that is not known here, or one that was recorded live and does not
    say how long it is.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[4:8] in _MP4:
            end = _end_of_boxes(file, size)
        elif head[:4] == struct.pack(">I", _EBML):
            end = _end_of_segment(file)
        elif head[:4] == b"RIFF":
            end = _end_of_riff(file, size)
        else:
            return None
    return None if end is None else max(0, end - size)


def has_index(path: Path) -> bool:
    """Whether an MP4 or MOV still has its ``moov`` box, without which nothing can be decoded; others need none."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        if file.read(8)[4:] not in _MP4:
            return True
        return any(kind == b"moov" for kind, _ in _boxes(file, size))


def _boxes(file: BinaryIO, size: int):
    """Yield (kind, end) of the boxes at the top of an MP4 or MOV."""
    at = 0
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if at >= size:
            return
        if len(head) < 8:
            yield b"", at + 8
            return
        length, kind = struct.unpack(">I4s", head[:8])
        if length == 1:
            length = struct.unpack(">Q", head[8:])[0] if len(head) == 16 else 16
        elif length == 0:  # to the end of the file
            length = size - at
        if length < 8:  # no box: padding behind the last one
            return
        at += length
        yield kind, at


def _end_of_boxes(file: BinaryIO, size: int) -> Optional[int]:
    end = None
    for _, end in _boxes(file, size):
        pass
    return end


def _number(file: BinaryIO, keep_marker: bool) -> Tuple[int, bool]:
    """One EBML number and whether it is the value that means 'unknown'."""
    first = file.read(1)
    if not first or not first[0]:
        return 0, True
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    value = int.from_bytes(first + rest, "big")
    marker = 1 << (7 * length)
    return (value if keep_marker else value - marker), value - marker == marker - 1


def _end_of_segment(file: BinaryIO) -> Optional[int]:
    for _ in range(16):  # the EBML header, perhaps padding, the segment
        kind, lost = _number(file, keep_marker=True)
        length, unknown = _number(file, keep_marker=False)
        if lost or unknown:
            return None
        if kind == _SEGMENT:
            return file.tell() + length
        file.seek(length, 1)
    return None


def _end_of_riff(file: BinaryIO, size: int) -> Optional[int]:
    """RIFF chunks follow one another in AVIs of more than a gigabyte."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[:4] != b"RIFF":
            break
        length = struct.unpack("<I", head[4:])[0]
        if length == 0:  # its recorder was stopped before it filled the length in
            return None
        at += 8 + length + length % 2
    return at or None
