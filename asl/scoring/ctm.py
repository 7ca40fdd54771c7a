"""``asl score ctm``: anyone's hypotheses as a CTM against an STM, or a split's references."""

from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np

from asl.common.errors import AslError
from asl.common.files import write_json, write_text
from asl.common.transcripts import read_ctm, read_stm
from asl.scoring import wer
from asl.scoring.choices import Case, Choices, Cleanup, CleanupOf, Missing, Repeats
from asl.scoring.errs import errs
from asl.scoring.intervals import REPLICATIONS
from asl.scoring.refs import join, read_references
from asl.scoring.result import clips_hash, finite


def score_ctm(
    ctm: str,
    stm: Optional[str] = None,
    data: Optional[str] = None,
    split: str = "val",
    cleanup: Cleanup = "none",
    cleanup_of: CleanupOf = "hypotheses",
    repeats: Repeats = "keep",
    case: Case = "keep",
    missing: Missing = "deletions",
    costs: wer.Costs = "sclite",
    out: Optional[str] = None,
    replications: int = REPLICATIONS,
    seed: int = 0,
) -> Dict[str, Any]:
    """Score a CTM, our own or a published one, and say by which choices.

    Utterances are joined by id. Substitutions, deletions and insertions are those of ``sctk sclite``, for
    which the defaults are chosen (with --case fold: as without its option -s).

    Args:
        ctm: hypotheses, "id channel begin duration word [confidence]" a line.
        stm: references, "id channel speaker begin end words" a line.
        data: instead of an STM: the recipe's data folder.
        split: of the data folder: train, val or test.
        cleanup: none; phoenix2014, the owner's rules on each word by itself; phoenix2014-sentence, also those
            about neighbours.
        cleanup_of: what is cleaned: hypotheses, or both.
        repeats: leave one of words that follow themselves: in the hypotheses, or in both; or keep them.
        case: keep, or fold: no difference between REGEN and Regen.
        missing: an utterance without a word in the CTM is all deletions, or an error.
        costs: sclite counts 4 for a substitution and 3 for the others; kaldi 1 for all.
        out: folder for result.json and errs.txt; none: only printed.
        replications: how often utterances are drawn for the 95 % interval.
        seed: of those draws.

    Returns:
        ``n``, ``n_missing``, ``scoring`` (the choices), ``counts``, ``metrics`` (per cent) and ``clips``.

    Raises:
        AslError: a file is absent or a line of it wrong, an id of the CTM is not in the references, or
            utterances are missing and that is to be an error.
    """
    if (stm is None) == (data is None):
        raise AslError("give the references: --stm FILE or --data DIR (and --split), one of the two")
    choices = Choices(cleanup, cleanup_of, repeats, case, missing, costs)
    references = read_stm(stm) if stm is not None else read_references(data, split)
    hypotheses = {key: (words,) for key, words in read_ctm(ctm).items()}
    utterances = choices.apply(join(references, hypotheses, ctm, Path(stm).name if stm else split))
    alignments = wer.align_all(utterances, costs)
    counts = [wer.count(alignment) for alignment in alignments]
    errors, lengths = np.array([c.errors for c in counts]), np.array([c.ref for c in counts])
    result = {
        "ctm": ctm,
        "references": stm if stm is not None else f"{data}/{split}",
        "n": len(utterances),
        "n_missing": sum(not u.readings for u in utterances),
        "scoring": choices.as_dict(),
        "counts": wer.total(counts),
        "metrics": finite(wer.error_rates(errors, lengths, replications, seed)),
        "clips": clips_hash(utterances),
    }
    if out is not None:
        write_json(Path(out) / "result.json", result)
        write_text(Path(out) / "errs.txt", errs(utterances, alignments))
    print(f"{ctm}: {choices.text()}")
    print(wer.kaldi_lines(counts, result["n_missing"]), end="")
    print(wer.sclite_line(counts))
    low, high = result["metrics"]["wer"]["low"], result["metrics"]["wer"]["high"]
    if low is not None and high is not None:
        print(f"95 % interval of the WER: {low:.2f} to {high:.2f}")
    return result
