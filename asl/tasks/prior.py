"""``asl prior``: how often a CTC network says each token, for ``asl decode --prior-scale``.

Most frames are blanks and rare words are never a network's first thought. Where a grammar says anew how probable
words are, the posteriors are divided by these priors (Miao, Gowayyed and Metze 2015, EESEN: End-to-end speech
recognition using deep RNN models and WFST-based decoding). There the priors are counted in the labels, with blanks
between them; here they are what the network itself says, which knows how long its blanks and its spikes are.
"""

import shlex
import sys
from pathlib import Path
from typing import Any, Dict, Optional

import torch

from asl.common.errors import AslError
from asl.common.files import PathLike, read_json, write_json
from asl.decoding.prior import floored_log
from asl.lang.tokens import BLANK
from asl.tasks import experiment, run_data
from asl.tasks.networks import Networks, check_device, open_networks
from asl.tasks.posteriors import split_outputs

FILE = "prior.json"
_SHOWN = 5  # tokens printed at each end


def prior(
    exp: str,
    data: str = "data",
    split: str = "train",
    checkpoint: Optional[str] = None,
    extra: Optional[str] = None,
    batch_size: int = 64,
    device: str = "cpu",
) -> Dict[str, Any]:
    """Measure the mean posterior of each token over all output frames of a split; writes EXP/prior.json.

    asl decode --prior-scale and asl tune read it. A token with less than one frame in all counts as one frame there.
    Make it again where the network was trained on.

    Args:
        exp: experiment folder of a CTC network.
        data: the recipe's data folder.
        split: which split, not augmented; never test.
        checkpoint: as of asl decode, which has to be given the same.
        extra: as of asl decode.
        batch_size: clips at a time.
        device: cpu, cuda or mps.

    Returns:
        What prior.json holds.

    Raises:
        AslError: the split is a test split, the network is no CTC network, or the split has no frame.
    """
    if run_data.is_test(split):
        raise AslError(f"--split {split}: nothing of test may enter a decoding; take train")
    check_device(device)
    networks = open_networks(exp, data, split, "graph", checkpoint, 1, extra, batch_size)
    total, frames, clips = torch.zeros(len(networks.tokens), dtype=torch.float64), 0, 0
    with torch.no_grad():
        for batch in split_outputs(networks.members, split, device):
            for row, length in zip(batch.log_probs, batch.lengths.tolist()):
                total += row[:length].double().exp().sum(dim=0)
                frames, clips = frames + length, clips + 1
    if not frames:
        raise AslError(f"{split} of {data} has no output frame: there is nothing to measure")
    names = [BLANK, *networks.tokens.units]
    result = {
        "split": split, "checkpoint": networks.loaded[0].checkpoint, "clips": clips, "frames": frames,
        "tokens": dict(zip(names, (total / frames).tolist())),
        "command": shlex.join(["asl", *sys.argv[1:]]), **experiment.git_state(),
    }  # fmt: skip
    path = Path(exp) / FILE
    write_json(path, result)
    _print(path, result)
    return result


def has_prior(exp: PathLike) -> bool:
    """Whether ``asl prior`` was run for an experiment."""
    return (Path(exp) / FILE).is_file()


def read_log_prior(networks: Networks) -> torch.Tensor:
    """Log of the networks' priors, ``(tokens,)``: of several the mean.

    CTC outputs are averaged as logarithms, so that this is each network's output less its own prior, averaged.

    Raises:
        AslError: one has no prior.json, one of other tokens or of another checkpoint, or one that is not whole.
    """
    names = [BLANK, *networks.tokens.units]
    priors = []
    for name, one in zip(networks.exps, networks.loaded):
        path, again = Path(name) / FILE, f"run 'asl prior --exp {name} --checkpoint {one.checkpoint}'"
        if not has_prior(name):
            raise AslError(f"{path} does not exist, and a prior scale above 0 needs it; {again}")
        found = read_json(path)
        if not isinstance(found, dict) or list(found.get("tokens", ())) != names or not found.get("frames"):
            raise AslError(f"{path} is not whole, or not of the tokens of {name}; {again}")
        if found.get("checkpoint") != one.checkpoint:
            raise AslError(f"{path} is of checkpoint {found.get('checkpoint')}, not of {one.checkpoint}; {again}")
        priors.append(floored_log(list(found["tokens"].values()), found["frames"]))
    return torch.stack(priors).mean(dim=0)


def _print(path: Path, result: Dict[str, Any]) -> None:
    shares = dict(result["tokens"])
    print(f"{path}: {result['frames']} frames of {result['clips']} clips of {result['split']}; "
          f"the blank has {100 * shares.pop(BLANK):.2f} %")  # fmt: skip
    ranked = sorted(shares, key=lambda token: -shares[token])
    for what, some in (("most", ranked[:_SHOWN]), ("least", ranked[:-_SHOWN - 1:-1])):
        print(f"{what} frequent: " + ", ".join(f"{token} {100 * shares[token]:.2g} %" for token in some))
    rare = sum(share * result["frames"] < 1 for share in shares.values())
    if rare:
        print(f"{rare} of {len(shares)} tokens have less than one frame in all; they count as one frame")
