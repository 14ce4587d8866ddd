"""How a network lies and runs on its device (`execution`): memory format, compilation, recomputation. Never what."""

from __future__ import annotations

import torch

from pipeline.config.params import ExecutionParams
from pipeline.core.device import place
from pipeline.core.errors import ParamError
from pipeline.methods.base import HoiNetwork


def place_network(network: HoiNetwork, execution: ExecutionParams, device: torch.device, *, moving_norms: bool) -> None:
    """Move a network to its device, in place; names and values of its parameters stay.

    Args:
        moving_norms: batch norms take their statistics from the batch: a second forward pass would move them twice.

    Raises:
        ParamError: recomputation asked for beside moving norms.
    """
    if execution.gradient_checkpointing and moving_norms:
        raise ParamError(
            "execution.gradient_checkpointing is true and train.freeze_batch_norm false: the second forward pass would "
            "move the statistics again; turn one of them round"
        )
    place(network, device, channels_last=execution.channels_last)
    network.backbone.recompute = execution.gradient_checkpointing
    if execution.compile and device.type == "cuda":
        network.backbone.compile()
