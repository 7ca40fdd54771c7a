"""What is written in a cut -> token ids; and whether its frames suffice for them."""

from collections import Counter
from typing import Any, Dict, Iterable, List

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike
from asl.lang.folder import read_lang
from asl.lang.sentencepiece import read_pieces
from asl.lang.tokens import TRANSITION


class CutText:
    """Token ids of the text of cuts, by the lexicon of a lang folder, or by its sentencepiece model where it has one.

    Of several pronunciations a word has its most probable one, the first in the file where they are alike.
    Where the lang folder has a token for the movement between signs, it stands between two words.

    Args:
        lang_dir: ``data/lang``.
    """

    def __init__(self, lang_dir: PathLike) -> None:
        lang = read_lang(lang_dir)
        self.lang_dir = lang_dir
        self.pieces = read_pieces(lang_dir)
        self._ids: Dict[str, List[int]] = {}
        self._between = [lang.tokens.id(TRANSITION)] if lang.has_transition else []
        best: Dict[str, float] = {}
        for (word, units), prob in zip(lang.entries, lang.probs or [1.0] * len(lang.entries)):
            if prob > best.get(word, 0.0):
                best[word], self._ids[word] = prob, lang.tokens.encode(units)

    @property
    def spelling(self) -> Dict[str, List[int]]:
        """The token ids of each word of the lexicon."""
        return self._ids

    def tokens(self, cut: Any, training: bool) -> List[int]:
        """Return the ids of the text of ``cut``.

        A word that the lexicon lacks is an error in training. Elsewhere it is passed over here (the loss does
        not see it); scoring goes by the text. ``unknown_words`` counts them. Pieces spell any word, but there must
        be one to learn.

        Raises:
            AslError: an unknown word in training (with pieces: a text of which nothing is left); names cut and word.
        """
        if self.pieces is not None:
            return self._cut_to_pieces(cut, training)
        ids: List[int] = []
        for word in text_of(cut).split():
            if word in self._ids:
                ids += (self._between if ids else []) + self._ids[word]
            elif training:
                raise AslError(
                    f"cut {cut.id}: word {word!r} is not in {self.lang_dir}/lexicon.txt"
                    f"{did_you_mean(word, self._ids)}; run stage 1 again"
                )
        return ids

    def _cut_to_pieces(self, cut: Any, training: bool) -> List[int]:
        text = text_of(cut)
        ids = self.pieces.encode(text)
        if training and not ids:
            raise AslError(
                f"cut {cut.id}: nothing is left of its sentence {text!r} ({self.pieces.describe()}); leave the clip "
                "out of the training split, or give it its sentence"
            )
        return ids

    def unknown_words(self, cuts: Iterable[Any]) -> Counter:
        """Return how often each word that the lexicon lacks stands in the (normalised) texts of ``cuts``."""
        normalise = self.pieces.normalise if self.pieces else str
        return Counter(word for cut in cuts for word in normalise(text_of(cut)).split() if word not in self._ids)


def text_of(cut: Any) -> str:
    """Return the texts of all supervisions of a cut, joined by blanks."""
    return " ".join(s.text for s in cut.supervisions if s.text)


def speaker_of(cut: Any) -> Any:
    """Return the speaker of a cut, or None."""
    return next((s.speaker for s in cut.supervisions if s.speaker is not None), None)


def frames_needed(tokens: List[int]) -> int:
    """Return the fewest frames that CTC needs: one a token, and a blank between two equal neighbours."""
    return len(tokens) + sum(a == b for a, b in zip(tokens, tokens[1:]))
