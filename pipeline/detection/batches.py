"""Batches for a detector: images of one padded size, so that none is padded more than it would be alone.

A torchvision detector resizes each image and pads it to a multiple of 32 pixels, then further to the largest of its
batch. Padding moves its results: anchors cover the padded image, and convolutions see the border elsewhere. In batches
of mixed sizes an image's boxes and scores would depend on the images beside it; in batches of one padded size only the
noise of sums in another order is left. `python -m benchmarks.detect_infer --annotations FILE` prints the share of
padded pixels either way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform


def batches_of_one_size(model: nn.Module, sizes: Sequence[tuple[int, int]], batch_size: int) -> list[list[int]]:
    """Cut images into batches of one padded size: every row of `sizes` (width, height) once, in order within a size."""
    groups: dict[tuple[int, int], list[int]] = {}
    for row, size in enumerate(sizes):
        groups.setdefault(padded_size(model, size), []).append(row)
    return [rows[low : low + batch_size] for rows in groups.values() for low in range(0, len(rows), batch_size)]


def padded_size(model: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of an image of this size once the detector has resized and padded it, alone in its batch."""
    transform = getattr(model, "transform", None)
    if not isinstance(transform, GeneralizedRCNNTransform):
        return size
    width, height = resized_size(model, size)
    stride = transform.size_divisible
    return math.ceil(width / stride) * stride, math.ceil(height / stride) * stride


def resized_size(model: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of an image of this size once the detector has resized it."""
    transform = getattr(model, "transform", None)
    return _resized(transform, size) if isinstance(transform, GeneralizedRCNNTransform) else size


@lru_cache(maxsize=65536)
def _resized(transform: GeneralizedRCNNTransform, size: tuple[int, int]) -> tuple[int, int]:
    """Size by torchvision's own code; a meta tensor has a shape and no pixels."""
    image, _ = transform.resize(torch.empty(3, size[1], size[0], device="meta"))
    return image.shape[2], image.shape[1]
