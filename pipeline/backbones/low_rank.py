"""Low-rank changes of matrices (LoRA, Hu et al., ICLR 2022)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_FACTOR = 2.0  # alpha / rank, as RegFormer has it: 32 / 16


class LowRank(nn.Module):
    """A change B A of a square matrix; zero at first."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(rank, width))  # A
        self.up = nn.Parameter(torch.zeros(width, rank))  # B
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self) -> Tensor:
        """The change of the matrix, [width, width]."""
        return _FACTOR * self.up @ self.down
