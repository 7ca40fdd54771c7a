"""What pseudo-sentences are made of and what they are to be like: clips of isolated signs, and the recorded clips."""

from collections import Counter
from fractions import Fraction
from functools import lru_cache
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.data.segments import raised_span
from asl.data.stitching_frames import Frame, at_speed, convert, measure_frame, shared_points
from asl.data.storage import ArchiveReader, cut_fps, cut_layout, open_cuts
from asl.data.text import speaker_of, text_of
from asl.landmarks.features import shoulder_points
from asl.landmarks.layouts import Layout, get_layout

_CACHED = 4000  # clips of signs kept in memory
_LOOKED_AT = 20  # clips of a signer, to see where he stands
_SIGNERS = 50  # recorded ones, of whom that is looked at


class Target(NamedTuple):
    """What stitched clips are to be like: the recorded ones.

    Attributes:
        layout, fps, dtype: of the recorded clips; the commonest rate, where they have several.
        frames: where their signers stand; may be empty.
        a_word: frames that a written word takes.
    """

    layout: Layout
    fps: Fraction
    dtype: Any
    frames: List[Frame]
    a_word: float


class Signs:
    """Clips of isolated signs by gloss.

    Attributes:
        clips: gloss -> numbers of its clips.
        layout: of all clips.
    """

    def __init__(self, data: str, split: str) -> None:
        self._cuts = list(open_cuts(data, split))
        self.layout = _one_layout(self._cuts, f"{data}/{split}")
        self.clips: Dict[str, List[int]] = {}
        for number, cut in enumerate(self._cuts):
            self.clips.setdefault(text_of(cut), []).append(number)
        self.clips.pop("", None)
        self.speakers = [speaker_of(cut) for cut in self._cuts]
        self._reader = ArchiveReader()
        self._frames: Dict[Any, Optional[Frame]] = {}
        self._target: Optional[Target] = None
        self._cached = lru_cache(maxsize=_CACHED)(self._read)

    def prepare(self, target: Target) -> None:
        """Get ready to read clips for ``target``: find out where each signer stands, as seen in both layouts."""
        self._target = target
        shoulders = has_shoulders(self.layout, target.layout)
        of: Dict[Any, List[int]] = {}
        for number, speaker in enumerate(self.speakers):
            # clips of nobody known may be of anyone: each stands by itself
            of.setdefault(number if speaker is None else speaker, []).append(number)
        for speaker, numbers in of.items():
            looked_at = [self._raised(i) for i in _spread(numbers, _LOOKED_AT)]
            self._frames[speaker] = measure_frame(looked_at, self.layout, shoulders)

    def _raised(self, number: int) -> np.ndarray:
        """A clip as it was recorded, cut to where the hands are raised."""
        cut = self._cuts[number]
        array = self._reader.read(cut).reshape(-1, self.layout.num_points, self.layout.num_dims)
        span = raised_span(array, self.layout)
        return array if span is None else array[span[0] : span[1] + 1]

    def _read(self, number: int) -> np.ndarray:
        if self._target is None:
            raise ValueError("prepare() comes first")
        ratio = float(cut_fps(self._cuts[number]) / self._target.fps)
        return at_speed(convert(self._raised(number), self.layout, self._target.layout), ratio)

    def read(self, number: int) -> Tuple[np.ndarray, Optional[Frame]]:
        """A sign in the target's layout and rate, and where its signer stands."""
        speaker = self.speakers[number]
        return self._cached(number), self._frames[number if speaker is None else speaker]

    def frames(self, most: int = 300) -> float:
        """The mean length of a sign at the target's rate, of ``most`` clips evenly spread over all."""
        return float(np.mean([len(self._cached(i)) for i in _spread(range(len(self._cuts)), most)]))

    def draw(self, glosses: Sequence[str], rng: np.random.Generator, other_signers: float) -> List[int]:
        """A clip for each gloss, of one signer where he has it, who is the likelier the more of the glosses he has."""
        having = Counter(s for gloss in glosses for s in {self.speakers[i] for i in self.clips[gloss]} if s is not None)
        names = sorted(having, key=str)
        total = sum(having.values())
        chosen = names[int(rng.choice(len(names), p=[having[n] / total for n in names]))] if names else None
        drawn = []
        for gloss in glosses:
            own = [i for i in self.clips[gloss] if chosen is not None and self.speakers[i] == chosen]
            clips = self.clips[gloss] if not own or rng.random() < other_signers else own
            drawn.append(clips[int(rng.integers(len(clips)))])
        return drawn


def read_target(data: str, split: str, source: Layout) -> Target:
    """Look at the recorded clips of a split.

    Raises:
        AslError: no clip, clips of several layouts, a layout that has no point of ``source``, or no text.
    """
    cuts = list(open_cuts(data, split))
    layout = _one_layout(cuts, f"{data}/{split}")
    if not shared_points(source, layout):
        raise AslError(f"{data}/{split} is of layout {layout.name}, which has no point of the isolated clips' "
                       f"{source.name}; import one of them with the other's --layout")  # fmt: skip
    rates = Counter(cut_fps(cut) for cut in cuts)
    fps = min(rates, key=lambda rate: (-rates[rate], rate))
    words = sum(len(text_of(cut).split()) for cut in cuts)
    if not words:
        raise AslError(f"the clips of {data}/{split} have no text: they are no sentences to stitch others for")
    of: Dict[Any, List[Any]] = {}
    for cut in cuts:
        speaker = speaker_of(cut)
        of.setdefault(cut.id if speaker is None else speaker, []).append(cut)
    reader, frames = ArchiveReader(), []
    for speaker in _spread(sorted(of, key=str), _SIGNERS):
        arrays = [reader.read(cut) for cut in _spread(of[speaker], _LOOKED_AT)]
        shaped = [array.reshape(-1, layout.num_points, layout.num_dims) for array in arrays]
        frames.append(measure_frame(shaped, layout, has_shoulders(source, layout)))
    reader.close()
    seconds = sum(cut.duration for cut in cuts)
    return Target(layout, fps, arrays[0].dtype, [f for f in frames if f is not None], seconds * float(fps) / words)


def _one_layout(cuts: Sequence[Any], where: str) -> Layout:
    layouts = sorted({cut_layout(cut) for cut in cuts})
    if len(layouts) != 1:
        found = f"clips of {len(layouts)} layouts ({', '.join(layouts)})" if layouts else "no clip"
        raise AslError(f"{where} holds {found}; clips of one layout are needed (asl landmarks import --layout)")
    return get_layout(layouts[0])


def _spread(items: Sequence[Any], most: int) -> List[Any]:
    """``most`` items evenly over all of them."""
    return [items[i] for i in np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)]


def has_shoulders(*layouts: Layout) -> bool:
    """Whether all of the layouts have both shoulders."""
    return all(shoulder_points(layout) for layout in layouts)
