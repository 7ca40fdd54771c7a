"""The sentences that a language model learns or is measured on: of a prepared corpus, or of a file."""

from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.common.jsonl import read_jsonl
from asl.common.transcripts import read_stm
from asl.lang.tokens import read_lines, read_symbols
from asl.lang.lexicon import is_special

Sentence = Tuple[str, ...]


class Text(NamedTuple):
    """Sentences of words.

    Attributes:
        sentences: in the order of the file.
        ids: of each sentence, where the file has ids.
        source: where they are from, for messages.
    """

    sentences: List[Sentence]
    ids: Optional[List[str]]
    source: str


def read_text(data: PathLike = "data", split: str = "train", text: Optional[PathLike] = None) -> Text:
    """Read the sentences of ``text``, or else those of a split of a data folder.

    Args:
        data: the recipe's data folder; ``<data>/<split>/supervisions.jsonl.gz`` is read.
        text: a file of one sentence a line (empty lines are passed over), or an ``.stm`` file (with ids).

    Raises:
        AslError: absent or malformed file, a supervision without text, or no sentence at all.
    """
    if text is not None and Path(text).suffix == ".stm":
        rows = read_stm(text)
        found = Text(list(rows.values()), list(rows), str(text))
    elif text is not None:
        found = Text([tuple(fields) for fields in read_lines(text) if fields], None, str(text))
    else:
        found = _split(Path(data), split)
    if not any(found.sentences):
        raise AslError(f"{found.source} holds no word: there is nothing to model; check the path")
    return found


def _split(data: Path, split: str) -> Text:
    path = data / split / "supervisions.jsonl.gz"
    if not path.exists():
        there = sorted(p.parent.name for p in data.glob("*/supervisions.jsonl.gz"))
        found = f"there are {', '.join(there)}" if there else "run stage 1 of the recipe, or give --text FILE"
        raise AslError(f"{path} does not exist: no split '{split}' in {data}; {found}")
    sentences, ids = [], []
    for row in read_jsonl(path):
        if not isinstance(row.get("text"), str):
            raise AslError(f"{path}: supervision '{row.get('id')}' has no text; prepare the corpus again")
        sentences.append(tuple(row["text"].split()))
        ids.append(str(row.get("id")))
    return Text(sentences, ids, str(path))


def read_words(path: PathLike) -> List[str]:
    """The words of a ``words.txt`` (``word id`` a line), without ``<eps>``, ``#0``, ``<s>``, ``</s>``.

    Raises:
        AslError: absent or malformed file, or it holds no word.
    """
    words = [symbol for symbol in read_symbols(path) if not is_special(symbol)]
    if not words:
        raise AslError(f"{path} holds no words; make it again (stage 1)")
    return words
