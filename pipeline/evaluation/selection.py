"""What some evaluators do before they match: read boxes by another convention, and select detections by score.

T detections.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.core.boxes import box_iou
from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.evaluation.hicodet import Rules
from pipeline.evaluation.matching import cell_index
from pipeline.truth.ground_truth import GroundTruth

_WIDER = np.array([0.0, 0.0, 1.0, 1.0])  # continuous corners that are taken for inclusive pixels
_SHIFTED = np.ones(4)  # 1-based inclusive pixels that are taken for 0-based ones


def as_read(found: Detections, truth: GroundTruth, rules: Rules) -> tuple[Detections, GroundTruth]:
    """Detections and ground truth with the boxes that an evaluator sees."""
    if not rules.deviations.unaligned_boxes:
        return found, truth
    moved = {name: getattr(truth, name).astype(np.float64) + _SHIFTED for name in ("human_boxes", "object_boxes")}
    return _wider(found), replace(truth, **moved)


def selected_rows(found: Detections, scores: FloatArray, rules: Rules) -> IntArray:
    """Rows of detections that are scored, ascending, int64.

    Args:
        scores: float32 [T], in place of the detections' own.
    """
    deviations, rows = rules.deviations, np.arange(len(found))
    if deviations.distinct_scores or deviations.top_k is not None:
        rows = _best_rows(found, scores, deviations.top_k, distinct=deviations.distinct_scores)
    if deviations.pair_nms is not None:
        part = found.take(rows)
        part = _wider(part) if deviations.unaligned_boxes else part
        rows = rows[unsuppressed(part, scores[rows], deviations.pair_nms, rules.num_hois)]
    return rows


def unsuppressed(found: Detections, scores: FloatArray, largest: float, num_hois: int) -> IntArray:
    """Rows that pair-wise non-maximum suppression leaves, ascending, int64.

    In each image and HOI class, the best pair stays and removes those that overlap it by more than `largest`, and so on
    with the best one left; of equal scores the first row is the best. The overlap of two pairs is IoU of humans times
    the square root of IoU of objects (`PairNMS` of CDN, `triplet_nms_filter` of GEN-VLKT, where `largest` is 0.7).
    """
    cells = cell_index(found.image_index, found.hoi_id, num_hois)
    order = np.lexsort((-scores, cells))
    cells, humans, objects = cells[order], found.human_boxes[order], found.object_boxes[order]
    humans, objects = humans.astype(np.float64), objects.astype(np.float64)
    left, kept = np.arange(len(order)), [np.zeros(0, np.int64)]
    while len(left):  # in each round, the best pair left of every cell
        best = np.diff(cells[left], prepend=-1) > 0
        kept.append(left[best])
        of_cell = left[best][np.cumsum(best) - 1]
        overlap = box_iou(humans[left], humans[of_cell]) * np.sqrt(box_iou(objects[left], objects[of_cell]))
        left = left[(overlap <= largest) & ~best]
    return np.sort(order[np.concatenate(kept)])


def _best_rows(found: Detections, scores: FloatArray, top_k: int | None, *, distinct: bool) -> IntArray:
    """Rows of the highest scores of each image, ascending: at most `top_k`, and of equal scores the first if asked."""
    images = found.image_index
    order = np.lexsort((-scores, images))  # stable: of equal scores the first row stands first
    rank = np.arange(len(order)) - np.searchsorted(images[order], images[order])
    kept = np.ones(len(order), np.bool_) if top_k is None else rank < top_k
    if distinct:
        kept[1:] &= (rank[1:] == 0) | (np.diff(scores[order]) != 0)
    return np.sort(order[kept])


def _wider(found: Detections) -> Detections:
    boxes = {name: getattr(found, name).astype(np.float64) + _WIDER for name in ("human_boxes", "object_boxes")}
    return replace(found, **boxes)
