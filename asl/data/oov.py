"""``asl lexicon oov``: which words of a split no graph can recognise, since the lexicon lacks them."""

from pathlib import Path
from typing import Optional

from asl.data.storage import open_cuts
from asl.data.text import CutText, text_of


def out_of_vocabulary(data: str = "data", split: str = "val", lang: Optional[str] = None, show: int = 20) -> None:
    """Count and list the words of a split that the lexicon lacks.

    The vocabulary is closed: such a word is never recognised, each time that it stands in a reference is an error.
    In training it is refused (stage 1 puts every training word into the lexicon); the validation loss passes it over.

    Args:
        data: the recipe's data folder.
        split: which split.
        lang: folder with the lexicon; default: DATA/lang.
        show: how many of the words to list at most, the most frequent first.
    """
    folder = Path(lang) if lang else Path(data) / "lang"
    cuts = open_cuts(Path(data), split)
    unknown = CutText(folder).unknown_words(cuts)
    running = sum(len(text_of(cut).split()) for cut in cuts)
    times = sum(unknown.values())
    share = f"{100 * times / running:.2f} %" if running else "0 %"
    print(f"{split}: {len(unknown)} words are not in {folder / 'lexicon.txt'}; they stand {times} times in "
          f"{running} running words ({share})")  # fmt: skip
    for word, count in sorted(unknown.items(), key=lambda item: (-item[1], item[0]))[:show]:
        print(f"  {count:4d} {word}")
    if len(unknown) > show:
        print(f"  and {len(unknown) - show} more (--show {len(unknown)})")
