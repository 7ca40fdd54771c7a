"""Drawn frames with words: captions, a clip as a strip of frames, a frame of a film (Pillow)."""

import functools
from typing import Any, List, Sequence

from asl.landmarks.drawing import Image, on_white

_INK, _PALE, _RULE = (20, 20, 20), (110, 110, 110), (225, 225, 225)
_TITLE, _SMALL = 15, 12  # heights of letters in pixels
_EDGE = 6
_TITLE_LINES = 3


@functools.lru_cache(maxsize=8)
def _font(size: int) -> Any:
    """DejaVu Sans, which comes with matplotlib: Latin, Greek, Cyrillic, Arabic letters and more."""
    from matplotlib.font_manager import findfont
    from PIL import ImageFont

    return ImageFont.truetype(findfont("DejaVu Sans"), size)


def wrap(text: str, width: int, size: int = _TITLE, lines: int = _TITLE_LINES) -> List[str]:
    """``text`` in at most so many lines of ``width`` pixels; what does not fit ends in an ellipsis."""
    font = _font(size)
    rows: List[str] = []
    words = text.split()
    while words and len(rows) < lines:
        row = words.pop(0)
        while words and font.getlength(f"{row} {words[0]}") <= width:
            row += f" {words.pop(0)}"
        rows.append(_cut(row, width, font))
    if words:
        rows[-1] = _cut(f"{rows[-1]} …", width, font)
    return rows


def _cut(row: str, width: int, font: Any) -> str:
    """``row`` with letters of its end replaced by an ellipsis until it fits."""
    if font.getlength(row) <= width:
        return row
    row = row.rstrip("… ")
    while row and font.getlength(row + "…") > width:
        row = row[:-1].rstrip()
    return row + "…"


def seconds(time: float) -> str:
    """A time as it stands on pictures."""
    return f"{int(time) // 60}:{time % 60:05.2f}" if time >= 60 else f"{time:.2f} s"


def strip(frames: Sequence[Image], times: Sequence[float], text: str, about: str) -> Image:
    """Frames side by side.

    Args:
        frames: pictures of one size.
        times: seconds in the clip of each, written above it.
        text: the gloss or sentence, the title.
        about: the line under it, such as the clip's id.
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw

    wide, tall = frames[0].size
    width = max(len(frames) * (wide + _EDGE) + _EDGE, 240)
    head = _header_rows(text, about, width - 2 * _EDGE)
    top = _EDGE + sum(size + 6 for _, size, _ in head)
    whole = Pillow.new("RGB", (width, top + _SMALL + 6 + tall + _EDGE), "white")
    pen = ImageDraw.Draw(whole)
    _write(pen, head)
    for k, (frame, time) in enumerate(zip(frames, times)):
        left = _EDGE + k * (wide + _EDGE)
        pen.text((left + wide / 2, top), seconds(time), font=_font(_SMALL), fill=_PALE, anchor="ma")
        below = top + _SMALL + 6
        whole.paste(on_white(frame), (left, below))
        pen.rectangle((left - 1, below - 1, left + wide, below + tall), outline=_RULE)
    return whole


def film_frame(frame: Image, text: str, about: str) -> Image:
    """One picture of a film: title above, what ``about`` says (time, frame, id) under it; both sides even."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    wide, tall = frame.size
    width = max(wide, 320) // 2 * 2
    head = _header_rows(text, "", width - 2 * _EDGE)
    top = _EDGE + sum(size + 6 for _, size, _ in head)
    height = (top + tall + _SMALL + 2 * _EDGE + 1) // 2 * 2
    whole = Pillow.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(whole)
    _write(pen, head)
    whole.paste(on_white(frame), ((width - wide) // 2, top))
    font = _font(_SMALL)
    pen.text((_EDGE, top + tall + _EDGE - 2), _cut(about, width - 2 * _EDGE, font), font=font, fill=_PALE)
    return whole


def _header_rows(text: str, about: str, width: int) -> List[Any]:
    rows = [(row, _TITLE, _INK) for row in wrap(text, width)]
    return rows + [(row, _SMALL, _PALE) for row in wrap(about, width, _SMALL, 1)]


def _write(pen: Any, rows: List[Any]) -> None:
    top = _EDGE
    for row, size, colour in rows:
        pen.text((_EDGE, top), row, font=_font(size), fill=colour)
        top += size + 6
