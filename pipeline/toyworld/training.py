"""What all recipes train with: shuffled batches, a one-cycle schedule and clipped gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import trange

from pipeline.core.seeding import torch_generator


@dataclass(frozen=True)
class Recipe:
    """Settings that all recipes have."""

    warm_up: ClassVar[float] = 0.15  # share of the steps until the learning rate's peak

    seed: int
    num_images: int
    num_quality_images: int
    epochs: int
    batch_size: int
    learning_rate: float  # peak of a one-cycle schedule
    weight_decay: float


def train_epochs(
    name: str,
    recipe: Recipe,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[Tensor], Tensor],
    *,
    max_norm: float,
) -> None:
    """Train in place.

    Args:
        name: of the recipe, for its random stream and the progress bar.
        loss_of: the loss of a batch, given the numbers of its images; images that fill no batch wait an epoch.
        max_norm: of the gradient.
    """
    steps = recipe.num_images // recipe.batch_size
    schedule = OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps * recipe.epochs, pct_start=recipe.warm_up)
    order = torch_generator(recipe.seed, "toyworld", name, "order")
    for epoch in range(recipe.epochs):
        shuffled = torch.randperm(recipe.num_images, generator=order)
        progress = trange(steps, desc=f"{name} epoch {epoch + 1}/{recipe.epochs}", disable=None)
        for step in progress:
            loss = loss_of(shuffled[step * recipe.batch_size : (step + 1) * recipe.batch_size])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            schedule.step()
            if step % 10 == 0:
                progress.set_postfix(loss=f"{loss.item():.3f}")
