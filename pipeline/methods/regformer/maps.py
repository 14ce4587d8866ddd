"""Relevance maps: how much each patch looks like a human, or like an object category, and sums over image or box.

P patches of a g x g grid, row by row, T text width, D token width, C object categories, N proposals, I images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class RoleMaps:
    """Maps of one role.

    Attributes:
        logits: tau x, [*, P]; a softmax over patches makes the relevance w.
        log_activation: log sigmoid(a x + b), [*, P].
    """

    logits: Tensor
    log_activation: Tensor

    def rows(self, *index: Tensor) -> RoleMaps:
        """The maps at an index."""
        return RoleMaps(self.logits[index], self.log_activation[index])

    def within(self, mask: Tensor) -> RoleMaps:
        """The maps over the patches of a mask [*, P] alone; elsewhere their relevance is zero."""
        return RoleMaps(self.logits.masked_fill(~mask, -math.inf), self.log_activation)

    @property
    def relevance(self) -> Tensor:
        """w, softmax over the patches, [*, P]."""
        return self.logits.softmax(-1)

    @property
    def log_score(self) -> Tensor:
        """log of sum over patches of w alpha, [*]: S over the image, L over a box."""
        return (self.logits + self.log_activation).logsumexp(-1) - self.log_total

    @property
    def log_total(self) -> Tensor:
        """log of the sum that the relevance is divided by, [*]."""
        return self.logits.logsumexp(-1)


class RelevanceHead(nn.Module):
    """Cosines of patches and sentences in a space of their own, and the maps made of them.

    Args:
        width: D.
        text_width: T.
        relevance_width: K, of the common space.
        temperature, scale, bias: where tau, a and b start.
    """

    def __init__(
        self, *, width: int, text_width: int, relevance_width: int, temperature: float, scale: float, bias: float
    ) -> None:
        super().__init__()
        self.visual_norm, self.text_norm = nn.LayerNorm(width), nn.LayerNorm(text_width)
        self.visual = nn.Linear(width, relevance_width, bias=False)
        self.text = nn.Linear(text_width, relevance_width, bias=False)
        nn.init.normal_(self.visual.weight, std=width**-0.5)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    def cosines(self, tokens: Tensor, sentences: Tensor) -> Tensor:
        """x [I, C, P] of tokens [I, P, D] and sentences [C, T]."""
        visual = functional.normalize(self.visual(self.visual_norm(tokens)), dim=-1)
        text = functional.normalize(self.text(self.text_norm(sentences)), dim=-1)
        return text @ visual.transpose(1, 2)

    def forward(self, tokens: Tensor, sentences: Tensor) -> RoleMaps:
        """Maps [I, C, P]."""
        cosines = self.cosines(tokens, sentences)
        activation = functional.logsigmoid(self.log_scale.exp() * cosines + self.bias)
        return RoleMaps(self.log_temperature.exp() * cosines, activation)


def box_patches(boxes: Tensor, image_sizes: Tensor, grid: int) -> Tensor:
    """Return which patches each box touches, bool [N, grid * grid].

    A box without area, or outside of the image, gets the one patch that holds its center, or that is nearest to it.

    Args:
        boxes: [N, 4] xyxy in pixels.
        image_sizes: [N, 2] (width, height) in pixels.
        grid: patches on each side.
    """
    cells = boxes.double() * grid / image_sizes.double().repeat(1, 2)  # float64: an edge on a border stays there
    low, high = cells[:, :2].floor().clamp(0, grid), cells[:, 2:].ceil().clamp(0, grid)
    center = ((cells[:, :2] + cells[:, 2:]) / 2).floor().clamp(0, grid - 1)
    empty = (low >= high).any(1, keepdim=True)
    low, high = torch.where(empty, center, low), torch.where(empty, center + 1, high)
    steps = torch.arange(grid, device=boxes.device)
    columns, rows = ((low[:, axis, None] <= steps) & (steps < high[:, axis, None]) for axis in (0, 1))  # [N, grid] each
    return (rows[:, :, None] & columns[:, None, :]).flatten(1)
