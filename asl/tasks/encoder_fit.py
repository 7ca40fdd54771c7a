"""``asl check encoder``: whether training can start from what pre-training will give, before hours went into it."""

from typing import Dict, Optional

from torch import Tensor

from asl.common.errors import AslError
from asl.tasks import config as configs
from asl.tasks.train import completed
from asl.tasks.weights import differences

_ENCODER = "encoder."


def check_encoder(pretrain_config: str, config: str, data: str = "data", layout: Optional[str] = None) -> None:
    """Check that the encoder of one configuration can start from that of another, as --init-only encoder takes it.

    Args:
        pretrain_config: of the run whose encoder is to be taken.
        config: of the run that is to start from it.
        data: the data folder of both.
        layout: of both pipelines; None: as they say.

    Raises:
        AslError: it cannot: the parameters that differ are named, with both shapes; or one of the two is no
            configuration of these data.
    """
    there, here = (_encoder(path, data, layout) for path in (pretrain_config, config))
    problems = differences(here, there)
    if problems:
        raise AslError(f"the encoder of {pretrain_config} does not fit the one of {config}: {problems}. Give both the "
                       "same task.init_args.encoder and pipeline")  # fmt: skip
    numbers = sum(tensor.numel() for tensor in here.values())
    print(f"the encoder of {pretrain_config} fits the one of {config}: {len(here)} tensors, {numbers:,} numbers")


def _encoder(path: str, data: str, layout: Optional[str]) -> Dict[str, Tensor]:
    """The encoder's parameters, freshly made, of a configuration."""
    words = ["--config", path, "--data.data_dir", data]
    config = configs.parse(words if layout is None else [*words, "--data.pipeline.layout", layout])
    completed(config)
    weights = configs.instantiate_task(config).state_dict()
    return {name: tensor for name, tensor in weights.items() if name.startswith(_ENCODER)}
