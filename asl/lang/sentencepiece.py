"""Sentences as sentencepieces (Kudo and Richardson 2018): written language as tokens of a translation network.

What is done to a sentence before it is cut stands in ``text.json`` beside the model, and nowhere else: sentencepiece's
own normalisation is off. What comes back from ids is text again, so that it is scored against the sentence as its
owner wrote it.
"""

import io
import unicodedata
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike, atomic_path, read_json
from asl.lang.folder import PIECES_FILE, TEXT_FILE
from asl.lang.tokens import TokenTable

MODELS = ("unigram", "bpe")
CASES = ("keep", "fold")
PUNCTUATION = ("keep", "drop")
UNKNOWN = "<unk>"
_INSIDE_WORDS = "'’-"
_WORD_BEGIN = "▁"  # sentencepiece's mark; in a text it would come back as a blank


def normalise(text: str, case: str, punctuation: str) -> str:
    """Return a sentence as a model sees it: NFC, one blank for whitespace, and what the options say.

    Args:
        text: as it is written.
        case: ``keep``, or ``fold``: lower case.
        punctuation: ``keep``, or ``drop``: punctuation marks become blanks, but for apostrophes and hyphens between
            two letters or digits (``don't``, ``follow-up``).

    Example:
        >>> normalise("Don't  stop - well-known, 3.5!", "fold", "drop")
        "don't stop well-known 3 5"
    """
    text = unicodedata.normalize("NFC", text).replace(_WORD_BEGIN, " ")
    if case == "fold":
        text = text.lower()
    if punctuation == "drop":
        text = "".join(c if _stays(text, i) else " " for i, c in enumerate(text))
    return " ".join(text.split())


def _stays(text: str, i: int) -> bool:
    if not unicodedata.category(text[i]).startswith("P"):
        return True
    return text[i] in _INSIDE_WORDS and text[i - 1 : i].isalnum() and text[i + 1 : i + 2].isalnum()


class Pieces:
    """A sentencepiece model and its normalisation; ids are those of ``tokens.txt`` (0 is the blank).

    Args:
        model: the model as sentencepiece writes it.
        options: what ``text.json`` holds.

    Example:
        >>> pieces = train(["Now turn left.", "Now turn right."] * 9, 20, "bpe", "fold", "drop")
        >>> pieces.decode(pieces.encode("Now, turn RIGHT!"))
        'now turn right'
    """

    def __init__(self, model: bytes, options: Dict[str, Any]) -> None:
        import sentencepiece

        self.model, self.options = model, dict(options)
        self.case, self.punctuation = options["case"], options["punctuation"]
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    def __len__(self) -> int:
        """How many pieces there are; ``tokens.txt`` has the blank besides."""
        return len(self._processor)

    @property
    def tokens(self) -> List[str]:
        """The pieces in the order of their ids, from id 1."""
        return [self._processor.id_to_piece(i) for i in range(len(self))]

    def normalise(self, text: str) -> str:
        """Return a sentence as the model sees it."""
        return normalise(text, self.case, self.punctuation)

    def encode(self, text: str) -> List[int]:
        """Return the ids (1 and above) of a sentence; what the model does not know is ``<unk>``."""
        return [i + 1 for i in self._processor.encode(self.normalise(text))]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that ids (1 and above) spell; ``<unk>`` shows as ``⁇``."""
        return " ".join(self._processor.decode([int(i) - 1 for i in ids]).split())

    def describe(self) -> str:
        """Return the normalisation and the model in one line, for people."""
        case = {"keep": "case as it is", "fold": "lower case"}[self.case]
        marks = {"keep": "punctuation as it is", "drop": "no punctuation (but inside words)"}[self.punctuation]
        return f"text: {self.options['unicode']}, {case}, {marks}; {len(self)} {self.options['type']} pieces"


def train(lines: Sequence[str], size: int, model: str, case: str, punctuation: str) -> Pieces:
    """Train a model on sentences, deterministically.

    Args:
        lines: sentences as they are written; empty ones are passed over.
        size: pieces at most, ``<unk>`` counted; fewer where the sentences have no more.
        model: ``unigram`` or ``bpe``.
        case, punctuation: see ``normalise``.

    Raises:
        AslError: no sentences, no such option, or so few pieces that not every character is one.
    """
    for name, value, known in (("type", model, MODELS), ("case", case, CASES), ("punctuation", punctuation, PUNCTUATION)):
        if value not in known:
            raise AslError(f"--{name} {value} is not known{did_you_mean(value, known)}; there are: {', '.join(known)}")
    texts = [text for text in (normalise(line, case, punctuation) for line in lines) if text]
    if not texts:
        raise AslError("there is no sentence to learn pieces from; give a file with a sentence a line")
    written = train_model(texts, size, model, "--vocab-size")
    return Pieces(written, {"case": case, "punctuation": punctuation, "unicode": "NFC", "type": model})


def train_model(texts: Sequence[str], size: int, model: str, option: str, **more: Any) -> bytes:
    """Train a model on texts as they stand, deterministically, and return it as sentencepiece writes it.

    Args:
        texts: sentences, or words; not empty.
        size: pieces at most, ``<unk>`` counted; fewer where the texts have no more.
        model: one of ``MODELS``.
        option: what the size is called where it is given, for messages.
        more: further options of sentencepiece's trainer.

    Raises:
        AslError: so few pieces that not every character is one.
    """
    import sentencepiece

    characters = {" ", *"".join(texts)}  # a begin of a word is marked as a blank is
    marked = "#" in characters  # a piece of its own: '#1' may be none, in graphs that is a disambiguation symbol
    least = len(characters) + 1  # <unk>
    if size < least:
        raise AslError(f"{option} {size} is too small: the text has {least - 1} characters, give {least} or more")
    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=written, vocab_size=size, model_type=model,
            character_coverage=1.0, hard_vocab_limit=False, normalization_rule_name="identity",
            unk_id=0, bos_id=-1, eos_id=-1, user_defined_symbols=["#"] if marked else [],
            max_sentence_length=1 << 20, minloglevel=2, num_threads=1, **more,
        )  # fmt: skip
    except RuntimeError as e:
        raise AslError(
            f"sentencepiece makes no {size} pieces of this text ({str(e).splitlines()[0]}); give another {option}"
        ) from e
    return written.getvalue()


def read_pieces(lang_dir: PathLike) -> Optional[Pieces]:
    """Return the pieces of a lang folder; None where it has no ``sentencepiece.model``.

    Raises:
        AslError: a model that sentencepiece cannot read, no ``text.json`` beside it or a wrong one, or a model of
            another size than ``tokens.txt``, or with other pieces.
    """
    lang_dir = Path(lang_dir)
    path = lang_dir / PIECES_FILE
    if not path.is_file():
        return None
    options = _options(lang_dir / TEXT_FILE)
    try:
        pieces = Pieces(path.read_bytes(), options)
        count = len(pieces)
    except (OSError, RuntimeError) as e:
        raise AslError(f"cannot read {path}: {str(e).splitlines()[0]}; make it again (asl lang sentencepiece)") from e
    table = TokenTable.read(lang_dir / "tokens.txt")
    if count != len(table) - 1:
        raise AslError(
            f"{path} has {count} pieces, but {lang_dir / 'tokens.txt'} {len(table) - 1} (the blank not counted); "
            "they must be of one 'asl lang sentencepiece': put the right model there, or make the folder again"
        )
    other = next((i for i, (a, b) in enumerate(zip(pieces.tokens, table.units), 1) if a != b), None)
    if other is not None:
        raise AslError(
            f"{path} has {pieces.tokens[other - 1]!r} where {lang_dir / 'tokens.txt'} has {table.units[other - 1]!r} "
            f"(id {other}); they must be of one 'asl lang sentencepiece'"
        )
    return pieces


def _options(path: Path) -> Dict[str, Any]:
    if not path.is_file():
        raise AslError(f"{path} is missing: it says how the text was normalised; make it again (asl lang sentencepiece)")
    options = read_json(path)
    known = {"case": CASES, "punctuation": PUNCTUATION, "unicode": ("NFC",), "type": MODELS}
    for name, values in known.items():
        if not isinstance(options, dict) or options.get(name) not in values:
            raise AslError(f"{path}: {name!r} must be one of {', '.join(values)}; make it again (asl lang sentencepiece)")
    return options


def write_model(lang_dir: PathLike, pieces: Pieces) -> None:
    """Write ``sentencepiece.model`` atomically."""
    with atomic_path(Path(lang_dir) / PIECES_FILE) as tmp:
        tmp.write_bytes(pieces.model)
