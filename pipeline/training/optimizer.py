"""Adam with its parameter groups, and the schedule of the learning rate (sec. 4.2)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from pipeline.methods.base import HoiNetwork
from pipeline.training.params import TrainParams

_BOXES = "boxes."  # before the names of the moments that belong to batches with boxes


class SeparateMomentsAdam(Adam):
    """Adam with moments and step counts of its own for each kind of supervision; the weights are shared.

    So the momentum of one kind never moves the weights by gradients of the other (MX-HOI's momentum-independent
    learning). Batches of one kind alone make it plain Adam.

    Attributes:
        has_boxes: whether the batch of the next step has boxes.
    """

    has_boxes = False

    def step(self, closure: Any = None) -> Any:
        """Take a step with the moments of the batch's kind."""
        kept = {parameter: self._moments(state, not self.has_boxes) for parameter, state in self.state.items()}
        for parameter, state in self.state.items():
            own = self._moments(state, self.has_boxes)
            self.state[parameter] = {name.removeprefix(_BOXES): value for name, value in own.items()}
        done = super().step(closure)
        prefix = _BOXES if self.has_boxes else ""
        for parameter, state in self.state.items():
            own = {prefix + name: value for name, value in state.items()}
            self.state[parameter] = own | kept.get(parameter, {})
        return done

    @staticmethod
    def _moments(state: dict[str, Any], has_boxes: bool) -> dict[str, Any]:
        return {name: value for name, value in state.items() if name.startswith(_BOXES) == has_boxes}


def build_optimizer(network: HoiNetwork, params: TrainParams, *, separate_moments: bool = False) -> Adam:
    """AdamW, or Adam, over two groups: the pretrained backbone at its own learning rate, everything else at the other.

    Biases, norms, scales and the knowledge bank are not decayed: they are no weights of a layer. On a GPU the update is
    one fused kernel.

    Args:
        separate_moments: for each kind of supervision, `SeparateMomentsAdam`.
    """
    from_scratch = tuple(f"backbone.{prefix}" for prefix in network.backbone.from_scratch)
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            pretrained = name.startswith("backbone.") and not name.startswith(from_scratch)
            key = (pretrained, parameter.ndim >= 2 and name not in network.not_decayed)
            groups.setdefault(key, []).append(parameter)
    return (SeparateMomentsAdam if separate_moments else Adam)(
        [
            {
                "params": members,
                "lr": params.backbone_learning_rate if in_backbone else params.learning_rate,
                "weight_decay": params.weight_decay if decayed else 0.0,
            }
            for (in_backbone, decayed), members in sorted(groups.items())
        ],
        decoupled_weight_decay=params.optimizer == "adamw",
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


def learning_rate(schedule: LambdaLR, iteration: int) -> float:
    """The rate of what is not pretrained, at an iteration."""
    return float(schedule.base_lrs[0] * schedule.lr_lambdas[0](iteration))
