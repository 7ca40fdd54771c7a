"""icefall's files of a decoded set: recogs (what was recognised), errs (each error, counted), wer-summary."""

from collections import Counter
from typing import Dict, Iterable, List, Sequence, Tuple

from asl.scoring.refs import Utterance
from asl.scoring.wer import Alignment, Counts, count, rate

_GAP = "*"


def recogs(utterances: Sequence[Utterance]) -> str:
    """``id:<tab>ref=[...]`` and ``id:<tab>hyp=[...]``, two lines an utterance."""
    return "".join(f"{u.id}:\tref={list(u.reference)}\n{u.id}:\thyp={list(u.best)}\n" for u in utterances)


def wer_summary(setting: str, wer: float) -> str:
    """The table of settings and their WER (per cent); one setting a decode folder here."""
    return f"settings\tWER\n{setting}\t{wer:.2f}\n"


def errs(utterances: Sequence[Utterance], alignments: Sequence[Alignment]) -> str:
    """Totals, then per-utterance details, substitutions, deletions, insertions and the per-word table."""
    total = sum((count(a) for a in alignments), Counts())
    details = [f"{u.id}:\t{_details(a)}" for u, a in zip(utterances, alignments)]
    lines = [
        f"%WER = {rate(total.errors, total.ref):.2f}",
        f"Errors: {total.ins} insertions, {total.dele} deletions, {total.sub} substitutions, "
        f"over {total.ref} reference words ({total.corr} correct)",
        "Search below for sections starting with PER-UTT DETAILS:, SUBSTITUTIONS:, DELETIONS:, INSERTIONS:, "
        "PER-WORD STATS:",
        "",
        "PER-UTT DETAILS: corr or (ref->hyp)  ",
        *details,
        *_tables([pair for alignment in alignments for pair in alignment]),
    ]
    return "\n".join(lines) + "\n"


def _details(alignment: Alignment) -> str:
    """The utterance with its errors in place; errors that follow each other are shown as one."""
    groups: List[Tuple[bool, List[str], List[str]]] = []
    for ref, hyp in alignment:
        wrong = ref != hyp
        if not (wrong and groups and groups[-1][0]):
            groups.append((wrong, [], []))
        groups[-1][1].extend([] if ref is None else [ref])
        groups[-1][2].extend([] if hyp is None else [hyp])
    return " ".join(
        f"({' '.join(refs) or _GAP}->{' '.join(hyps) or _GAP})" if wrong else refs[0]
        for wrong, refs, hyps in groups
    )


def _tables(pairs: Iterable[Tuple[str, str]]) -> List[str]:
    seen = Counter(pairs)
    subs = {f"{r} -> {h}": n for (r, h), n in seen.items() if r is not None and h is not None and r != h}
    dels = {r: n for (r, h), n in seen.items() if h is None}
    ins = {h: n for (r, h), n in seen.items() if r is None}
    lines = ["", "SUBSTITUTIONS: count ref -> hyp", *_ranked(subs)]
    lines += ["", "DELETIONS: count ref", *_ranked(dels)]
    lines += ["", "INSERTIONS: count hyp", *_ranked(ins)]
    lines += ["", "PER-WORD STATS: word  corr tot_errs count_in_ref count_in_hyp", *_per_word(seen)]
    return lines


def _ranked(counts: Dict[str, int]) -> List[str]:
    return [f"{n}   {what}" for what, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _per_word(seen: "Counter[Tuple[str, str]]") -> List[str]:
    corr, in_ref, in_hyp = Counter(), Counter(), Counter()
    for (ref, hyp), n in seen.items():
        corr[ref] += n if ref == hyp else 0
        in_ref[ref] += n
        in_hyp[hyp] += n
    # a substitution is an error of both its words, so that a word that is often put in stands out too
    errors = {w: in_ref[w] + in_hyp[w] - 2 * corr[w] for w in {*in_ref, *in_hyp} - {None}}
    return [
        f"{word}   {corr[word]} {n} {in_ref[word]} {in_hyp[word]}"
        for word, n in sorted(errors.items(), key=lambda item: (-item[1], item[0]))
    ]
