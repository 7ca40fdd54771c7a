"""``asl lang sentencepiece``: sentences -> a lang folder of pieces. ``asl lang pieces`` and ``words``: text as those."""

from collections import Counter
from pathlib import Path
from typing import List, Tuple

from asl.common.errors import AslError
from asl.common.files import PathLike, write_json, write_text
from asl.lang.folder import PIECES_FILE, PROBS_FILE, TEXT_FILE
from asl.lang.lexicon import Entry, disambiguate, is_special, write_lexicon
from asl.lang.prepare import EPSILON, END, START
from asl.lang.sentencepiece import Pieces, read_pieces, train, write_model
from asl.lang.tokens import TokenTable, read_lines, write_symbols


def sentencepiece(
    text: str = "data/text/train.txt",
    out: str = "data/lang",
    type: str = "unigram",
    vocab_size: int = 1000,
    case: str = "keep",
    punctuation: str = "keep",
) -> None:
    """Learn sentencepieces from sentences and write a lang folder of them; train on it with --data.lang NAME.

    The folder holds sentencepiece.model, text.json (how text is normalised), tokens.txt (the blank, then the pieces),
    and words.txt and lexicon.txt (the words of the text as pieces), of which a decoding graph can be compiled.

    Args:
        text: the training sentences, one a line, as they are written.
        out: folder to write.
        type: unigram (Kudo 2018) or bpe (Sennrich et al. 2016).
        vocab_size: pieces at most, <unk> counted; fewer where the text has no more.
        case: keep, or fold (lower case: so is then what the network writes).
        punctuation: keep, or drop (but for apostrophes and hyphens inside words).
    """
    lines = sentences(text)
    pieces = train(lines, vocab_size, type, case, punctuation)
    words, reserved = words_of(lines, pieces)
    write_pieces(out, pieces, words)
    print(pieces.describe())
    encoded = [len(pieces.encode(line)) for line in lines]
    lengths = [length for length, line in zip(encoded, lines) if line]
    print(f"{out}: {len(pieces)} pieces and {len(words)} words of {len(lengths)} sentences; "
          f"{sum(lengths) / len(lengths):.1f} pieces a sentence, at most {max(lengths)}")  # fmt: skip
    empty = [number for number, (length, line) in enumerate(zip(encoded, lines), start=1) if line and not length]
    if empty:
        print(f"warning: {len(empty)} sentences have nothing left when they are normalised, and training refuses them: "
              f"{text}, lines {', '.join(map(str, empty[:5]))}{', ...' if len(empty) > 5 else ''}")  # fmt: skip
    if len(pieces) < vocab_size:
        print(f"the text has no more than {len(pieces)} pieces; {vocab_size} were allowed")
    if reserved:
        print(f"{len(reserved)} words are left out of words.txt, as graphs use such names: {', '.join(reserved[:5])}")


def pieces(lang: str = "data/lang", text: str = "data/text/train.txt", out: str = "data/text/train.pieces.txt") -> None:
    """Write sentences as their pieces, with blanks between: what a language model over pieces is trained on.

    Args:
        lang: folder of 'asl lang sentencepiece'.
        text: sentences, one a line, as they are written.
        out: file to write, line for line; a sentence of which nothing is left is an empty line.
    """
    found = _pieces_of(lang)
    tokens = found.tokens
    _write_lines(out, [[tokens[i - 1] for i in found.encode(line)] for line in sentences(text)], "pieces")


def words(lang: str = "data/lang", text: str = "data/text/train.txt", out: str = "data/text/train.words.txt") -> None:
    """Write sentences as the words of words.txt: what a grammar of a graph over these pieces is trained on.

    They are normalised as the pieces' model has them; words that graphs keep for themselves (#1) are left out.

    Args:
        lang: folder of 'asl lang sentencepiece'.
        text: sentences, one a line, as they are written.
        out: file to write, line for line; a sentence of which nothing is left is an empty line.
    """
    found = _pieces_of(lang)
    lines = [[w for w in found.normalise(line).split() if not is_special(w)] for line in sentences(text)]
    _write_lines(out, lines, "words")


def _pieces_of(lang: str) -> Pieces:
    found = read_pieces(lang)
    if found is None:
        raise AslError(f"{lang} has no {PIECES_FILE}; make it with 'asl lang sentencepiece'")
    return found


def _write_lines(out: str, lines: List[List[str]], what: str) -> None:
    write_text(out, "".join(" ".join(line) + "\n" for line in lines))
    print(f"{out}: {len(lines)} lines, {sum(map(len, lines))} {what}")


def sentences(path: PathLike) -> List[str]:
    """Return the lines of a text, one blank for whitespace. Raises AslError where it cannot be read."""
    lines = [" ".join(fields) for fields in read_lines(path)]
    return lines[:-1] if lines and not lines[-1] else lines


def words_of(lines: List[str], pieces: Pieces) -> Tuple[List[str], List[str]]:
    """Return the words of normalised sentences, the most frequent first, and those that are names of graphs' symbols."""
    counts = Counter(word for line in lines for word in pieces.normalise(line).split())
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return [w for w in ordered if not is_special(w)], [w for w in ordered if is_special(w)]


def write_pieces(lang_dir: PathLike, pieces: Pieces, words: List[str]) -> None:
    """Write a lang folder of pieces; ``words.txt`` and ``lexicon.txt`` hold ``words``.

    Raises:
        AslError: no words, or a piece that cannot be a token (``<blk>``).
    """
    lang_dir = Path(lang_dir)
    if not words:
        raise AslError("there are no words to make a lang folder of; has the text any?")
    tokens = pieces.tokens
    entries: List[Entry] = [(word, tuple(tokens[i - 1] for i in pieces.encode(word))) for word in words]
    _, num_disambig = disambiguate(entries)
    TokenTable(tokens, num_disambig + 1).write(lang_dir / "tokens.txt")
    write_symbols(lang_dir / "words.txt", [EPSILON, *words, "#0", START, END])
    write_lexicon(lang_dir / "lexicon.txt", entries)
    write_model(lang_dir, pieces)
    write_json(lang_dir / TEXT_FILE, pieces.options)
    (lang_dir / PROBS_FILE).unlink(missing_ok=True)  # of another lexicon
