"""A back-off n-gram model and the file that it is kept in, ARPA's (as SRILM and KenLM write it).

    \\data\\
    ngram 1=5
    ngram 2=4

    \\1-grams:
    -99         <s>         -0.30103
    -0.60206    tomorrow    -0.1760913
    ...
    \\2-grams:
    -0.1760913  <s> tomorrow
    ...
    \\end\\

A line holds the logarithm (base 10) of a probability, the words, and below the highest order the logarithm
of a back-off weight, which is 0 where it is not given. -99 stands for a probability of zero.
"""

import math
from pathlib import Path
from typing import Dict, Iterator, List, NoReturn, Sequence, Tuple

from asl.common.errors import AslError
from asl.common.files import PathLike, atomic_path

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
ZERO = -99.0  # as a base-10 logarithm, in the file
_LN10 = math.log(10.0)

Words = Tuple[str, ...]
State = Words  # what of the words so far the model can still tell apart; hashable


class NGram:
    """A back-off n-gram: ``p(w | h)`` is listed for ``h w``, or it is ``backoff(h) p(w | h')``.

    ``h'`` is the history ``h`` without its first word. Katz, *Estimation of probabilities from sparse data*,
    1987. All logarithms are natural.

    Args:
        ngrams: element ``n - 1`` maps n-grams (tuples of ``n`` words) to log-probabilities; unigrams hold
            ``</s>`` and, of log-probability -inf, ``<s>``.
        backoffs: context (one to ``order - 1`` words) -> log back-off weight; 0 where it is absent.

    Attributes:
        order: length of the longest n-grams.
        words: the words that it knows, without ``<s>``, ``</s>`` and ``<unk>``, in the order of the unigrams.
        has_unknown: whether it has ``<unk>``, by which every word that it does not know goes.

    Example:
        >>> half = math.log(0.5)
        >>> lm = NGram([{("<s>",): -math.inf, ("</s>",): half, ("rain",): half}], {})
        >>> round(math.exp(lm.score(["rain", "rain"])), 3), lm.score(["snow"])
        (0.125, -inf)
    """

    def __init__(self, ngrams: Sequence[Dict[Words, float]], backoffs: Dict[Words, float]) -> None:
        self.ngrams = list(ngrams)
        self.order = len(self.ngrams)
        self.backoffs = dict(backoffs)
        for longer in self.ngrams[1:]:
            for ngram in longer:
                self.backoffs.setdefault(ngram[:-1], 0.0)
        self.words: List[str] = [w for (w,) in self.ngrams[0] if w not in (START, END, UNKNOWN)]
        self.has_unknown = (UNKNOWN,) in self.ngrams[0]

    @property
    def counts(self) -> List[int]:
        """How many n-grams of each order there are."""
        return [len(ngrams) for ngrams in self.ngrams]

    def knows(self, word: str) -> bool:
        """Whether ``word`` is one of its words (``<unk>`` does not count)."""
        return (word,) in self.ngrams[0] and word not in (START, END, UNKNOWN)

    def start(self) -> State:
        """The state at the begin of a sentence."""
        return self._shorten((START,))

    def step(self, state: State, word: str) -> Tuple[float, State]:
        """Return the log-probability of ``word`` in ``state``, and the state after it.

        A word that it does not know goes by ``<unk>`` where it has one, else its log-probability is -inf.
        """
        if self.has_unknown and (word,) not in self.ngrams[0]:
            word = UNKNOWN
        return self._log_prob(state, word), self._shorten((*state, word))

    def finish(self, state: State) -> float:
        """Return the log-probability that the sentence ends in ``state``."""
        return self._log_prob(state, END)

    def score(self, words: Sequence[str]) -> float:
        """Return the log-probability of a sentence, its end included."""
        return sum(self.word_log_probs([words])[0])

    def word_log_probs(self, sentences: Sequence[Sequence[str]]) -> List[List[float]]:
        """Return for each sentence the log-probability of each word, and last that of its end."""
        found = []
        for words in sentences:
            state, log_probs = self.start(), []
            for word in words:
                log_prob, state = self.step(state, word)
                log_probs.append(log_prob)
            found.append([*log_probs, self.finish(state)])
        return found

    def score_all(self, sentences: Sequence[Sequence[str]]) -> List[float]:
        """Return the log-probability of each sentence."""
        return [self.score(sentence) for sentence in sentences]

    def _log_prob(self, state: State, word: str) -> float:
        total = 0.0
        for begin in range(len(state) + 1):
            context = state[begin:]
            log_prob = self.ngrams[len(context)].get((*context, word))
            if log_prob is not None:
                return total + log_prob
            total += self.backoffs.get(context, 0.0)
        return -math.inf

    def _shorten(self, words: Words) -> State:
        """The longest end of ``words`` that is a context: what stands before it changes no probability."""
        for begin in range(max(0, len(words) - self.order + 1), len(words)):
            if words[begin:] in self.backoffs:
                return words[begin:]
        return ()


def write_arpa(path: PathLike, lm: NGram) -> None:
    """Write ``lm`` to ``path`` atomically, n-grams in their order."""
    with atomic_path(path) as tmp, open(tmp, "w", encoding="utf-8") as f:
        counts = "".join(f"ngram {n}={count}\n" for n, count in enumerate(lm.counts, 1))
        f.write(f"\\data\\\n{counts}")
        for n, ngrams in enumerate(lm.ngrams, 1):
            f.write(f"\n\\{n}-grams:\n")
            for words, log_prob in ngrams.items():
                weight = lm.backoffs.get(words) if n < lm.order else None
                end = "" if weight is None else f"\t{_base10(weight)}"
                f.write(f"{_base10(log_prob)}\t{' '.join(words)}{end}\n")
        f.write("\n\\end\\\n")


def _base10(log_prob: float) -> str:
    return f"{max(log_prob / _LN10, ZERO):.9g}"


def _shown(fields: List[str]) -> str:
    return "'" + " ".join(fields) + "'"  # repr() would double the backslash


def _natural(value: float) -> float:
    return value * _LN10 if value > ZERO else -math.inf


def read_arpa(path: PathLike) -> NGram:
    """Read an n-gram model in ARPA format. ``<UNK>`` is read as ``<unk>``.

    Raises:
        AslError: the file is absent, cut short (``\\end\\`` is missing, or a section holds another number of
            n-grams than ``\\data\\`` says) or malformed, or ``<s>`` or ``</s>`` is missing; names file and
            line.
    """
    return _Reader(Path(path)).read()


class _Reader:
    """Reads one file from its begin to its end and knows in which line it is."""

    def __init__(self, path: Path) -> None:
        self.path, self.number = path, 0

    def fail(self, what: str) -> NoReturn:
        raise AslError(f"{self.path} line {self.number}: {what}; make the n-gram model again")

    def read(self) -> NGram:
        if self.path.is_dir():
            raise AslError(f"{self.path} is a folder, not an ARPA file; give the .arpa file in it")
        try:
            with open(self.path, encoding="utf-8-sig", newline="\n") as f:
                return self._model(self._lines(f))
        except FileNotFoundError:
            raise AslError(f"no ARPA file {self.path}; 'asl lm train' makes one, or check the path") from None
        except (OSError, UnicodeDecodeError) as e:
            raise AslError(f"cannot read {self.path}: {e}; an ARPA file is UTF-8 text") from e

    def _lines(self, f) -> Iterator[List[str]]:
        for line in f:
            self.number += 1
            fields = line.split()
            if fields:
                yield fields

    def _model(self, lines: Iterator[List[str]]) -> NGram:
        for fields in lines:  # what stands before \data\ is a comment
            if fields == ["\\data\\"]:
                break
        else:
            raise AslError(f"{self.path} has no line '\\data\\': it is no ARPA file, or it is empty")
        expected, fields = self._expected(lines)
        ngrams: List[Dict[Words, float]] = []
        backoffs: Dict[Words, float] = {}
        for order, count in enumerate(expected, 1):
            if fields != [f"\\{order}-grams:"]:
                self.fail(f"expected '\\{order}-grams:', found {_shown(fields)}")
            section, fields = self._section(lines, order, len(expected), ngrams, backoffs)
            if len(section) != count:
                self.fail(f"'\\{order}-grams:' ends after {len(section)} n-grams, '\\data\\' says {count}")
            ngrams.append(section)
        if fields != ["\\end\\"]:
            self.fail(f"expected '\\end\\', found {_shown(fields)}")
        for symbol in (START, END):
            if (symbol,) not in ngrams[0]:
                raise AslError(f"{self.path}: {symbol!r} is no unigram of it; make the n-gram model again")
        return NGram(ngrams, backoffs)

    def _expected(self, lines: Iterator[List[str]]) -> Tuple[List[int], List[str]]:
        """The numbers of n-grams that ``\\data\\`` says, and the line that follows them."""
        counts: List[int] = []
        for fields in lines:
            if fields[0] != "ngram":
                if not counts:
                    self.fail(f"expected 'ngram 1=…', found {_shown(fields)}")
                return counts, fields
            order, equals, count = "".join(fields[1:]).partition("=")
            if not (equals and order == str(len(counts) + 1) and count.isascii() and count.isdigit()):
                self.fail(f"expected 'ngram {len(counts) + 1}=…', found {_shown(fields)}")
            counts.append(int(count))
        self.fail("the file is cut short: it ends inside '\\data\\'")

    def _section(
        self,
        lines: Iterator[List[str]],
        order: int,
        highest: int,
        ngrams: Sequence[Dict[Words, float]],
        backoffs: Dict[Words, float],
    ) -> Tuple[Dict[Words, float], List[str]]:
        """Read the n-grams of one order; return them, and the line that ends the section."""
        section: Dict[Words, float] = {}
        for fields in lines:
            if fields[0].startswith("\\") and len(fields) == 1:
                return section, fields
            has_weight = order < highest and len(fields) == order + 2
            if len(fields) != order + 1 and not has_weight:
                weight = ", perhaps a back-off weight" if order < highest else ""
                self.fail(f"expected a log-probability and {order} words{weight}, found {_shown(fields)}")
            words = tuple(UNKNOWN if word == "<UNK>" else word for word in fields[1 : order + 1])
            log_prob = self._number(fields[0], "log-probability")
            if log_prob > 0:
                self.fail(f"the log-probability {fields[0]} of {' '.join(words)!r} is above 0")
            if words in section:
                self.fail(f"the n-gram {' '.join(words)!r} stands twice")
            if order > 1:
                for word in words:
                    if (word,) not in ngrams[0]:
                        self.fail(f"{word!r} is not among the unigrams")
            section[words] = _natural(log_prob)
            if has_weight:
                backoffs[words] = _natural(self._number(fields[-1], "back-off weight"))
        where = f"the file is cut short: it ends inside '\\{order}-grams:' after {len(section)} n-grams"
        self.fail(f"{where}, without '\\end\\'")

    def _number(self, text: str, what: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value) or value == math.inf:
            self.fail(f"the {what} {text!r} is not a number")
        return value
