"""What the graph of an image is made of: geometry of its boxes (nodes) and of human-to-other pairs (edges).

N nodes, M edges; boxes xyxy in original pixels, y downwards. No feature is standardized.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pipeline.core.boxes import box_iou

Sectors = Literal["published", "intended"]
NODE_TERMS, EDGE_TERMS = 3, 10
# Pixels. Extents are divided by: a sliver would give terms in the thousands, which no other term is scaled to.
_SMALLEST_EXTENT = 1.0


@dataclass(frozen=True)
class Graph:
    """Input features of the graphs of a batch.

    Attributes:
        maps: float32 [N, E, s, s], the backbone's RoI-aligned maps.
        nodes: float32 [N, 3 + C], geometry and class probabilities.
        edges: float32 [M, 10], geometry.
    """

    maps: Tensor
    nodes: Tensor
    edges: Tensor

    @property
    def leaves(self) -> tuple[Tensor, Tensor, Tensor]:
        """All features."""
        return self.maps, self.nodes, self.edges


def node_geometry(boxes: Tensor, image_sizes: Tensor) -> Tensor:
    """Return h / w, w / h and w h / (W H), float32 [N, 3]. Extents below one pixel count as one pixel.

    Args:
        boxes: [N, 4].
        image_sizes: [N, 2] (W, H) in pixels.
    """
    width, height = _extent(boxes).unbind(1)
    return torch.stack([height / width, width / height, width * height / image_sizes.prod(1)], 1)


def edge_geometry(human_boxes: Tensor, other_boxes: Tensor, image_sizes: Tensor, sectors: Sectors) -> Tensor:
    """Return the ten terms of each edge, float32 [M, 10]. Extents below one pixel count as one pixel.

    With d from the center of the human to that of the other, at angle t: |d| / sqrt(W H), sin t, cos t, four sector
    indicators, IoU, area of the human over that of the other, and the inverse.

    Args:
        human_boxes, other_boxes: [M, 4].
        image_sizes: [M, 2] (W, H) in pixels.
        sectors: "intended" gives 45..135, 135..225, 225..315 and 315..45 degrees. The released code tests the sine of
            t - 45 degrees twice, where the cosine is meant: "published" gives 45..225, never, 225..45, never.
    """
    shift = (other_boxes[:, :2] + other_boxes[:, 2:] - human_boxes[:, :2] - human_boxes[:, 2:]) / 2
    angle = torch.atan2(shift[:, 1], shift[:, 0])
    distance = torch.hypot(shift[:, 0], shift[:, 1]) / image_sizes.prod(1).sqrt()
    ratio = _extent(human_boxes).prod(1) / _extent(other_boxes).prod(1)
    overlap = box_iou(human_boxes, other_boxes)
    single = [distance, angle.sin(), angle.cos(), *_sectors(angle, sectors), overlap, ratio, 1 / ratio]
    return torch.stack(single, 1)


def _sectors(angle: Tensor, sectors: Sectors) -> list[Tensor]:
    """Four indicators, each [M]."""
    turned = angle - math.pi / 4
    first = turned.sin() >= 0
    second = first if sectors == "published" else turned.cos() >= 0
    indicators = (first & second, first & ~second, ~first & ~second, ~first & second)
    return [indicator.to(angle.dtype) for indicator in indicators]


def _extent(boxes: Tensor) -> Tensor:
    """Width and height [N, 2]."""
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=_SMALLEST_EXTENT)
