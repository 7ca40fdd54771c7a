"""What is written in a cut -> token ids; and whether its frames suffice for them."""

from typing import Any, Dict, List

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike
from asl.lang.folder import read_lang


class CutText:
    """Token ids of the text of cuts, by the lexicon of a lang folder (a word's first entry in it).

    Args:
        lang_dir: ``data/lang``.
    """

    def __init__(self, lang_dir: PathLike) -> None:
        lang = read_lang(lang_dir)
        self.lang_dir = lang_dir
        self._ids: Dict[str, List[int]] = {}
        for word, units in lang.entries:
            self._ids.setdefault(word, lang.tokens.encode(units))

    def tokens(self, cut: Any, training: bool) -> List[int]:
        """Return the ids of the text of ``cut``.

        A word that the lexicon lacks is an error in training. Elsewhere it is passed over here (the loss does
        not see it); scoring goes by the text.

        Raises:
            AslError: an unknown word in training; names cut and word.
        """
        ids: List[int] = []
        for word in text_of(cut).split():
            if word in self._ids:
                ids += self._ids[word]
            elif training:
                raise AslError(
                    f"cut {cut.id}: word {word!r} is not in {self.lang_dir}/lexicon.txt"
                    f"{did_you_mean(word, self._ids)}; run stage 1 again"
                )
        return ids


def text_of(cut: Any) -> str:
    """Return the texts of all supervisions of a cut, joined by blanks."""
    return " ".join(s.text for s in cut.supervisions if s.text)


def speaker_of(cut: Any) -> Any:
    """Return the speaker of a cut, or None."""
    return next((s.speaker for s in cut.supervisions if s.speaker is not None), None)


def frames_needed(tokens: List[int]) -> int:
    """Return the fewest frames that CTC needs: one a token, and a blank between two equal neighbours."""
    return len(tokens) + sum(a == b for a, b in zip(tokens, tokens[1:]))
