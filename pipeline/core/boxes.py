"""The only box arithmetic of the project.

Boxes are float [*, 4] `(x1, y1, x2, y2)` in continuous, 0-based image coordinates; right and bottom are exclusive, so
width is `x2 - x1`. Every function takes numpy arrays or torch tensors and returns what it was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Boxes = TypeVar("Boxes", np.ndarray, "torch.Tensor")


def _namespace(boxes: np.ndarray | torch.Tensor) -> Any:
    """Module of the array's functions; evaluation does not wait a second for torch."""
    if isinstance(boxes, np.ndarray):
        return np
    import torch

    return torch


def box_area(boxes: Boxes) -> Boxes:
    """Area in square pixels, [*]; a degenerate box has area 0."""
    return (boxes[..., 2] - boxes[..., 0]).clip(min=0) * (boxes[..., 3] - boxes[..., 1]).clip(min=0)


def has_extent(boxes: np.ndarray) -> NDArray[np.bool_]:
    """Whether each box has a width and a height above zero, [*]."""
    return np.asarray((boxes[..., 2:] > boxes[..., :2]).all(-1))


def box_intersection(first: Boxes, second: Boxes) -> Boxes:
    """Area of overlap of broadcastable boxes [*, 4] and [*, 4], [*]."""
    xp = _namespace(first)
    width = xp.minimum(first[..., 2], second[..., 2]) - xp.maximum(first[..., 0], second[..., 0])
    height = xp.minimum(first[..., 3], second[..., 3]) - xp.maximum(first[..., 1], second[..., 1])
    return width.clip(min=0) * height.clip(min=0)


def box_iou(first: Boxes, second: Boxes) -> Boxes:
    """Intersection over union of broadcastable boxes, [*]; 0 where both boxes are degenerate.

    `box_iou(a[:, None], b[None])` is the matrix [len(a), len(b)].
    """
    return iou_of_areas(box_intersection(first, second), box_area(first), box_area(second))


def iou_of_areas(overlap: Boxes, first: Boxes, second: Boxes) -> Boxes:
    """IoU from the area of overlap and those of both boxes, broadcastable, [*]; 0 where all are 0."""
    return overlap / (first + second - overlap).clip(min=1e-12)


def box_union(first: Boxes, second: Boxes) -> Boxes:
    """Smallest box that holds both, [*, 4]: the union region x_u of section 3.2.3."""
    xp = _namespace(first)
    return xp.concatenate(
        (xp.minimum(first[..., :2], second[..., :2]), xp.maximum(first[..., 2:], second[..., 2:])), -1
    )


def box_giou(first: Boxes, second: Boxes) -> Boxes:
    """Generalized IoU of broadcastable boxes, -1..1, [*] (Rezatofighi et al. 2019); they have extents above zero."""
    xp = _namespace(first)
    overlap = box_intersection(first, second)
    covered = box_area(first) + box_area(second) - overlap
    corner = xp.minimum(first[..., :2], second[..., :2]), xp.maximum(first[..., 2:], second[..., 2:])
    hull = (corner[1] - corner[0]).prod(-1)
    return iou_of_areas(overlap, box_area(first), box_area(second)) - (hull - covered) / hull.clip(min=1e-12)


def clip_boxes(boxes: Boxes, width: float, height: float) -> Boxes:
    """Boxes cut to an image of the given size in pixels, [*, 4]."""
    xp = _namespace(boxes)
    limits = (width, height, width, height)
    return xp.concatenate([boxes[..., i : i + 1].clip(0, limit) for i, limit in enumerate(limits)], -1)
