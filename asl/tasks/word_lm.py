"""``asl lm neural``: a small LSTM language model of words; and ``load_lm`` for any language model.

``asl train`` is about clips: batches by frames, landmarks, a network with an encoder and a decoding that
belongs to it. Nothing of it but the optimiser fits sentences of words, which train in minutes from one list
in memory. So there is one explicit loop here instead of options in every part of the trainer.
"""

import json
import math
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from asl.common.compat import adamw, torch_load
from asl.common.errors import AslError
from asl.common.files import PathLike, atomic_path, read_json, write_json
from asl.common.seeds import derive_seed
from asl.lang.arpa import END, START, UNKNOWN, NGram, read_arpa
from asl.lang.cache import CacheLM
from asl.lang.cache_tune import read_cache
from asl.lang.ngram_counts import Vocabulary, frequent_words
from asl.lang.ngram_text import read_text, read_words
from asl.lang.perplexity import measure
from asl.lang.tokens import read_symbols, write_symbols
from asl.models.word_lm import WordLm
from asl.tasks.base import WarmupCosine, clip_gradients, parameter_groups

WEIGHTS, CONFIG, WORDS, RESULT = "lm.ckpt", "lm.json", "words.txt", "train.json"
_IGNORED = -1  # target of padding
_AT_ONCE = 128  # sentences that are scored together


class NeuralLM:
    """A trained ``WordLm`` as a language model: log-probabilities of sentences.

    Args:
        network: the LSTM.
        vocabulary: its words; the ids are the rows of its embedding.
    """

    def __init__(self, network: WordLm, vocabulary: Vocabulary) -> None:
        self.network, self.vocabulary = network.eval(), vocabulary

    def knows(self, word: str) -> bool:
        """Whether ``word`` is one of its words (``<unk>`` does not count)."""
        return word in self.vocabulary.ids and word not in (START, END, UNKNOWN)

    @torch.no_grad()
    def word_log_probs(self, sentences: Sequence[Sequence[str]]) -> List[List[float]]:
        """Natural log-probability of each word and, last, of the end; unknown words by ``<unk>``."""
        found: List[List[float]] = []
        for begin in range(0, len(sentences), _AT_ONCE):
            coded = [self.vocabulary.encode(words) for words in sentences[begin : begin + _AT_ONCE]]
            inputs, targets = batch_of(coded)
            log_probs = self.network(inputs).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]
            found += [row[: len(ids) + 1] for ids, row in zip(coded, log_probs.double().tolist())]
        return found

    def score_all(self, sentences: Sequence[Sequence[str]]) -> List[float]:
        """Log-probability of each sentence, its end included."""
        return [sum(values) for values in self.word_log_probs(sentences)]


AnyLM = Union[NGram, CacheLM, NeuralLM]


def load_lm(path: PathLike) -> AnyLM:
    """The language model at ``path``: the folder of a neural one, a cache's ``.json``, else an ARPA file.

    Raises:
        AslError: absent, damaged, or of another kind.
    """
    path = Path(path)
    if path.is_dir():
        return _load_neural(path)
    return read_cache(path) if path.suffix == ".json" else read_arpa(path)


def _load_neural(folder: Path) -> NeuralLM:
    if not (folder / CONFIG).is_file():
        raise AslError(f"{folder} has no {CONFIG}: it is no neural language model; 'asl lm neural' makes one")
    config = read_json(folder / CONFIG)
    symbols = list(read_symbols(folder / WORDS))
    vocabulary = Vocabulary(symbols[3:])
    if vocabulary.symbols != symbols:
        raise AslError(f"{folder / WORDS} does not begin with {START}, {END}, {UNKNOWN}; train it again")
    try:
        network = WordLm(len(vocabulary), **config)
        network.load_state_dict(torch_load(folder / WEIGHTS))
    except (TypeError, RuntimeError) as e:
        reason = str(e).splitlines()[0]
        raise AslError(f"{folder}: {CONFIG}, {WORDS}, {WEIGHTS} do not fit ({reason}); train again") from None
    return NeuralLM(network, vocabulary)


def neural(
    data: str = "data",
    split: str = "train",
    val_split: str = "val",
    text: Optional[str] = None,
    val_text: Optional[str] = None,
    words: Optional[str] = None,
    dim: int = 128,
    hidden: int = 256,
    layers: int = 1,
    dropout: float = 0.5,
    epochs: int = 20,
    batch_size: int = 32,
    lr: float = 3e-3,
    weight_decay: float = 0.05,
    seed: int = 0,
    out: str = "exp/lm",
) -> None:
    """Train a small LSTM language model of words and keep the epoch that is best on the validation sentences.

    Args:
        data: the recipe's data folder.
        split: sentences to train on.
        val_split: sentences to validate on.
        text: a file instead of the split: one sentence a line, or an .stm file; needs val-text.
        val_text: a file instead of the validation split.
        words: a words.txt: the model has these words and no others; default: all words of the text.
        dim: of the embedding.
        hidden: cells of the LSTM.
        layers: of the LSTM.
        dropout: of embedding and output.
        epochs: passes over the text.
        batch_size: sentences of a batch.
        lr: highest learning rate; a cosine brings it to 0.
        weight_decay: of matrices.
        seed: of the initial weights, the order and dropout.
        out: folder of the model, with train.json.

    Raises:
        AslError: no such split or file, an option out of range, a loss that is not finite, or a validation perplexity
            that is finite in no epoch.
    """
    sizes = {"epochs": epochs, "batch-size": batch_size, "dim": dim, "hidden": hidden, "layers": layers}
    for name, value in sizes.items():
        if value < 1:
            raise AslError(f"--{name} is {value}; give 1 or more")
    if not 0 <= dropout < 1 or not lr > 0 or not weight_decay >= 0:
        raise AslError(f"--dropout {dropout} --lr {lr} --weight-decay {weight_decay}: give a share from 0 to below 1, "
                       "a number above 0, and 0 or more")
    if text is not None and val_text is None:
        raise AslError("--text needs --val-text, the sentences to validate on")
    sentences = read_text(data, split, text).sentences
    held_out = read_text(data, val_split, val_text).sentences
    vocabulary = Vocabulary(read_words(words) if words else frequent_words(sentences))
    shape: Dict[str, Any] = {"dim": dim, "hidden": hidden, "layers": layers, "dropout": dropout}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "word lm"))
        network = WordLm(len(vocabulary), **shape)
        began = time.perf_counter()
        rows = fit(network, vocabulary, sentences, held_out, epochs, batch_size, lr, weight_decay, seed)
    lm, best = NeuralLM(network, vocabulary), min(rows, key=lambda row: row["val_perplexity"])
    found = measure(lm, held_out)
    folder = Path(out)
    write_json(folder / CONFIG, shape)
    write_symbols(folder / WORDS, vocabulary.symbols)
    with atomic_path(folder / WEIGHTS) as tmp:
        torch.save(network.state_dict(), tmp)
    size, seconds = sum(p.numel() for p in network.parameters()), time.perf_counter() - began
    result = {"parameters": size, "seed": seed, "best_epoch": best["epoch"], "seconds": round(seconds, 1)}
    listed = [{key: value if math.isfinite(value) else None for key, value in row.items()} for row in rows]
    write_json(folder / RESULT, {**result, "val": found.as_dict(), "epochs": listed})
    print(f"{out}: LSTM of {size:,} parameters, {len(vocabulary) - 3} words and {UNKNOWN}, "
          f"{len(sentences)} sentences, {seconds:.0f} s")  # fmt: skip
    print(f"val perplexity {found.perplexity:.2f} in epoch {best['epoch']} (the best of {epochs}), without "
          f"the {found.oov_count} unknown of {found.words} words")  # fmt: skip


def fit(
    network: WordLm,
    vocabulary: Vocabulary,
    sentences: Sequence[Sequence[str]],
    held_out: Sequence[Sequence[str]],
    epochs: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    seed: int,
) -> List[Dict[str, float]]:
    """Train ``network`` in place; it ends with the weights of the best epoch. Returns a row for each epoch.

    So that ``<unk>`` is learnt, in each epoch a tenth of the words that occur once is read as ``<unk>``.

    Raises:
        AslError: a loss that is not finite, or no epoch with a finite perplexity of the validation sentences.
    """
    coded = [vocabulary.encode(words) for words in sentences]
    count = torch.bincount(torch.tensor([i for ids in coded for i in ids]), minlength=len(vocabulary))
    once = set(torch.nonzero(count == 1).flatten().tolist())
    steps = epochs * math.ceil(len(coded) / batch_size)
    optimizer = adamw(parameter_groups(network, weight_decay), lr, (0.9, 0.98))
    factor = WarmupCosine(steps // 20, steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor.__call__)
    rows: List[Dict[str, float]] = []
    best: Tuple[float, Dict[str, Tensor]] = (math.inf, {})
    for epoch in range(1, epochs + 1):
        draw = torch.Generator().manual_seed(derive_seed(seed, "epoch", epoch))
        order = torch.randperm(len(coded), generator=draw).tolist()
        hidden = {i for i in sorted(once) if float(torch.rand((), generator=draw)) < 0.1}
        network.train()
        total = events = 0.0
        for begin in range(0, len(order), batch_size):
            chosen = [[2 if i in hidden else i for i in coded[k]] for k in order[begin : begin + batch_size]]
            inputs, targets = batch_of(chosen)
            loss = torch.nn.functional.nll_loss(
                network(inputs).flatten(0, 1), targets.flatten(), ignore_index=_IGNORED
            )
            if not torch.isfinite(loss):
                raise AslError(f"the loss is not finite in epoch {epoch}; give a smaller --lr than {lr}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            clip_gradients([p.grad for p in network.parameters() if p.grad is not None], 1.0)
            optimizer.step()
            schedule.step()
            size = int((targets != _IGNORED).sum())
            total, events = total + float(loss.detach()) * size, events + size
        value = perplexity_of(lambda: measure(NeuralLM(network, vocabulary), held_out).perplexity)
        trained = perplexity_of(lambda: math.exp(total / events))
        row = {"epoch": epoch, "train_perplexity": trained, "val_perplexity": value}
        rows.append(row)
        print(json.dumps({k: round(v, 2) for k, v in row.items()}), flush=True)
        if value < best[0]:
            best = (value, {k: v.detach().clone() for k, v in network.state_dict().items()})
    if not best[1]:
        raise AslError(f"the validation perplexity was not finite in any of the {epochs} epochs, so none can be kept; "
                       f"give a smaller --lr than {lr}")
    network.load_state_dict(best[1])
    return rows


def perplexity_of(measured: Callable[[], float]) -> float:
    """What ``measured`` gives; infinity where it is no number, or larger than there are numbers."""
    try:
        value = float(measured())
    except OverflowError:
        return math.inf
    return value if math.isfinite(value) else math.inf


def batch_of(coded: Sequence[Sequence[int]]) -> Tuple[Tensor, Tensor]:
    """Ids of sentences -> inputs and targets ``(batch, longest + 1)``: ``<s> a b``, ``a b </s>``, padded."""
    longest = max(map(len, coded)) + 1
    inputs = torch.zeros(len(coded), longest, dtype=torch.long)
    targets = torch.full((len(coded), longest), _IGNORED)
    for row, ids in enumerate(coded):
        inputs[row, 1 : len(ids) + 1] = torch.tensor(ids, dtype=torch.long)
        targets[row, : len(ids) + 1] = torch.tensor([*ids, 1])
    return inputs, targets
