"""Reductions over the pairs of each image, without a loop over images."""

from __future__ import annotations

import torch
from torch import Tensor


def segment_max(values: Tensor, segment: Tensor, num_segments: int) -> Tensor:
    """Maximum over each segment's rows: values [M, A], segment [M] to [num_segments, A]; -inf where it has none."""
    empty = values.new_full((num_segments, values.shape[1]), -torch.inf)
    return empty.scatter_reduce(0, segment[:, None].expand_as(values), values, "amax")


def segment_sum(values: Tensor, segment: Tensor, num_segments: int) -> Tensor:
    """Sum over each segment's rows: values [M, A], segment [M] to [num_segments, A]; zero where it has none."""
    return values.new_zeros(num_segments, values.shape[1]).index_add(0, segment, values)


def segment_log_softmax(values: Tensor, segment: Tensor, num_segments: int) -> Tensor:
    """Logarithm of the softmax over each segment's rows, by column: values [M, A], segment [M] to [M, A]."""
    shifted = values - segment_max(values.detach(), segment, num_segments)[segment]
    return shifted - segment_sum(shifted.exp(), segment, num_segments).log()[segment]


def segment_rank(values: Tensor, segment: Tensor, offsets: Tensor) -> Tensor:
    """Rank of each value within its segment and column, int64 [M, A], 0 for the highest; first row first among equals.

    Args:
        values: [M, A].
        segment: int64 [M].
        offsets: int64 [num_segments + 1] of the segments' rows, once these are sorted by segment.
    """
    by_value = torch.argsort(values, dim=0, descending=True, stable=True)
    by_segment = torch.argsort(segment[by_value], dim=0, stable=True)
    order = by_value.gather(0, by_segment)  # rows by segment, then falling value
    position = torch.arange(len(values), device=values.device)[:, None] - offsets[segment.sort().values][:, None]
    return torch.empty_like(order).scatter_(0, order, position.expand_as(order))
