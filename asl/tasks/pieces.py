"""What tokens spell: words, or pieces of written language that are put together again."""

from dataclasses import replace
from typing import List, Optional, Sequence

from asl.common.files import PathLike
from asl.decoding.hypothesis import Hypothesis
from asl.lang.sentencepiece import Pieces, read_pieces
from asl.lang.tokens import TokenTable


class Spelling:
    """Tokens -> words.

    Args:
        tokens: the network's outputs.
        pieces: where its tokens are sentencepieces; None: a token is a word.
    """

    def __init__(self, tokens: TokenTable, pieces: Optional[Pieces] = None) -> None:
        self.tokens, self.pieces = tokens, pieces

    @classmethod
    def read(cls, lang_dir: PathLike, tokens: TokenTable) -> "Spelling":
        """That of a lang folder; AslError as of ``read_pieces``."""
        return cls(tokens, read_pieces(lang_dir))

    def words(self, ids: Sequence[int]) -> List[str]:
        """The words of token ids, detokenised."""
        return self.tokens.decode(ids) if self.pieces is None else self.pieces.decode(ids).split()

    def detokenised(self, nbests: Sequence[Sequence[Hypothesis]]) -> List[List[Hypothesis]]:
        """Hypotheses whose words are tokens -> whose words are words.

        Of several that are spelt alike the best stays. Pieces lose their times and confidences: they are of pieces,
        and a piece of a translation is no sign.
        """
        if self.pieces is None:
            return [list(nbest) for nbest in nbests]
        return [
            self.different(
                [
                    replace(one, words=self.words(self.tokens.encode(one.words)), times=None, word_confidences=None)
                    for one in nbest
                ]
            )
            for nbest in nbests
        ]

    def different(self, nbest: Sequence[Hypothesis]) -> List[Hypothesis]:
        """The first of those with the same words: one text may be cut into pieces in several ways."""
        first = {}
        for one in nbest:
            first.setdefault(tuple(one.words), one)
        return list(first.values())
