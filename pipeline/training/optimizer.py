"""Adam with its parameter groups, and the schedule of the learning rate (sec. 4.2)."""

from __future__ import annotations

import math

import torch
from torch.optim import Adam, AdamW
from torch.optim.lr_scheduler import LambdaLR

from pipeline.methods.base import HoiNetwork
from pipeline.training.params import TrainParams


def build_optimizer(network: HoiNetwork, params: TrainParams) -> Adam:
    """AdamW, or Adam, over two groups: the pretrained backbone at its own learning rate, everything else at the other.

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
    kind = {"adamw": AdamW, "adam": Adam}[params.optimizer]
    return kind(
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
    """Linear warm-up, then the learning rate falls.

    By steps: a factor of `decay_factor` at each fraction in `decay_at` of all iterations. By half a cosine: from the
    end of the warm-up to `final_factor` at the last iteration.
    """
    steps = [round(fraction * iterations) for fraction in params.decay_at]
    warmup = params.warmup_iterations

    def by_steps(iteration: int) -> float:
        return params.decay_factor ** sum(iteration >= step for step in steps)

    def by_cosine(iteration: int) -> float:
        done = max(0, iteration - warmup) / max(1, iterations - 1 - warmup)
        return params.final_factor + (1 - params.final_factor) * (1 + math.cos(math.pi * done)) / 2

    falling = {"steps": by_steps, "cosine": by_cosine}[params.schedule]
    return LambdaLR(optimizer, lambda done: (min(1.0, (done + 1) / warmup) if warmup else 1.0) * falling(done))
