"""Spatial encoding of a pair: 18 terms of its two boxes (App. C, after Zhang et al., ICCV 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.core.boxes import box_iou

NUM_TERMS = 18
# Pixels. Extents are divided by, so that a sliver of 0.02 pixels would give terms in the thousands and wreck training.
_SMALLEST_EXTENT = 1.0


def spatial_encoding(human_boxes: Tensor, object_boxes: Tensor, image_sizes: Tensor) -> Tensor:
    """Return p, float32 [M, 18], non-negative.

    Terms: both centers (x/W, y/H), both widths and heights (over W, H), both areas over the image's, object area over
    human area, both aspect ratios w/h, IoU, then the center distance |dx| over the human's width and |dy| over its
    height, each split by direction: object to the right, left, below, above (zero otherwise). Widths and heights below
    one pixel count as one pixel.

    Args:
        human_boxes, object_boxes: [M, 4] xyxy in pixels.
        image_sizes: [M, 2] (width, height) in pixels.
    """
    human_center = (human_boxes[:, :2] + human_boxes[:, 2:]) / 2  # [M, 2]
    object_center = (object_boxes[:, :2] + object_boxes[:, 2:]) / 2
    human_extent = (human_boxes[:, 2:] - human_boxes[:, :2]).clip(min=_SMALLEST_EXTENT)
    object_extent = (object_boxes[:, 2:] - object_boxes[:, :2]).clip(min=_SMALLEST_EXTENT)
    image_area = image_sizes.prod(1)
    human_area, object_area = human_extent.prod(1), object_extent.prod(1)
    shift = (object_center - human_center) / human_extent  # [M, 2], signed
    towards, away = shift.clip(min=0), (-shift).clip(min=0)
    single = torch.stack(
        [
            human_area / image_area,
            object_area / image_area,
            object_area / human_area,
            human_extent[:, 0] / human_extent[:, 1],
            object_extent[:, 0] / object_extent[:, 1],
            box_iou(human_boxes, object_boxes),
            towards[:, 0],
            away[:, 0],
            towards[:, 1],
            away[:, 1],
        ],
        1,
    )
    placed = [part / image_sizes for part in (human_center, object_center, human_extent, object_extent)]
    return torch.cat([*placed, single], 1)


class SpatialEncoder(nn.Module):
    """v_sp = F_sp([p; log(p + eps)]), an MLP over the encoding and its logarithm (App. C)."""

    def __init__(self, *, hidden: int, width: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.layers = nn.Sequential(
            nn.Linear(2 * NUM_TERMS, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, width)
        )

    def forward(self, encoding: Tensor) -> Tensor:
        """Map p [M, 18] to v_sp [M, D]."""
        features: Tensor = self.layers(torch.cat([encoding, torch.log(encoding + self.epsilon)], 1))
        return features
