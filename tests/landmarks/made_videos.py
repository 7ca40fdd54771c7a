"""Small videos for tests: written by OpenCV, then bent in the bytes where it cannot write what cameras do."""

import struct
from pathlib import Path
from typing import List, Sequence, Tuple

import cv2
import numpy as np

CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".webm": "VP80", ".mkv": "MJPG", ".avi": "MJPG"}
SIZE = (160, 120)


def picture(number: int, size: Tuple[int, int] = SIZE) -> np.ndarray:
    """A grey picture that says its number (see ``number_of``), with a white corner at the top left; BGR."""
    width, height = size
    image = np.full((height, width, 3), 30 + 5 * number, np.uint8)
    image[: height // 4, : width // 4] = 255
    return image


def number_of(image: np.ndarray) -> int:
    """The number of a ``picture`` that went through a codec (up to 40)."""
    middle = image[image.shape[0] * 3 // 8 : image.shape[0] * 5 // 8, image.shape[1] * 3 // 8 : image.shape[1] * 5 // 8]
    return int((float(middle.mean()) - 26) // 5)  # codecs take a grey up to 4 darker


def write_video(path: Path, images: Sequence[np.ndarray], fps: float = 25) -> Path:
    """Write BGR pictures of one size."""
    height, width = images[0].shape[:2]
    codec = cv2.VideoWriter_fourcc(*CODECS[path.suffix])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, fps, (width, height))
    assert writer.isOpened(), path.suffix
    for image in images:
        writer.write(image)
    writer.release()
    return path


def numbered_video(path: Path, frames: int = 40, fps: float = 25) -> Path:
    """A video of ``picture(0)``, ``picture(1)``, …"""
    return write_video(path, [picture(i) for i in range(frames)], fps)


def turn(path: Path, degrees: int) -> None:
    """Note in an MP4 that its pictures are to be turned clockwise, as phones do."""
    data, one = bytearray(path.read_bytes()), 1 << 16
    a, b = {0: (one, 0), 90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
    matrix = data.index(b"tkhd") + 44
    data[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def set_durations(path: Path, durations: Sequence[int], timescale: int = 1000) -> None:
    """Give each frame of an MP4 a duration of its own (OpenCV's ``moov`` is at the file's end: no offset moves)."""
    data = bytearray(path.read_bytes())
    scale = data.index(b"mdhd") + 16
    data[scale : scale + 8] = struct.pack(">2I", timescale, sum(durations))
    start = data.index(b"stts") - 4
    length = struct.unpack_from(">I", data, start)[0]
    entries = b"".join(struct.pack(">2I", 1, duration) for duration in durations)
    table = struct.pack(">I4s2I", 16 + len(entries), b"stts", 0, len(durations)) + entries
    data[start : start + length] = table
    edits = data.find(b"edts")
    if edits >= 0:  # it would end the video where it ended before
        data[edits : edits + 4] = b"free"
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        at = data.index(kind) - 4
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + len(table) - length)
    path.write_bytes(data)


def move_index_forward(path: Path) -> None:
    """Put ``moov`` before the pictures of an MP4, as videos for the web have it."""
    data = path.read_bytes()
    boxes: List[Tuple[bytes, bytes]] = []
    at = 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        boxes.append((kind, data[at : at + length]))
        at += length
    index = bytearray(dict(boxes)[b"moov"])
    table = index.index(b"stco") + 4
    for i in range(struct.unpack_from(">I", index, table + 4)[0]):
        entry = table + 8 + 4 * i
        struct.pack_into(">I", index, entry, struct.unpack_from(">I", index, entry)[0] + len(index))
    rest = [box for kind, box in boxes if kind != b"moov"]
    path.write_bytes(rest[0] + bytes(index) + b"".join(rest[1:]))


def make_live(path: Path) -> None:
    """Make of a WebM one that a browser recorded: neither its size nor its length is in it."""
    data = bytearray(path.read_bytes())
    segment = data.index(b"\x18\x53\x80\x67") + 4
    data[segment : segment + 8] = b"\x01" + b"\xff" * 7
    duration = data.index(b"\x44\x89\x88")
    data[duration : duration + 2] = b"\xec\x89"  # empty space
    path.write_bytes(data)


def cut(path: Path, share: float) -> None:
    """Keep the first ``share`` of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def numbered_folder(folder: Path, numbers: Sequence[int], name: str = "frame{}.png") -> Path:
    """A folder of ``picture``s."""
    folder.mkdir(parents=True)
    for number in numbers:
        cv2.imwrite(str(folder / name.format(number)), picture(number))
    return folder
