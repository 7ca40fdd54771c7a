"""How fast is decoding at PHOENIX's size, against beam and vocabulary, and beside flashlight's ctc_decoder?

    python tests/bench/decoding.py --corpus-dir DIR [--posteriors FILE] [--out FOLDER] [--only search streaming beside growth]

The dev set's 540 sentences (a frame for four of the video's), a trigram of the normalised train transcripts, one core.
Without --posteriors (tests/bench/posteriors.py makes such a file of a trained network) they are simulated from the
transcripts, and everything printed says so. Seconds are the process's own (CPU), so that work beside it on the
machine does not count. Into the folder go results.json and growth.png (one of them lies beside this file).
"""

import argparse
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from asl.common.files import atomic_path, write_json  # noqa: E402
from asl.decoding.graph import Passes, decode_graph  # noqa: E402
from asl.decoding.streaming import EndPointing, StreamingDecoder  # noqa: E402
from asl.graph.compile import compile_graph  # noqa: E402
from asl.graph.engine import Engine, Graph, get_engine  # noqa: E402
from asl.graph.options import SearchOptions  # noqa: E402
from asl.lang.arpa import write_arpa  # noqa: E402
from asl.lang.ngram import estimate  # noqa: E402
from asl.lang.prepare import write_lang  # noqa: E402
from asl.scoring.wer import Counts, align, count, rate  # noqa: E402
from tests.bench import posteriors as made  # noqa: E402

BEAMS = (3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0)
# beam and lattice beam; of a network's posteriors, at an LM scale of 0.25, the narrower search finds all but one arc
# in 5,000 of the wider one's
LATTICES = ((12.0, 8.0), (10.0, 8.0))
VOCABULARIES = (100, 1000, 10_000)
# flashlight: hypotheses kept, tokens tried for each
THEIRS = ((5, 5), (10, 10), (20, 20), (50, 50))
CHUNK = 8


class Row(NamedTuple):
    """One decoding of all utterances."""

    name: str
    wer: float
    seconds: float
    scores: List[float]


def make_graph(folder: Path, sentences: Sequence[Sequence[str]], glosses: Sequence[str], topology: str) -> Tuple[Engine, Graph]:
    """Estimate a trigram (Witten-Bell) in ``folder/G.arpa`` and compile the kaldi graph of it."""
    write_lang(list(glosses), folder / "lang")
    write_arpa(folder / "G.arpa", estimate([list(s) for s in sentences], 3, smoothing="witten-bell").lm)
    compile_graph(str(folder / "lang"), str(folder / "graph"), str(folder / "G.arpa"), "kaldi", topology)
    engine = get_engine("kaldi")
    return engine, engine.load(folder / "graph")


def timed(name: str, posteriors: made.Posteriors, decode: Callable[[np.ndarray], Tuple[List[str], float]]) -> Row:
    """Decode utterance by utterance."""
    words, scores, began = [], [], time.process_time()
    for log_probs in posteriors.log_probs:
        said, score = decode(log_probs)
        words.append(said)
        scores.append(score)
    seconds = time.process_time() - began
    counts = sum((count(align(r, w)) for r, w in zip(posteriors.references, words)), Counts())
    row = Row(name, rate(counts.errors, counts.ref), seconds, scores)
    if name:
        print(f"  {row.name:58} WER {row.wer:6.2f} %  {row.seconds:7.2f} s", flush=True)
    return row


def ours(engine: Engine, graph: Graph, beam: float, lm_scale: float = 1.0) -> Callable[[np.ndarray], Tuple[List[str], float]]:
    """The best path alone."""
    options = SearchOptions(beam, lm_scale=lm_scale)
    engine.weighted(graph, options)  # made once, as flashlight's decoder is

    def decode(log_probs: np.ndarray) -> Tuple[List[str], float]:
        (path,) = engine.search(graph, torch.from_numpy(log_probs)[None], torch.tensor([len(log_probs)]), options)
        return (path.words, path.score) if path else ([], -math.inf)

    return decode


def with_lattices(engine: Engine, graph: Graph, beam: float, lattice_beam: float, lm_scale: float) -> Callable:
    """Lattices, the ten best readings, confidences and least risk."""
    options = SearchOptions(beam, lattice_beam, lm_scale=lm_scale)
    engine.weighted(graph, options)

    def decode(log_probs: np.ndarray) -> Tuple[List[str], float]:
        ((best, *_),) = decode_graph(
            engine, graph, torch.from_numpy(log_probs)[None], torch.tensor([len(log_probs)]), options,
            passes=Passes(nbest=10, mbr=True),
        )  # fmt: skip
        return best.words, best.score

    return decode


def flashlight(
    arpa: Path, tokens: Sequence[str], beam_size: int, beam_tokens: int, lm_scale: float = 1.0
) -> Callable[[np.ndarray], Tuple[List[str], float]]:
    """torchaudio's ctc_decoder with the same n-gram, by KenLM (its logarithms are decimal), and the same weights.

    Without a lexicon, each gloss a token: with one a word of a single token cannot last for two frames. Without one,
    torchaudio 0.13 numbers the n-gram's words otherwise than the tokens, so KenLM is given the tokens' own numbers:
    then its scores are those of our paths. It wants a silence token: a column that is never probable is added.
    """
    from torchaudio.models.decoder import _ctc_decoder, ctc_decoder

    names = [*tokens, "<sil>"]
    lm = _ctc_decoder._KenLM(str(arpa), _ctc_decoder._Dictionary(names))
    decoder = ctc_decoder(
        None, names, lm, nbest=1, beam_size=beam_size, beam_size_token=beam_tokens, beam_threshold=1e4,
        lm_weight=lm_scale * math.log(10), sil_token="<sil>", blank_token=tokens[0], unk_word="<unk>", log_add=False,
    )  # fmt: skip

    def decode(log_probs: np.ndarray) -> Tuple[List[str], float]:
        padded = np.pad(log_probs, ((0, 0), (0, 1)), constant_values=-1e4)
        best = decoder(torch.from_numpy(padded)[None])[0][0]
        said = [token for token in decoder.idxs_to_tokens(best.tokens) if token not in ("<sil>", tokens[0])]
        return said, best.score

    return decode


def search(posteriors: made.Posteriors, engine: Engine, graph: Graph, lm_scale: float) -> List[Dict[str, Any]]:
    """Our best path at each beam over all sentences, and with lattices and all that is made of them."""
    rows = [timed(f"best path, beam {beam:g}", posteriors, ours(engine, graph, beam, lm_scale)) for beam in BEAMS]
    for beam, lattice_beam in LATTICES:
        name = f"lattices (beam {beam:g}, {lattice_beam:g}), 10-best, confidences, least risk"
        rows.append(timed(name, posteriors, with_lattices(engine, graph, beam, lattice_beam, lm_scale)))
    return [row._asdict() for row in rows]


def beside(
    posteriors: made.Posteriors, engine: Engine, graph: Graph, arpa: Path, lm_scale: float
) -> Dict[str, Any]:
    """Ours and flashlight's on the same sentences; the fastest of each that has its lowest WER."""
    print(f"  beside flashlight, {len(posteriors.ids)} sentences:")
    mine = [timed(f"best path, beam {beam:g}", posteriors, ours(engine, graph, beam, lm_scale)) for beam in BEAMS]
    theirs = []
    for beam_size, beam_tokens in THEIRS:
        name = f"flashlight, beam {beam_size}, tokens {beam_tokens}"
        decode = flashlight(arpa, posteriors.tokens, beam_size, beam_tokens, lm_scale)
        theirs.append(timed(name, posteriors, decode))
    # the fastest of theirs that is within a tenth of a per cent of its best, against the fastest of ours that is no
    # worse than the best of theirs
    least = min(row.wer for row in theirs)
    other = min((row for row in theirs if row.wer <= least + 0.1), key=lambda row: row.seconds)
    no_worse = [row for row in mine if row.wer <= least + 1e-9] or [min(mine, key=lambda row: row.wer)]
    one = min(no_worse, key=lambda row: row.seconds)
    apart = np.array(mine[-1].scores) - np.array(theirs[-1].scores)
    times = other.seconds / one.seconds
    print(f"  {one.name} (WER {one.wer:.2f} %) is {times:.1f} times as fast as {other.name} (WER {other.wer:.2f} %)\n"
          f"  scores of the widest searches: equal to 0.01 in {np.mean(np.abs(apart) < 0.01):.1%}, ours higher in "
          f"{np.mean(apart >= 0.01):.1%}, theirs in {np.mean(apart <= -0.01):.1%}")  # fmt: skip
    rows = [row._asdict() for row in (*mine, *theirs)]
    return {"rows": rows, "times_as_fast": times, "ours": one.name, "theirs": other.name}


def streaming(
    posteriors: made.Posteriors, engine: Engine, graph: Graph, lm_scale: float, beam: float = 14.0
) -> Dict[str, Any]:
    """Milliseconds of each chunk, and in how many utterances the result is not the offline one."""
    options = SearchOptions(beam, lm_scale=lm_scale)
    decoder = StreamingDecoder(graph, engine.weighted(graph, options), options, EndPointing(None, None, None))
    seconds, different = [], 0
    offline = ours(engine, graph, beam, lm_scale)
    for log_probs in posteriors.log_probs:
        decoder.reset()
        for first in range(0, len(log_probs), CHUNK):
            began = time.process_time()
            decoder.accept(torch.from_numpy(log_probs[first:first + CHUNK]))
            seconds.append(time.process_time() - began)
        path = decoder.finish()
        different += (path.words if path else []) != offline(log_probs)[0]
    ms = 1000 * np.array(seconds)
    found = {"chunks": len(ms), "mean_ms": ms.mean(), "p99_ms": np.quantile(ms, 0.99), "max_ms": ms.max(),
             "different": different, "beam": beam, "look_ahead_of_the_search": 0}  # fmt: skip
    print(f"  {len(ms)} chunks of {CHUNK} frames, beam {beam:g}: {found['mean_ms']:.2f} ms on average, 99 % under "
          f"{found['p99_ms']:.2f} ms, the slowest {found['max_ms']:.2f} ms; the search looks no frame ahead; "
          f"{different} of {len(posteriors.ids)} results differ from offline")  # fmt: skip
    return {name: float(value) for name, value in found.items()}


def growth(corpus: Path, folder: Path, sentences: int, vocabularies: Sequence[int]) -> List[Dict[str, float]]:
    """Milliseconds a frame against beam, for made-up vocabularies: glosses shared out or split by their rank."""
    train, dev = (list(made.read_corpus(corpus, split).items()) for split in ("train", "dev"))
    ranks = {g: i for i, (g, _) in enumerate(_ranked(s for _, s in train))}
    frames, rows = made.read_frames(corpus, "dev"), []
    for size in vocabularies:
        rng = np.random.default_rng(0)

        def renamed(words: Sequence[str]) -> List[str]:
            split = max(1, size // len(ranks) + 1) if size > len(ranks) else 1
            return [f"G{(ranks.get(w, 0) * split + int(rng.integers(split))) % size}" for w in words]

        new_train, glosses = [renamed(words) for _, words in train], [f"G{i}" for i in range(size)]
        # words that no sentence has would be unknown to the n-gram
        new_train += [[gloss] for gloss in sorted(set(glosses) - {w for words in new_train for w in words})]
        engine, graph = make_graph(folder / f"v{size}", new_train, glosses, "compact")
        some = {key: renamed(words) for key, words in dev[:sentences]}
        posteriors = made.simulate(some, frames, glosses)
        total = sum(map(len, posteriors.log_probs))
        for beam in BEAMS:
            row = timed("", posteriors, ours(engine, graph, beam))
            rows.append({"vocabulary": size, "beam": beam, "ms": 1000 * row.seconds / total, "wer": row.wer})
            print(f"  {size:6d} glosses, beam {beam:4g}: {rows[-1]['ms']:7.3f} ms a frame, WER {row.wer:.2f} %", flush=True)
    return rows


def _ranked(sentences: Any) -> List[Tuple[str, int]]:
    from collections import Counter

    return Counter(word for words in sentences for word in words).most_common()


def draw(path: Path, rows: Sequence[Dict[str, float]]) -> None:
    """Milliseconds a frame against beam, a line for each vocabulary."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for size in sorted({row["vocabulary"] for row in rows}):
        mine = [row for row in rows if row["vocabulary"] == size]
        axis.plot([r["beam"] for r in mine], [r["ms"] for r in mine], marker="o", label=f"{size:,.0f} glosses")
    axis.set(xlabel="beam", ylabel="ms a frame, one core", yscale="log", title="best path, trigram, simulated posteriors")
    axis.grid(alpha=0.3)
    axis.legend()
    with atomic_path(path) as tmp:
        figure.savefig(tmp, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus-dir", type=Path, required=True, help="PHOENIX-2014 as its owner ships it")
    parser.add_argument("--posteriors", type=Path, help="of a trained network; default: simulated")
    parser.add_argument("--out", type=Path, default=Path("bench_decoding"))
    parser.add_argument("--topology", default="ctc")
    parser.add_argument("--lm-scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", default=["search", "streaming", "beside", "growth"])
    parser.add_argument("--beside", type=int, help="sentences of the comparison, which needs torchaudio; default: all")
    parser.add_argument("--sentences", type=int, default=60, help="of each vocabulary")
    args = parser.parse_args()

    torch.set_num_threads(1)
    corpus, results = args.corpus_dir, {}
    train = list(made.read_corpus(corpus, "train").values())
    glosses = sorted({gloss for words in train for gloss in words})
    if args.posteriors:
        posteriors = made.load(args.posteriors)
    else:
        posteriors = made.simulate(made.read_corpus(corpus, "dev"), made.read_frames(corpus, "dev"), glosses)
    kind = "SIMULATED posteriors" if posteriors.simulated else "posteriors of a network"
    if {"search", "streaming", "beside"} & set(args.only):
        began = time.perf_counter()
        engine, graph = make_graph(args.out, train, posteriors.tokens[1:], args.topology)
        print(f"{kind}: {len(posteriors.ids)} sentences, {sum(map(len, posteriors.log_probs))} frames, "
              f"{len(posteriors.tokens) - 1} glosses; graph ready in {time.perf_counter() - began:.1f} s")  # fmt: skip
    if "search" in args.only:
        results["search"] = search(posteriors, engine, graph, args.lm_scale)
    if "streaming" in args.only:
        results["streaming"] = streaming(posteriors, engine, graph, args.lm_scale)
    if "beside" in args.only:
        some = [column[:args.beside] if isinstance(column, list) else column for column in posteriors]
        results["beside"] = beside(made.Posteriors(*some[:3], *posteriors[3:]), engine, graph, args.out / "G.arpa", args.lm_scale)
    if "growth" in args.only:
        results["growth"] = growth(corpus, args.out, args.sentences, VOCABULARIES)
        draw(args.out / "growth.png", results["growth"])
    write_json(args.out / "results.json", {"simulated": posteriors.simulated, **results})


if __name__ == "__main__":
    main()
