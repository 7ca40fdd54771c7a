"""How fast is beam search over a text decoder, batched against one by one, and what costs an epoch at How2Sign's size?

    python tests/bench/translate.py search [--out FOLDER]
    python tests/bench/translate.py epoch --data DIR --config egs/how2sign/conf/v4.yaml [--share 0.05] [--threads 2]

search: decoders of 256 channels and 2 or 3 layers with random weights, 1,001 outputs, memories of 40 to 160 frames, texts of
about 30 tokens, beam 5, with and without CTC prefix scores. Random weights never end a text, so the end's log-probability
is held down at first and then raised, token by token; CTC's outputs are those of a text of 30 tokens. Both ways
decode the same clips in turns, on one core; seconds are the process's own (CPU), so that work beside it on the machine does
not count.

epoch: 'asl train' itself on the data folder DIR (stage 2 done), its first epoch up to the last training batch, or the
given share of its batches (what is then said of a whole epoch is extrapolated, and told to be). Memory is what the process
and its workers hold, at 25, 50, 75 and 100 per cent of the batches.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import lightning as L  # noqa: E402
import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from asl.common.files import write_json  # noqa: E402
from asl.decoding.attention import BeamOptions, Found, Part, beam_search  # noqa: E402
from asl.decoding.ctc_prefix import CtcPrefixScorer  # noqa: E402
from asl.models import TextDecoder  # noqa: E402

VOCABULARY, DIM, TOKENS = 1001, 256, 30
QUARTERS = (0.25, 0.5, 0.75, 1.0)


class Ending:
    """A text decoder of random weights whose texts have about ``tokens`` tokens."""

    def __init__(self, decoder: TextDecoder, tokens: int) -> None:
        self.decoder, self.tokens, self.sos_eos = decoder, tokens, decoder.sos_eos

    def step(self, tokens: Tensor, state: Any) -> Tuple[Tensor, Any]:
        log_probs, after = self.decoder.step(tokens, state)
        late = state.length - self.tokens + 3
        log_probs[:, self.sos_eos] += -50.0 if late < 0 else 2.0 * late
        return log_probs.clamp(max=0.0), after


def simulated_ctc(lengths: Tensor, tokens: int, generator: torch.Generator) -> Tensor:
    """CTC outputs ``(clips, frames, VOCABULARY)`` of a text of so many tokens (fewer where the frames are), blanks between."""
    logits = torch.randn(len(lengths), int(lengths.max()), VOCABULARY, generator=generator)
    logits[:, :, 0] += 9.0
    for row, length in enumerate(lengths.tolist()):
        count = min(tokens, length // 2)
        frames = torch.arange(count) * length // count
        logits[row, frames, torch.randint(1, VOCABULARY, (count,), generator=generator)] += 11.0
    return logits.log_softmax(dim=-1)


class Clips:
    """Memories and CTC outputs of clips; ``decode`` searches some of them together."""

    def __init__(self, clips: int, layers: int, tokens: int = TOKENS) -> None:
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(0)
        self.decoder = TextDecoder(VOCABULARY, DIM, DIM, layers).eval()
        self.scorer = Ending(self.decoder, tokens)
        self.lengths = torch.randint(40, 161, (clips,), generator=generator)
        self.memory = torch.randn(clips, int(self.lengths.max()), DIM, generator=generator)
        self.ctc = simulated_ctc(self.lengths, tokens, generator)

    @torch.no_grad()
    def decode(self, rows: Sequence[int], options: BeamOptions) -> List[Found]:
        """The best text of each of the clips."""
        lengths = self.lengths[list(rows)]
        longest = int(lengths.max())
        state = self.decoder.start(self.memory[list(rows), :longest], lengths)
        part = Part(1 - options.ctc_weight, self.scorer, state)
        ctc = CtcPrefixScorer(self.ctc[list(rows), :longest], lengths) if options.ctc_weight else None
        return [texts[0] for texts in beam_search([part], VOCABULARY, lengths, options, ctc)]


def search(clips: int, rounds: int, layers: Sequence[int]) -> List[Dict[str, Any]]:
    """Sentences a second, batched and one by one, of each setting; the texts are compared."""
    rows = []
    for depth in layers:
        made = Clips(clips, depth)
        for weight in (0.0, 0.3):
            options = BeamOptions(5, 5, ctc_weight=weight)
            ways = {"batched": [range(clips)], "one by one": [[clip] for clip in range(clips)]}
            seconds: Dict[str, List[float]] = {name: [] for name in ways}
            found: Dict[str, List[Found]] = {}
            for _ in range(rounds):
                for name, batches in ways.items():
                    began = time.process_time()
                    found[name] = [one for batch in batches for one in made.decode(batch, options)]
                    seconds[name].append(time.process_time() - began)
            best = {name: min(values) for name, values in seconds.items()}
            pairs = list(zip(found["batched"], found["one by one"]))
            row = {
                "layers": depth, "ctc_weight": weight, "clips": clips,
                "tokens": sum(len(one.ids) for one in found["batched"]) / clips,
                **{f"{name} sentences/s": clips / value for name, value in best.items()},
                "times": best["one by one"] / best["batched"],
                "same texts": sum(a.ids == b.ids for a, b in pairs),
                "largest difference of scores": max(abs(a.score - b.score) for a, b in pairs),
            }  # fmt: skip
            print(f"  {depth} layers, {'CTC prefixes' if weight else 'no CTC      '}: {row['batched sentences/s']:6.1f} sentences/s "
                  f"batched ({clips}), {row['one by one sentences/s']:5.1f} one by one: {row['times']:.2f} times; texts of "
                  f"{row['tokens']:.1f} tokens, {row['same texts']} of {clips} the same, scores within "
                  f"{row['largest difference of scores']:.1e}", flush=True)  # fmt: skip
            rows.append(row)
    return rows


class Done(Exception):
    """The last training batch of the epoch was made."""


class Watch(L.Callback):
    """Seconds, clips and memory of the epoch; ends training with its last batch.

    Attributes:
        rows: at each quarter of the batches: batches, clips, seconds, and GB of the process and of its workers.
    """

    def __init__(self) -> None:
        self.rows: List[Dict[str, float]] = []
        self.clips, self.frames, self.began, self.cpu = 0, 0, 0.0, 0.0
        self.others = set(children(os.getpid()))  # of whoever began this process' work: no workers of the epoch

    def on_train_epoch_start(self, trainer: L.Trainer, task: Any) -> None:
        self.began, self.cpu = time.perf_counter(), time.process_time()

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.clips += len(batch["ids"])
        self.frames += int(batch["feature_lengths"].sum())
        made, batches = batch_idx + 1, int(trainer.num_training_batches)
        if any(made == max(1, round(quarter * batches)) for quarter in QUARTERS):
            own, workers = resident(os.getpid()), sum(map(resident, self.workers()))
            row = {"share": made / batches, "batches": made, "clips": self.clips, "frames": self.frames,
                   "seconds": time.perf_counter() - self.began, "cpu_seconds": time.process_time() - self.cpu,
                   "gb": own, "workers_gb": workers}  # fmt: skip
            self.rows.append(row)
            print(f"    {row['share']:4.0%}: {made} batches, {self.clips} clips, {row['seconds']:.0f} s "
                  f"(CPU {row['cpu_seconds']:.0f} s), {own:.2f} GB and its workers {workers:.2f} GB", flush=True)  # fmt: skip
        if made == batches:
            raise Done

    def workers(self) -> List[int]:
        """The processes that this one has started since."""
        return [child for child in children(os.getpid()) if child not in self.others]


def resident(process: int) -> float:
    """GB that a process holds; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9
    except OSError:
        return 0.0


def children(process: int) -> List[int]:
    """The processes that a process started, and theirs."""
    found = [int(n) for path in Path(f"/proc/{process}/task").glob("*/children") for n in path.read_text().split()]
    return found + [deeper for one in found for deeper in children(one)]


def epoch(config: Path, data: Path, share: float, threads: int, given: Sequence[str]) -> Dict[str, Any]:
    """One epoch of ``config`` on the data folder, or the share of it."""
    from asl.tasks import train as training
    from asl.tasks.config import parse

    torch.set_num_threads(threads)
    watch, make_trainer = Watch(), training.make_trainer

    def watched(config: Any, exp: Path, callbacks: Sequence[L.Callback] = ()) -> Tuple:
        trainer, *rest = make_trainer(config, exp, [*callbacks, watch])
        if share < 1:
            trainer.limit_train_batches = share
        return (trainer, *rest)

    print(f"  {config}, {threads} threads, {share:.0%} of an epoch of {data}:", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        words = ["--config", str(config), "--exp", f"{folder}/exp", "--data.data_dir", str(data), "--trainer.threads", str(threads)]
        training.quieten()
        training.make_trainer = watched
        try:
            training.train(parse([*words, *given]), Path(folder) / "exp", words)
        except Done:
            pass
        finally:
            training.make_trainer = make_trainer
    last = watch.rows[-1]
    held = [row["gb"] + row["workers_gb"] for row in watch.rows]
    whole = last["seconds"] / share
    told = "" if share == 1 else " (EXTRAPOLATED from the share)"
    print(f"    {last['clips'] / last['seconds']:.1f} clips/s, {last['frames'] / last['seconds']:.0f} frames/s; an epoch "
          f"takes {whole / 60:.1f} min{told}; memory from {min(held):.2f} to {max(held):.2f} GB")  # fmt: skip
    return {"config": config.name, "threads": threads, "share": share, "extrapolated": share < 1, "epoch_seconds": whole,
            "rows": watch.rows}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bench_translate"), help="folder of search.json or epoch.json")
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("search")
    one.add_argument("--clips", type=int, default=64)
    one.add_argument("--rounds", type=int, default=2)
    one.add_argument("--layers", type=int, nargs="+", default=[2, 3])
    two = kinds.add_parser("epoch")
    two.add_argument("--data", type=Path, required=True)
    two.add_argument("--config", type=Path, nargs="+", required=True)
    two.add_argument("--share", type=float, default=1.0)
    two.add_argument("--threads", type=int, default=2)
    two.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="keys of the configuration")
    args = parser.parse_args()
    if args.kind == "search":
        torch.set_num_threads(1)
        print(f"torch {torch.__version__}, one core, beam 5, {VOCABULARY} outputs, {DIM} channels:")
        found: Any = {"torch": torch.__version__, "rows": search(args.clips, args.rounds, args.layers)}
    else:
        given = [word for pair in args.set for word in (f"--{pair.partition('=')[0]}", pair.partition("=")[2])]
        found = [epoch(config, args.data, args.share, args.threads, given) for config in args.config]
    write_json(args.out / f"{args.kind}.json", found)


if __name__ == "__main__":
    main()
