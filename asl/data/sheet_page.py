"""The page of ``asl landmarks sheet``: plain HTML that holds all it needs but the thumbnails."""

import html
import json
import math
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from asl.data.quality_rows import NAMES, Row, reasons
from asl.data.sheet_style import SCRIPT, STYLE
from asl.landmarks.thumbnails import HEIGHT, WIDTH

GENERATOR = '<meta name="generator" content="asl landmarks sheet">'


class Measure(NamedTuple):
    """What clips can be sorted by.

    Attributes:
        key: its name in the page's address (``#sort=KEY``).
        label: on its button.
        value: row -> number, None where it cannot be told.
        worst_first: 1 where large values are bad, -1 where small ones are.
        unit: how the value is written: ``share``, ``count``, ``number`` or "" (not on the card).
    """

    key: str
    label: str
    value: Callable[[Row], Optional[float]]
    worst_first: int
    unit: str


def measures(rows: Sequence[Row]) -> List[Measure]:
    """Those that the rows hold."""
    parts = [part for part in NAMES if any(part in row["found"] for row in rows)]
    found = [Measure(part, f"{NAMES[part]} found", _found(part), -1, "share") for part in parts]
    made = [Measure("unreliable", "unreliable", lambda row: row["unreliable"], 1, "share"), *found]
    made.append(Measure("gap", "longest gap", _longest_gap, 1, "count"))
    if any(row["jitter"] for row in rows):
        made.append(Measure("jitter", "jitter", _jitter, 1, "number"))
    if any(row["implausible"] for row in rows):
        made.append(Measure("implausible", "implausible hands", _implausible, 1, "count"))
    made.append(Measure("length", "length", lambda row: row["frames"] / row["fps"], 1, ""))
    return made


def _found(part: str) -> Callable[[Row], Optional[float]]:
    return lambda row: row["found"].get(part)


def _hands(row: Row, group: str) -> Dict[str, Any]:
    """The hands' entries of a group, or those of all parts where there are no hands."""
    hands = {part: value for part, value in row[group].items() if part.startswith("hand")}
    return hands or row[group]


def _longest_gap(row: Row) -> float:
    return max((gaps["longest"] for gaps in _hands(row, "gaps").values()), default=0)


def _jitter(row: Row) -> Optional[float]:
    return max((value for value in _hands(row, "jitter").values() if value is not None), default=None)


def _implausible(row: Row) -> float:
    return sum(n for kind, (n, _) in row["implausible"].items() if kind != "other_shape")


def page(cards: Sequence[Tuple[Row, str]], summary: Dict[str, Any], data: str, split: str) -> str:
    """The page as text.

    Args:
        cards: ``(row, address of its thumbnail)``, in the order in which they first stand.
        summary: of all clips of the split (``Totals.summary``).
        data, split: what it is of, for its title and the command that shows a clip.
    """
    kinds = measures([row for row, _ in cards])
    title = f"{data} · {split}"
    command = f"asl show ID --data {data} --split {split}"
    buttons = "".join(_button(kind.key, kind.label, kind.worst_first, kind.unit) for kind in kinds)
    buttons += _button("id", "id", -1, "")
    body = "\n".join(_card(row, address, kinds) for row, address in cards)
    shown = f"{len(cards):,} clips"
    if len(cards) < summary["clips"]:
        shown = f"the worst {len(cards):,} of {summary['clips']:,} clips"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{GENERATOR}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{_text(title)}: landmarks</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
<p class="about">{_text(shown)}, the worst detections first.
<span class="left">left hand</span> and <span class="right">right hand</span> are the signer's; the bars tell when each
was found, and which frames are <span class="wrong">unreliable</span>.
<code>{_text(command)}</code> shows a clip whole.</p>
<dl class="summary">{_summary(summary)}</dl>
</header>
<nav>
<input id="find" type="search" placeholder="Search gloss, sentence or id" aria-label="Search gloss, sentence or id">
<div class="sorts" role="group" aria-label="Sort by">{buttons}</div>
<output id="count"></output>
</nav>
<main id="clips">
{body}
</main>
<p id="none" hidden>No clip has that in its text or id.</p>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _text(text: str) -> str:
    """Text of unknown origin, for between tags and for attributes; half letters of UTF-16 become ``?``."""
    return html.escape(text.encode("utf-8", "replace").decode(), quote=True)


def _summary(summary: Dict[str, Any]) -> str:
    facts = [("clips", f"{summary['clips']:,}"), ("frames", f"{summary['frames']:,}")]
    facts += [("unreliable frames", _percent(summary["unreliable"]))]
    facts += [(f"{NAMES[part]} found", _percent(summary["found"][part])) for part in NAMES if part in summary["found"]]
    return "".join(f"<div><dt>{_text(name)}</dt><dd>{value}</dd></div>" for name, value in facts)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}&nbsp;%"


def _button(key: str, label: str, worst_first: int, unit: str) -> str:
    return (
        f'<button type="button" data-key="{key}" data-label="{_text(label)}" data-worst="{worst_first}" '
        f'data-unit="{unit}">{_text(label)}</button>'
    )


def _card(row: Row, address: str, kinds: Sequence[Measure]) -> str:
    """A clip; the script writes its numbers into it."""
    values = [kind.value(row) for kind in kinds]
    numbers = json.dumps([None if value is None or math.isnan(value) else round(value, 5) for value in values])
    text, clip_id = _text(row["text"]), _text(row["id"])
    length = f"{row['frames']:,} frames, {row['frames'] / row['fps']:.2f} s"
    return (
        f'<article data-id="{clip_id}" data-values="{numbers}">'
        f'<img src="{_text(address)}" width="{WIDTH}" height="{HEIGHT}" loading="lazy" decoding="async" '
        f'alt="Skeletons of clip {clip_id}" title="{_text(reasons(row))}">'
        f'<h2 dir="auto" title="{text}">{text or "&nbsp;"}</h2><p class="id">{clip_id} <span>{length}</span></p>'
        "</article>"
    )
