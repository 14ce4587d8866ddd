"""Reductions over the pairs of each image, without a loop over images."""

from __future__ import annotations

import torch
from torch import Tensor


def segment_sizes(segment: Tensor, num_segments: int) -> Tensor:
    """Number of each segment's rows: segment [M] to int64 [num_segments]."""
    return segment.new_zeros(num_segments).index_add(0, segment, torch.ones_like(segment))


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


def segment_rank(values: Tensor, segment: Tensor, num_segments: int) -> Tensor:
    """Rank of each value within its segment and column: values [M, A], segment [M] to int64 [M, A].

    The highest has rank 0; among equals, the first row is first.
    """
    by_value = torch.argsort(values, dim=0, descending=True, stable=True)
    by_segment = torch.argsort(segment[by_value], dim=0, stable=True)
    order = by_value.gather(0, by_segment)  # rows by segment, then falling value
    sizes = segment_sizes(segment, num_segments)
    start = (sizes.cumsum(0) - sizes)[segment.sort().values]
    position = torch.arange(len(values), device=values.device) - start
    return torch.empty_like(order).scatter_(0, order, position[:, None].expand_as(order))
