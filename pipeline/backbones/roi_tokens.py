"""RoIAlign as one sparse linear operator: tokens of all RoIs of a batch, forward and backward as weighted row sums.

RoIAlign is linear in the feature map, and each output bin reads a few of its cells. The operator is therefore a list of
(cell, weight) entries per token; applying it and its transpose are both `embedding_bag`: no loop over images, no
atomics, the same result on every run. Values equal torchvision's `roi_align(aligned=True)`.
"""

from __future__ import annotations

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
    """Pool RoIs to tokens, [R, roi_size * roi_size, C], row-major over bins.

    Args:
        features: [I, C, Hf, Wf].
        boxes: float32 [R, 4] xyxy in feature cells (continuous: the map spans 0..Wf, 0..Hf).
        image: int64 [R], which map each RoI reads.
        roi_size: bins per side.
        sampling_ratio: bilinear samples per bin and side.
    """
    _, channels, height, width = features.shape
    # [I * Hf * Wf, C]; contiguous, which those of a single map are not by themselves: embedding_bag is ten times slower
    # where a cell's channels are not side by side.
    cells = features.permute(0, 2, 3, 1).reshape(-1, channels).contiguous()
    rows, row_weights = _axis_entries(boxes[:, 1], boxes[:, 3], height, roi_size, sampling_ratio)
    columns, column_weights = _axis_entries(boxes[:, 0], boxes[:, 2], width, roi_size, sampling_ratio)
    base = image[:, None, None, None, None] * (height * width)
    # [R, bins_y, bins_x, entries_y, entries_x]: the product of two one-dimensional interpolations.
    index = base + rows[:, :, None, :, None] * width + columns[:, None, :, None, :]
    weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    entries = rows.shape[2] * columns.shape[2]
    tokens: Tensor = _WeightedRowSum.apply(cells, index.reshape(-1, entries), weights.reshape(-1, entries))
    return tokens.view(len(boxes), roi_size * roi_size, channels)


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
    """out[t] = sum_e weights[t, e] * cells[index[t, e]]; the backward pass is the same operation transposed."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(index, weights)
        ctx.num_cells = len(cells)
        return functional.embedding_bag(index, cells, per_sample_weights=weights.to(cells.dtype), mode="sum")

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        index, weights = ctx.saved_tensors
        flat = index.flatten()
        cells, order = torch.sort(flat, stable=True)
        gradient = functional.embedding_bag(
            order // index.shape[1],
            gradients[0].contiguous(),
            torch.searchsorted(cells, torch.arange(ctx.num_cells, device=cells.device)),  # where each cell's begin
            per_sample_weights=weights.flatten()[order].to(gradients[0].dtype),
            mode="sum",
        )
        return gradient, None, None
