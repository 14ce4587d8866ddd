"""Low-rank changes of matrices (LoRA, Hu et al., ICLR 2022)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_FACTOR = 2.0  # alpha / rank, as RegFormer has it: 32 / 16
_IN_ROWS = ("query", "key", "value")  # of an attention's input matrix, in order
TARGETS = (*_IN_ROWS, "output")  # the matrices of an attention that can be changed


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


def changed_attention(attention: nn.MultiheadAttention, changes: nn.ModuleDict, layer: int) -> dict[str, Tensor]:
    """Matrices of a layer's attention with their changes, by parameter name; only those that have any.

    Args:
        changes: `LowRank` by "LAYER_TARGET"; of query, key and value all or none.
    """
    weights = {}
    if f"{layer}_{_IN_ROWS[0]}" in changes:
        change = torch.cat([changes[f"{layer}_{target}"]() for target in _IN_ROWS])
        weights["in_proj_weight"] = attention.in_proj_weight + change
    if f"{layer}_output" in changes:
        weights["out_proj.weight"] = attention.out_proj.weight + changes[f"{layer}_output"]()
    return weights
