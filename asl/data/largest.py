"""Which batches of an epoch need most memory."""

from typing import Any, Callable, Dict, Iterable, List, Tuple

from asl.data.sampler import Batch


def largest(batches: Iterable[Batch], count_tokens: Callable[[Any], int]) -> List[Tuple[str, Batch]]:
    """Return the batch with most frames and the one with most frames times tokens, padding counted.

    Activations go by the first, the lattices of CTC and transducer losses by the second. One batch that is both
    is returned once.

    Args:
        batches: of an epoch, this process's; read once, no landmarks are.
        count_tokens: tokens of a cut.

    Returns:
        Pairs of what is largest and the batch.
    """
    best: Dict[str, Tuple[Tuple[int, int], Batch]] = {}
    for batch in batches:
        frames = len(batch.cuts) * max(cut.num_frames for cut in batch.cuts)
        tokens = max(count_tokens(cut) for cut in batch.cuts)
        for name, size in (("frames", (frames, tokens)), ("frames times tokens", (frames * tokens, frames))):
            if name not in best or size > best[name][0]:
                best[name] = (size, batch)
    found: Dict[int, Tuple[str, Batch]] = {}
    for name, (_, batch) in best.items():
        before = found.get(batch.index)
        found[batch.index] = (f"{before[0]}, and by {name}" if before else f"by {name}", batch)
    return list(found.values())
