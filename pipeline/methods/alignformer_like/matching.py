"""Which query answers which target: the cheapest assignment of one image (Hungarian matching, as in DETR)."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from pipeline.core.boxes import box_giou

BOX_COST, GIOU_COST = 5.0, 2.0


def to_corners(boxes: Tensor) -> Tensor:
    """(center x, center y, width, height) to (x1, y1, x2, y2), [*, 4]."""
    return torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)


def to_centers(boxes: Tensor) -> Tensor:
    """Inverse of `to_corners`."""
    return torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)


@torch.no_grad()
def matching_costs(
    boxes: Tensor,
    categories: Tensor,
    verbs: Tensor,
    target_boxes: Tensor,
    target_categories: Tensor,
    target_verbs: Tensor,
) -> Tensor:
    """Return the cost of each query of one image for each target, [Q, T].

    Human and object boxes cost 5 L1 - 2 GIoU each, the category minus its probability, the verbs minus their mean
    probability.

    Args:
        boxes: [Q, 2, 4], centers and extents in 0..1; categories: logits [Q, C]; verbs: logits [Q, A].
        target_boxes: [T, 2, 4] likewise; target_categories: int64 [T]; target_verbs: [T, A], 1 or 0.
    """
    distance = (boxes[:, None] - target_boxes).abs().sum((2, 3))
    overlap = box_giou(to_corners(boxes)[:, None], to_corners(target_boxes)).sum(2)
    category = categories.softmax(1)[:, target_categories]
    verb = verbs.sigmoid() @ (target_verbs / target_verbs.sum(1, keepdim=True)).T
    return BOX_COST * distance - GIOU_COST * overlap - category - verb


def matched(costs: Tensor, copies: int = 1) -> tuple[Tensor, Tensor]:
    """Return queries and targets of the cheapest assignment, int64 [min(Q, copies * T)] each, on the host.

    Args:
        costs: [Q, T].
        copies: how many queries a target is matched with. More than one trains more queries, as in H-DETR (Jia et al.
            2023); it does not hurt here, since a pair takes the score of its best query.
    """
    queries, targets = linear_sum_assignment(costs.cpu().repeat(1, copies).numpy())
    return torch.from_numpy(queries), torch.from_numpy(targets) % max(1, costs.shape[1])
