"""Posteriors of PHOENIX's dev set for the decoding benchmarks: simulated from its transcripts, or of a trained network.

    python tests/bench/posteriors.py --corpus-dir DIR --out FILE                  simulated
    python tests/bench/posteriors.py --exp EXP --data data --split val --out FILE of a network

One .npz file: ids, references, tokens, whether they are simulated, lengths, and the log-probs of all frames.
"""

import argparse
import csv
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SUBSAMPLING = 4


class Posteriors(NamedTuple):
    """Log-probs ``(frames, tokens)`` of each utterance, what was signed, and what the columns are (0 is the blank)."""

    ids: List[str]
    references: List[List[str]]
    log_probs: List[np.ndarray]
    tokens: List[str]
    simulated: bool


def read_corpus(folder: Path, split: str) -> Dict[str, List[str]]:
    """id -> normalised glosses of a split of PHOENIX-2014 as its owner ships it."""
    from asl.common.glosses import clean_sentence, get_rules

    rules = get_rules("phoenix2014")
    with open(folder / "annotations" / "manual" / f"{split}.corpus.csv", encoding="utf-8") as f:
        rows = list(csv.DictReader(f, delimiter="|"))
    return {row["id"]: clean_sentence(row["annotation"].split(), rules) for row in rows}


def read_frames(folder: Path, split: str) -> Dict[str, int]:
    """id -> how many frames its video has."""
    lines = (folder / "annotations" / f"{split}.frames.tsv").read_text(encoding="utf-8").splitlines()
    return {row[0]: int(row[2]) for row in (line.split("\t") for line in lines)}


def simulate(
    references: Dict[str, List[str]], frames: Dict[str, int], glosses: Sequence[str], seed: int = 0
) -> Posteriors:
    """Make posteriors as a CTC network's: spikes of one to three frames, blanks between, and its kinds of errors.

    Every gloss has eight others that it is taken for. Of the signs 5 % are missed (the blank wins), 12 % lose to one
    of these eight, 6 % appear where nothing is; the rest win by a margin that varies. Glosses that are not in the
    vocabulary look like one that is.
    """
    rng = np.random.default_rng(seed)
    vocabulary = len(glosses) + 1
    number = {gloss: index for index, gloss in enumerate(glosses, 1)}
    likely = rng.integers(1, vocabulary, (vocabulary, 8))
    out = []
    for key, words in references.items():
        length = max(frames[key] // SUBSAMPLING, 1)
        logits = rng.normal(0.0, 1.2, (length, vocabulary)).astype(np.float32)
        logits[:, 0] += 11.0
        signs = [number.get(word) or int(rng.integers(1, vocabulary)) for word in words]
        # all but a few frames lie between signs; those spread evenly with some jitter
        places = (np.arange(len(signs)) + 0.5) / max(len(signs), 1) * length + rng.uniform(-0.6, 0.6, len(signs))
        for place, sign in zip(places, signs):
            _spike(rng, logits, int(place), sign, likely[sign], rng.choice(3, p=[0.83, 0.05, 0.12]))
            if rng.random() < 0.06:
                wrong = int(rng.integers(1, vocabulary))
                _spike(rng, logits, int(rng.integers(length)), wrong, likely[wrong], 0)
        top = logits.max(axis=1, keepdims=True)
        out.append(logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True)))
    return Posteriors(list(references), list(references.values()), out, ["<blk>", *glosses], True)


def _spike(rng: np.random.Generator, logits: np.ndarray, place: int, sign: int, likely: np.ndarray, kind: int) -> None:
    """Raise a sign and those like it over a few frames; kind 0 is recognised, 1 missed, 2 taken for another."""
    width = int(rng.integers(1, 4))
    first = min(max(place - width // 2, 0), len(logits) - 1)
    here = logits[first:first + width]
    others = rng.choice(likely, 4, replace=False)
    here[:, others] += rng.uniform(5.0, 10.0, (1, 4)).astype(np.float32)
    here[:, sign] += rng.uniform(11.5, 16.0) if kind == 0 else rng.uniform(8.0, 11.0)
    if kind == 2:
        here[:, others[0]] += 6.0
    if kind != 1:
        here[:, 0] -= rng.uniform(2.0, 6.0)


def save(path: Path, posteriors: Posteriors) -> None:
    """Write one .npz file."""
    from asl.common.files import atomic_path

    with atomic_path(path) as tmp:
        np.savez(
            tmp, ids=np.array(posteriors.ids), references=np.array([" ".join(r) for r in posteriors.references]),
            tokens=np.array(posteriors.tokens), simulated=posteriors.simulated,
            lengths=np.array([len(p) for p in posteriors.log_probs]),
            log_probs=np.concatenate(posteriors.log_probs).astype(np.float32),
        )  # fmt: skip


def load(path: Path) -> Posteriors:
    """Read what ``save`` wrote."""
    with np.load(path) as f:
        ends = np.cumsum(f["lengths"])[:-1]
        references = [text.split() for text in f["references"].tolist()]
        log_probs = np.split(f["log_probs"], ends)
        return Posteriors(f["ids"].tolist(), references, log_probs, f["tokens"].tolist(), bool(f["simulated"]))


def of_network(exp: str, data: str, split: str) -> Posteriors:
    """What a trained CTC network says of a split."""
    import torch

    from asl.lang.tokens import TokenTable
    from asl.scoring.refs import read_references
    from asl.tasks import config as configs
    from asl.tasks import experiment
    from asl.tasks.posteriors import network_outputs

    loaded = experiment.load_task(exp)
    module = configs.instantiate_data(loaded.config, data_dir=data, num_workers=0, overfit=0)
    references, ids, log_probs = read_references(data, split), [], []
    with torch.no_grad():
        for batch in network_outputs(loaded.task, module.loader(split)):
            ids += batch.ids
            log_probs += [p[:n].numpy() for p, n in zip(batch.log_probs, batch.lengths.tolist())]
    tokens = ["<blk>", *TokenTable.read(loaded.lang / "tokens.txt").units]
    return Posteriors(ids, [list(references[key]) for key in ids], log_probs, tokens, False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus-dir", type=Path)
    parser.add_argument("--exp")
    parser.add_argument("--data", default="data")
    parser.add_argument("--split", default="val")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.exp:
        posteriors = of_network(args.exp, args.data, args.split)
    else:
        glosses = sorted({gloss for words in read_corpus(args.corpus_dir, "train").values() for gloss in words})
        references = read_corpus(args.corpus_dir, "dev")
        posteriors = simulate(references, read_frames(args.corpus_dir, "dev"), glosses)
    save(args.out, posteriors)
    kind = "simulated" if posteriors.simulated else "of a network"
    print(f"{args.out}: {len(posteriors.ids)} utterances, {sum(map(len, posteriors.log_probs))} frames, "
          f"{len(posteriors.tokens)} tokens ({kind})")  # fmt: skip


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
