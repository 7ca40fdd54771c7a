"""Both engines on the posteriors of a trained CTC network: the same words, the same scores, and the time of each.

    python tests/bench/engines.py --exp egs/wlasl/exp/ctc_100_seed0 --data egs/wlasl/data --split val

Compiles the one-sign graph with k2 and with the kaldi engine from the run's own lang folder, searches every clip of
the split with both, and compares best paths and n-best lists. Ends with status 1 where they differ.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch

from asl.cli import prefer_fast_kernels
from asl.graph.compile import compile_graph
from asl.graph.engine import get_engine
from asl.graph.options import SearchOptions
from asl.tasks import config as configs
from asl.tasks import experiment
from asl.tasks.posteriors import network_outputs

TOLERANCE = 1e-3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exp", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--nbest", type=int, default=10)
    args = parser.parse_args()

    prefer_fast_kernels()
    loaded = experiment.load_task(args.exp)
    module = configs.instantiate_data(loaded.config, data_dir=args.data, num_workers=0, overfit=0)
    with torch.no_grad():
        batches = list(network_outputs(loaded.task, module.loader(args.split)))
    options = SearchOptions(beam=20.0, lattice_beam=20.0)
    found = {}
    with tempfile.TemporaryDirectory() as tmp:
        lang = Path(tmp) / "lang"
        shutil.copytree(loaded.lang, lang)
        for name in ("k2", "kaldi"):
            engine = get_engine(name)
            compile_graph(str(lang), str(Path(tmp) / name), engine=name)
            graph = engine.load(Path(tmp) / name)
            began, best, lists = time.perf_counter(), [], []
            for batch in batches:
                lattices = engine.decode(graph, batch.log_probs, batch.lengths, options)
                best += engine.best_path(lattices)
                lists += engine.nbest(lattices, args.nbest)
            found[name] = best, lists
            print(f"{name}: {len(best)} clips in {time.perf_counter() - began:.2f} s")

    (best_a, lists_a), (best_b, lists_b) = found["k2"], found["kaldi"]
    words = sum(a.words == b.words for a, b in zip(best_a, best_b))
    apart = max(abs(a.score - b.score) for a, b in zip(best_a, best_b))
    same = sum([r.words for r in a] == [r.words for r in b] for a, b in zip(lists_a, lists_b))
    print(f"best words equal in {words} of {len(best_a)} clips; best scores differ by {apart:.1e} at most; "
          f"{args.nbest}-best lists equal in {same}")  # fmt: skip
    return 0 if words == len(best_a) and apart <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
