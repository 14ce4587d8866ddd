"""AdamW with its parameter groups and the step schedule (sec. 4.2)."""

from __future__ import annotations

import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from pipeline.methods.base import HoiNetwork
from pipeline.training.params import TrainParams


def build_optimizer(network: HoiNetwork, params: TrainParams) -> AdamW:
    """AdamW over two groups: the pretrained backbone at its own learning rate, everything else at the other.

    Biases, norms, scales and the knowledge bank are not decayed: they are no weights of a layer. On a GPU the update is
    one fused kernel.
    """
    from_scratch = tuple(f"backbone.{prefix}" for prefix in network.backbone.from_scratch)
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            pretrained = name.startswith("backbone.") and not name.startswith(from_scratch)
            key = (pretrained, parameter.ndim >= 2 and name not in network.not_decayed)
            groups.setdefault(key, []).append(parameter)
    return AdamW(
        [
            {
                "params": members,
                "lr": params.backbone_learning_rate if in_backbone else params.learning_rate,
                "weight_decay": params.weight_decay if decayed else 0.0,
            }
            for (in_backbone, decayed), members in sorted(groups.items())
        ],
        fused=True if all(parameter.is_cuda for parameter in network.parameters()) else None,
    )


def build_schedule(optimizer: torch.optim.Optimizer, params: TrainParams, iterations: int) -> LambdaLR:
    """Linear warm-up, then a factor of `decay_factor` at each fraction in `decay_at` of all iterations."""
    steps = [round(fraction * iterations) for fraction in params.decay_at]

    def factor(iteration: int) -> float:
        warmup = min(1.0, (iteration + 1) / params.warmup_iterations) if params.warmup_iterations else 1.0
        return warmup * params.decay_factor ** sum(iteration >= step for step in steps)

    return LambdaLR(optimizer, factor)
