"""Rescoring: which language model takes the place of the graph's grammar, and how."""

import inspect
import math
from pathlib import Path
from typing import Any, List, Sequence

from asl.decoding.grammar import Grammar
from asl.decoding.graph import Found
from asl.decoding.readings import least_risk, posteriors
from asl.decoding.rescore import Rescoring, change
from asl.graph.engine import GRAMMAR_FILE, Graph, Reading
from asl.lang.cache import VIDEO, group_videos


def grammar_of(graph: Graph) -> Grammar:
    """The grammar that a graph was compiled with."""
    return Grammar(Path(graph.folder) / GRAMMAR_FILE, graph.lang.symbols)


def lattice_rescoring(graph: Graph, ngram: Any, old_scale: float, new_scale: float) -> Rescoring:
    """What ``rescore_lattice`` needs, for an n-gram."""
    return Rescoring(grammar_of(graph), ngram, old_scale, new_scale, graph.lang.symbols)


class NbestRescoring:
    """Scores the readings that the lattices gave, for language models that are no n-grams.

    Args:
        graph: its grammar is in the scores.
        lm: has ``score_all(sentences)``, or ``score_all(sentences, context)`` where it looks at the sentences
            before: then it is given what was recognised of the same video, oldest first.
        old_scale, new_scale: as in ``Rescoring``.

    Attributes:
        not_rescored: clips that keep their first scores, since the language model allows none of their readings.
    """

    def __init__(self, graph: Graph, lm: Any, old_scale: float, new_scale: float) -> None:
        self.grammar, self.ids, self.lm = grammar_of(graph), graph.lang.word_ids, lm
        self.old_scale, self.new_scale, self.video = old_scale, new_scale, getattr(lm, "video", VIDEO)
        self.not_rescored = 0
        self.remembers = "context" in inspect.signature(lm.score_all).parameters

    def rescore(self, ids: Sequence[str], found: Sequence[Found], mbr: bool = False) -> None:
        """Change the scores and the order of all readings in place.

        Args:
            ids: of the clips.
            found: what the search gave for each.
            mbr: whether what is remembered of a video is the reading of least risk.
        """
        videos = group_videos(ids, self.video) if self.remembers else [[place] for place in range(len(ids))]
        for places in videos:
            context: List[List[str]] = []
            for place in places:
                readings = self.rescored(found[place].readings, context)
                found[place].readings = readings
                if readings:
                    context.append(_chosen(readings, mbr))

    def rescored(self, readings: Sequence[Reading], context: Sequence[Sequence[str]] = ()) -> List[Reading]:
        """The readings of one clip that the model allows with their new scores, best first; all as they were where none is."""
        if not readings:
            return []
        words = [reading.words for reading in readings]
        new = self.lm.score_all(words, context) if self.remembers else self.lm.score_all(words)
        old = [self.grammar.score([self.ids[word] for word in reading]) for reading in words]
        out = [
            Reading(reading.words, reading.score + change(self.old_scale, gone, self.new_scale, come))
            for reading, gone, come in zip(readings, old, new)
        ]
        out = [reading for reading in out if reading.score > -math.inf]
        if not out:
            self.not_rescored += 1
            return list(readings)
        return sorted(out, key=lambda reading: -reading.score)


def _chosen(readings: Sequence[Reading], mbr: bool) -> List[str]:
    words = [reading.words for reading in readings]
    return words[least_risk(words, posteriors(readings)) if mbr else 0]
