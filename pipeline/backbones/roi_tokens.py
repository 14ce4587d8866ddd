"""RoIAlign as one sparse linear operator: tokens of all RoIs of a batch, forward and backward as weighted row sums.

RoIAlign is linear in the feature map, and each output bin reads a few of its cells. The operator is therefore a list of
(cell, weight) entries per token; applying it and its transpose are both `embedding_bag`: no loop over images, no
atomics, the same result on every run. Values equal torchvision's `roi_align(aligned=True)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def map_cells(boxes: Tensor, features: Tensor) -> Tensor:
    """Boxes [R, 4] xyxy in 0..1 of their image, in cells of maps [I, C, Hf, Wf]."""
    extent = boxes.new_empty(4)  # filled in place: the host would wait for the copy of a list to a GPU
    extent[0::2].fill_(features.shape[3])
    extent[1::2].fill_(features.shape[2])
    return boxes * extent


def roi_tokens(features: Tensor, boxes: Tensor, image: Tensor, *, roi_size: int, sampling_ratio: int) -> Tensor:
    """Pool RoIs of features [I, C, Hf, Wf] to tokens, [R, roi_size * roi_size, C]; arguments as `RoiTokens.of`."""
    size = features.shape[2], features.shape[3]
    tokens = RoiTokens.of(size, boxes, image, roi_size=roi_size, sampling_ratio=sampling_ratio)
    pooled: Tensor = _WeightedRowSum.apply(cells_of(features), tokens)
    return pooled


def cells_of(features: Tensor) -> Tensor:
    """Cells [I * Hf * Wf, C] of maps [I, C, Hf, Wf].

    Contiguous, which those of a single map are not by themselves: embedding_bag is ten times slower where a cell's
    channels are not side by side.
    """
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1]).contiguous()


@dataclass(frozen=True)
class RoiTokens:
    """The operator: makes tokens [R, P, C] of cells [N, C], for some RoIs at a time; row-major over bins.

    Attributes:
        index, weights: int64 and float32 [R, P, entries], the cells that each token sums.
        image: int64 [R], which map each RoI reads.
        map_size: cells of a map.
    """

    index: Tensor
    weights: Tensor
    image: Tensor
    map_size: int

    @classmethod
    def of(
        cls, size: tuple[int, int], boxes: Tensor, image: Tensor, *, roi_size: int, sampling_ratio: int
    ) -> RoiTokens:
        """Operator of RoIs.

        Args:
            size: Hf and Wf of the maps.
            boxes: float32 [R, 4] xyxy in feature cells (continuous: the map spans 0..Wf, 0..Hf).
            image: int64 [R], which map each RoI reads.
            roi_size: bins per side.
            sampling_ratio: bilinear samples per bin and side.
        """
        height, width = size
        rows, row_weights = _axis_entries(boxes[:, 1], boxes[:, 3], height, roi_size, sampling_ratio)
        columns, column_weights = _axis_entries(boxes[:, 0], boxes[:, 2], width, roi_size, sampling_ratio)
        base = image[:, None, None, None, None] * (height * width)
        # [R, bins_y, bins_x, entries_y, entries_x]: the product of two one-dimensional interpolations.
        index = base + rows[:, :, None, :, None] * width + columns[:, None, :, None, :]
        weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
        shape = (len(boxes), roi_size**2, rows.shape[2] * columns.shape[2])
        return cls(index.reshape(shape), weights.reshape(shape), image, height * width)

    @property
    def shape(self) -> tuple[int, int]:
        """R and P."""
        return self.index.shape[0], self.index.shape[1]

    def read(self, values: Tensor, rows: slice) -> Tensor:
        """Tokens of some RoIs: out[t] = sum_e weights[t, e] * cells[index[t, e]]."""
        index, weights = self.index[rows].flatten(0, 1), self.weights[rows].flatten(0, 1)
        summed = functional.embedding_bag(index, values, per_sample_weights=weights.to(values.dtype), mode="sum")
        return summed.view(-1, self.shape[1], values.shape[1])

    def add_gradient(self, of_values: Tensor, of_tokens: Tensor, rows: slice) -> None:
        """The same operation transposed, added to the gradient of the cells."""
        low, high = self._read_by(rows, len(of_values))
        cells, order = torch.sort(self.index[rows].flatten(), stable=True)
        of_values[low:high] += functional.embedding_bag(
            order // self.index.shape[2],
            of_tokens.flatten(0, 1).contiguous(),
            torch.searchsorted(cells, torch.arange(low, high, device=cells.device)),  # where each cell's begin
            per_sample_weights=self.weights[rows].flatten()[order].to(of_tokens.dtype),
            mode="sum",
        )

    def _read_by(self, rows: slice, cells: int) -> tuple[int, int]:
        """A range of cells that holds those of some RoIs; all cells on a GPU, for whose numbers the host would wait."""
        image = self.image[rows]
        if image.is_cuda or len(image) in (0, len(self.image)):
            return 0, cells
        return int(image.min()) * self.map_size, (int(image.max()) + 1) * self.map_size


def _axis_entries(low: Tensor, high: Tensor, size: int, bins: int, samples: int) -> tuple[Tensor, Tensor]:
    """Cells and weights of one axis, each [R, bins, 2 * samples]: linear interpolation at the bins' sample points."""
    steps = (torch.arange(bins * samples, device=low.device, dtype=low.dtype) + 0.5) / (bins * samples)
    position = low[:, None] - 0.5 + (high - low)[:, None] * steps  # cell centers lie at integers
    inside = (position >= -1) & (position <= size)
    position = position.clip(0, size - 1)
    lower = position.floor().clip(max=max(size - 2, 0))
    fraction = position - lower
    cells = torch.stack([lower, (lower + 1).clip(max=size - 1)], -1).long()
    weights = torch.stack([1 - fraction, fraction], -1) * inside[..., None] / samples
    shape = (len(low), bins, 2 * samples)
    return cells.view(shape), weights.view(shape)


class _WeightedRowSum(torch.autograd.Function):
    """Tokens of all RoIs from their cells."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, tokens: RoiTokens) -> Tensor:
        ctx.tokens, ctx.cells_like = tokens, (cells.shape, cells.dtype)
        return tokens.read(cells, slice(None))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        shape, dtype = ctx.cells_like
        of_cells = gradients[0].new_zeros(shape, dtype=dtype)
        ctx.tokens.add_gradient(of_cells, gradients[0], slice(None))
        return of_cells, None
