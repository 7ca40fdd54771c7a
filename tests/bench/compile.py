"""How long a large graph takes to compile, and how much memory: python tests/bench/compile.py [--words 10000]

Writes a text of Zipf-like words whose neighbours depend on each other, estimates an unpruned Kneser-Ney n-gram of it
and compiles the graph by 'asl graph compile', a process of its own for each engine and lexicon: every word a token of
its own (compact topology), and words of two to four out of --units units (ctc topology). Prints the sizes and seconds
of each step, and of each process its wall time, processor time and peak memory.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
CASES = (("words", "compact"), ("words", "left-to-right"), ("units", "ctc"), ("units", "compact"))


def zipf_text(words: int, sentences: int, seed: int = 0) -> List[List[str]]:
    """Sentences of 3 to 12 words: of each, six in ten are one of the word before's twenty usual followers."""
    rng = np.random.default_rng(seed)
    share = 1 / (np.arange(words) + 2.7)
    share /= share.sum()
    followers = rng.choice(words, (words, 20), p=share)
    lengths = rng.integers(3, 13, sentences)
    drawn = rng.choice(words, lengths.sum(), p=share)
    usual = rng.random(len(drawn)) < 0.6
    rank = np.minimum(19, rng.exponential(4.0, len(drawn))).astype(int)
    text, position = [], 0
    for length in lengths.tolist():
        said: List[int] = []
        for at in range(position, position + length):
            said.append(int(followers[said[-1], rank[at]] if said and usual[at] else drawn[at]))
        text.append([f"g{word:05d}" for word in said])
        position += length
    for word in range(words):  # every word occurs
        text[word % sentences].append(f"g{word:05d}")
    return text


def unit_lexicon(words: List[str], units: int, seed: int = 1) -> Dict[str, List[List[str]]]:
    """Each word as two to four of ``units`` units, frequent ones more often; words may sound alike."""
    rng = np.random.default_rng(seed)
    share = 1 / (np.arange(units) + 20)
    share /= share.sum()
    return {word: [[f"u{unit}" for unit in rng.choice(units, rng.integers(2, 5), p=share)]] for word in words}


def measure(engine: str, topology: str, lang: Path, arpa: Path, out: Path) -> Dict[str, Any]:
    """Compile in a process of its own; seconds, processor seconds and GB at the peak.

    kaldilm, which makes G, is a child of that process; its time counts, and its memory is not held at the same time.
    """
    began = time.perf_counter()
    words = [sys.executable, "-m", "asl", "graph", "compile", "--lang", str(lang), "--grammar", str(arpa), "--engine",
             engine, "--topology", topology, "--out", str(out)]  # fmt: skip
    child = os.spawnvpe(os.P_NOWAIT, words[0], words, {**os.environ, "PYTHONPATH": str(ROOT)})
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} ended with status {os.waitstatus_to_exitcode(status)}")
    scale = 2**30 if sys.platform == "darwin" else 2**20
    return {
        "seconds": time.perf_counter() - began, "cpu": usage.ru_utime + usage.ru_stime,
        "gb": usage.ru_maxrss / scale,
    }  # fmt: skip


def main(argv: Optional[List[str]] = None) -> List[Dict[str, Any]]:
    """Print what each took; return it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=10_000)
    parser.add_argument("--units", type=int, default=500)
    parser.add_argument("--sentences", type=int, default=60_000)
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=["k2", "kaldi"])
    parser.add_argument("--cases", nargs="+", default=["/".join(case) for case in CASES])
    args = parser.parse_args(argv)
    from asl.lang.arpa import write_arpa
    from asl.lang.ngram import estimate
    from asl.lang.prepare import write_lang

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        text = zipf_text(args.words, args.sentences)
        words = [f"g{word:05d}" for word in range(args.words)]
        lm = estimate(text, args.order, unknown=False).lm
        write_arpa(Path(folder) / "G.arpa", lm)
        print(f"{sum(map(len, text)):,} running words; n-grams {', '.join(f'{count:,}' for count in lm.counts)}", flush=True)
        write_lang(words, Path(folder) / "words")
        write_lang(words, Path(folder) / "units", unit_lexicon(words, args.units))
        for engine in args.engines:
            for case in args.cases:
                lexicon, topology = case.split("/")
                out = Path(folder) / f"{engine}_{lexicon}_{topology}"
                found = measure(engine, topology, Path(folder) / lexicon, Path(folder) / "G.arpa", out)
                rows.append({"engine": engine, "lexicon": lexicon, "topology": topology, **found})
                print(f"{engine} {case}: {found['seconds']:.1f} s, {found['cpu']:.1f} s of a processor, "
                      f"{found['gb']:.2f} GB at the peak", flush=True)  # fmt: skip
    return rows


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
