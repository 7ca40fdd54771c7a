"""What trained networks say of clips: one network, or the average over networks and views."""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.landmarks.views import View


class Outputs(NamedTuple):
    """Of a batch: ids, log-probs ``(batch, frames, vocab)`` or ``(batch, classes)``, and their lengths."""

    ids: List[str]
    log_probs: Tensor
    lengths: Tensor


class Member(NamedTuple):
    """One network and the way in which it sees the clips; ``name`` is for messages."""

    name: str
    task: Any
    module: Any
    view: View


def network_outputs(task: Any, loader: Any, device: str = "cpu") -> Iterator[Outputs]:
    """Yield the ``Outputs`` of each batch of ``loader``, on the CPU."""
    for batch in loader:
        task.check_features(batch["features"])
        on_device = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
        log_probs, lengths = task.log_probs(on_device)
        yield Outputs(batch["ids"], log_probs.cpu(), lengths.cpu())


def member_outputs(member: Member, split: str, device: str) -> Iterator[Outputs]:
    """The outputs of one network for one view of every clip of a split."""
    member.module.pipeline.view = member.view
    return network_outputs(member.task.to(device), member.module.loader(split), device)


def split_outputs(members: Sequence[Member], split: str, device: str) -> Iterator[Outputs]:
    """The outputs of the only member batch by batch; of several, averaged, once all of them are there.

    A softmax's probabilities are averaged. CTC's frames are averaged as log-probabilities and normalised
    anew; the mean of spikes at other frames would be no spike: members must agree in every clip's length.

    Raises:
        AslError: members give one clip outputs of different length or width; names clip and members.
    """
    if len(members) == 1:
        yield from member_outputs(members[0], split, device)
        return
    batches: List[List[str]] = []
    sums: Dict[str, Tensor] = {}
    lengths: Dict[str, int] = {}
    for member in members:
        first = not batches or member is members[0]
        for outputs in member_outputs(member, split, device):
            if first:
                batches.append(outputs.ids)
            for clip, row, length in zip(outputs.ids, outputs.log_probs, outputs.lengths.tolist()):
                row = row.float().exp() if row.dim() == 1 else row[:length].float()
                if first:
                    sums[clip], lengths[clip] = row.clone(), length
                elif row.shape != sums[clip].shape:
                    raise AslError(
                        f"clip {clip}: {members[0].name} gives outputs of shape {tuple(sums[clip].shape)}, "
                        f"{member.name} of shape {tuple(row.shape)}: they cannot be averaged frame by frame; "
                        "decode fewer views, or experiments that read clips alike"
                    )
                else:
                    sums[clip] += row
    for ids in batches:
        means = [sums.pop(clip) / len(members) for clip in ids]
        if means[0].dim() == 1:
            log_probs = torch.stack(means).log()
        else:
            padded = torch.nn.utils.rnn.pad_sequence(means, batch_first=True)
            log_probs = torch.log_softmax(padded, dim=-1)
        yield Outputs(ids, log_probs, torch.tensor([lengths[clip] for clip in ids]))


def output_shifts(module: Any, split: str, task: Any) -> Optional[Dict[str, float]]:
    """Seconds for one output frame of each cut; None where the pipeline stretches or trims clips."""
    from asl.data.storage import cut_fps

    if module.pipeline.frames is not None or module.pipeline.trim:
        return None
    subsampling = getattr(task, "subsampling", 1)
    return {cut.id: float(subsampling / cut_fps(cut)) for cut in module.cuts(split)}
