"""From landmarks to words while the frames come in: causal pipeline, encoder of limited context, search in a graph.

The result of a whole clip is that of ``asl decode --method graph --lattice false`` with the same network. The hands must
come under their names, as MediaPipe Holistic gives them: where detections have no names, stage 2 gives them names with
the whole clip in sight (``asl.landmarks.tracking``).
"""

import time
from collections import Counter
from typing import Any, Dict, List, Optional

import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.decoding.graph import Found, Passes, search_readings
from asl.decoding.hypothesis import Hypothesis
from asl.decoding.prior import less_prior
from asl.decoding.streaming import EndPointing, Partial, StreamingDecoder
from asl.decoding.times import spelling_of
from asl.graph.engine import Engine, Graph, Reading
from asl.graph.options import SearchOptions
from asl.landmarks.pipeline import LandmarkPipeline
from asl.landmarks.streaming import FeatureStream
from asl.tasks.ctc import CtcTask

PARTS = ("features", "network", "search")


class SignStream:
    """Recognises one clip after the other, each given frame by frame or in chunks of any size.

    Args:
        task: a network with CTC, in eval mode, whose encoder sees a limited stretch of a clip.
        pipeline: the one it was trained with, causal.
        engine, graph: the kaldi engine and a graph of its ``load``.
        options: as offline.
        end_pointing: when an utterance has ended.
        log_prior, prior_scale: what is taken off the log-probs, see ``asl.decoding.prior``; None: nothing.
        settle: chunks for which a word has to stay to be called stable.

    Attributes:
        look_ahead: landmark frames behind the first of its own that an output frame waits for, in all.
        seconds: what each chunk took of the thread's processor time, for each of ``PARTS``; with one torch thread that
            is all of it.
        counts: of clips: ``searched``, ``widened`` and ``empty``, see ``asl.decoding.graph``.

    Raises:
        AslError: the pipeline or the encoder must see the whole clip, or the task has no output for each frame.

    Example::

        stream = SignStream(task, pipeline, engine, graph)
        for landmarks in camera:                  # (frames, points, dims), NaN where not found
            partial = stream.accept(landmarks)    # partial.words, partial.stable, partial.ended
            if partial.ended:
                said = stream.finish()[0].words   # and the next clip begins
    """

    def __init__(
        self,
        task: Any,
        pipeline: LandmarkPipeline,
        engine: Engine,
        graph: Graph,
        options: Optional[SearchOptions] = None,
        end_pointing: Optional[EndPointing] = None,
        log_prior: Optional[Tensor] = None,
        prior_scale: float = 0.0,
        settle: int = 3,
    ) -> None:
        if not isinstance(task, CtcTask):
            raise AslError(f"{type(task).__name__} has no output for each frame that a search could follow; stream a "
                           "network with CTC")  # fmt: skip
        self.task, self.engine, self.graph = task, engine, graph
        self.features, self.encoder = FeatureStream(pipeline), task.encoder.open_stream()
        self.look_ahead = pipeline.look_ahead + task.encoder.look_ahead
        self.options = options or SearchOptions()
        self.decoder = StreamingDecoder(
            graph, engine.weighted(graph, self.options), self.options, end_pointing or EndPointing(), settle
        )
        self.log_prior, self.prior_scale = log_prior, prior_scale
        self.spelling = spelling_of(graph.lang)
        self.seconds: Dict[str, List[float]] = {part: [] for part in PARTS}
        self.counts: Counter = Counter()
        self.reset()

    def reset(self) -> None:
        """Begin another clip; what was not finished is forgotten."""
        self.features.reset()
        self.encoder.reset()
        self.decoder.reset()
        self._log_probs: List[Tensor] = []

    @property
    def log_probs(self) -> Tensor:
        """What was searched of this clip, ``(frames', tokens)``."""
        return torch.cat(self._log_probs) if self._log_probs else torch.zeros(0, len(self.graph.lang.tokens))

    def accept(self, landmarks: Tensor) -> Partial:
        """Take the next frames ``(frames, points, dims)``, NaN where not found, and say what is known so far."""
        return self._go_on(landmarks, last=False)

    def finish(self, frame_shift: Optional[float] = None) -> List[Hypothesis]:
        """The clip ends here: its best hypothesis (none where the graph allows none), as offline; begin another clip.

        Args:
            frame_shift: seconds of one output frame; where given, the hypothesis has its words' times.
        """
        layout = self.features.pipeline.layout
        self._go_on(torch.zeros(0, layout.num_points, layout.num_dims), last=True)
        log_probs, path = self.log_probs, self.decoder.finish()
        if path is not None:
            found = Found(path, [Reading(path.words, path.score)], log_probs.numpy(), lattice=False)
            self.counts.update(searched=1, widened=0, empty=0)
        else:  # the beam was too narrow: with all frames there it is searched again with wider ones, as offline
            lengths, passes = torch.tensor([len(log_probs)]), Passes(lattice=False)
            what = (self.engine, self.graph, log_probs[None], lengths, self.options, passes, self.counts)
            found = search_readings(*what)[0]
        self.reset()
        return found.hypotheses(1, False, self.spelling, frame_shift)

    @torch.no_grad()
    def _go_on(self, landmarks: Tensor, last: bool) -> Partial:
        times = [time.thread_time()]
        features = self.features.accept(landmarks, last)
        times.append(time.thread_time())
        log_probs = self.task.head(self.encoder.accept(features, last)[None])
        if self.log_prior is not None:
            log_probs = less_prior(log_probs, self.log_prior, self.prior_scale)
        self._log_probs.append(log_probs[0])
        times.append(time.thread_time())
        partial = self.decoder.accept(log_probs[0])
        times.append(time.thread_time())
        for part, before, after in zip(PARTS, times, times[1:]):
            self.seconds[part].append(after - before)
        return partial
