"""Both engines on the posteriors of a trained CTC network: the same words, the same scores, and the time of each.

    python tests/bench/engines.py --exp egs/wlasl/exp/ctc_100_seed0 --data egs/wlasl/data --split val
    python tests/bench/engines.py --posteriors FILE --grammar G.arpa --topology compact --lm-scale 1.5

Compiles the graph with k2 and with the kaldi engine from the run's own lang folder, or for the glosses of a file of
tests/bench/posteriors.py, searches every clip with both, and compares best paths and n-best lists. Ends with
status 1 where they differ.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import List

import torch
from torch.nn.utils.rnn import pad_sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from asl.cli import prefer_fast_kernels
from asl.graph.compile import compile_graph
from asl.graph.engine import get_engine
from asl.graph.options import SearchOptions
from asl.lang.prepare import write_lang
from asl.tasks import config as configs
from asl.tasks import experiment
from asl.tasks.posteriors import Outputs, network_outputs
from tests.bench.posteriors import load

TOLERANCE = 1e-3


def of_network(args: argparse.Namespace, lang: Path) -> List[Outputs]:
    """What a trained network says of a split; its lang folder is copied."""
    loaded = experiment.load_task(args.exp)
    module = configs.instantiate_data(loaded.config, data_dir=args.data, num_workers=0, overfit=0)
    shutil.copytree(loaded.lang, lang)
    with torch.no_grad():
        return list(network_outputs(loaded.task, module.loader(args.split)))


def of_file(args: argparse.Namespace, lang: Path) -> List[Outputs]:
    """Batches of a file of posteriors; its glosses become a lang folder."""
    posteriors = load(args.posteriors)
    write_lang(posteriors.tokens[1:], lang)
    print("SIMULATED posteriors" if posteriors.simulated else "posteriors of a network")
    batches = []
    for first in range(0, min(args.utterances, len(posteriors.ids)), args.batch_size):
        rows = [torch.from_numpy(p) for p in posteriors.log_probs[first:min(first + args.batch_size, args.utterances)]]
        lengths = torch.tensor([len(row) for row in rows])
        batches.append(Outputs(posteriors.ids[first:first + len(rows)], pad_sequence(rows, True), lengths))
    return batches


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exp")
    parser.add_argument("--data", default="data")
    parser.add_argument("--split", default="val")
    parser.add_argument("--posteriors", type=Path)
    parser.add_argument("--utterances", type=int, default=500, help="of --posteriors, at most")
    parser.add_argument("--batch-size", type=int, default=16, help="of --posteriors")
    parser.add_argument("--grammar", default="one-sign")
    parser.add_argument("--topology", default="ctc")
    parser.add_argument("--nbest", type=int, default=10)
    parser.add_argument("--beam", type=float, default=20.0)
    parser.add_argument("--lattice-beam", type=float, default=20.0)
    parser.add_argument("--acoustic-scale", type=float, default=1.0)
    parser.add_argument("--lm-scale", type=float, default=1.0)
    parser.add_argument("--insertion-penalty", type=float, default=0.0)
    args = parser.parse_args()
    if bool(args.exp) == bool(args.posteriors):
        parser.error("give --exp or --posteriors")

    prefer_fast_kernels()
    options = SearchOptions(
        args.beam, args.lattice_beam, None, None, args.acoustic_scale, args.lm_scale, args.insertion_penalty
    )
    found = {}
    with tempfile.TemporaryDirectory() as tmp:
        lang = Path(tmp) / "lang"
        batches = of_network(args, lang) if args.exp else of_file(args, lang)
        for name in ("k2", "kaldi"):
            engine = get_engine(name)
            compile_graph(str(lang), str(Path(tmp) / name), args.grammar, name, args.topology)
            graph = engine.load(Path(tmp) / name)
            began, best, lists = time.perf_counter(), [], []
            for batch in batches:
                lattices = engine.decode(graph, batch.log_probs, batch.lengths, options)
                best += engine.best_path(lattices)
                lists += engine.nbest(lattices, args.nbest)
            found[name] = best, lists
            print(f"{name}: {len(best)} clips in {time.perf_counter() - began:.2f} s")

    (best_a, lists_a), (best_b, lists_b) = found["k2"], found["kaldi"]
    words = sum(bool(a and b) and a.words == b.words for a, b in zip(best_a, best_b))
    words += sum(a is None and b is None for a, b in zip(best_a, best_b))
    apart = max((abs(a.score - b.score) for a, b in zip(best_a, best_b) if a and b), default=0.0)
    same = sum([r.words for r in a] == [r.words for r in b] for a, b in zip(lists_a, lists_b))
    print(f"best words equal in {words} of {len(best_a)} clips; best scores differ by {apart:.1e} at most; "
          f"{args.nbest}-best lists equal in {same}")  # fmt: skip
    return 0 if words == len(best_a) and apart <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
