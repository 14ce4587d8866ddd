"""Average precision of many classes at once, from the hits alone.

A *hit* is a detection that claims a ground truth. Precision peaks exactly at hits, and recall moves only there, so
every interpolated average precision is a function of the hits: their class, and their rank in the class's sorted list.
Misses need not be stored. Hits are flat arrays of K entries, sorted by class and, within it, by rank.

Axis legend: K hits, H classes, R recall levels.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.core.types import IntArray

DoubleArray = NDArray[np.float64]
Interpolation = Literal["official_11_point", "tenths_11_point", "both_ends_11_point", "all_points"]

RECALL_LEVELS: dict[str, DoubleArray] = {
    # 0:0.1:1 of MATLAB and Octave is k * 0.1 in doubles, as numpy.arange: 0.3, 0.6 and 0.7 are slightly high: a
    # recall of 6/10 does not reach the level 0.6. This is what the official HICO-DET figures are made with.
    "official_11_point": np.arange(11, dtype=np.float64) * 0.1,
    # The doubles nearest to the tenths: recall 6/10 reaches the level 0.6.
    "tenths_11_point": np.arange(11, dtype=np.float64) / 10,
    # torch.linspace(0, 1, 11): k * 0.1 from the lower end, 1 - k * 0.1 from the upper one; 0.3 alone is high.
    "both_ends_11_point": np.concatenate([np.arange(5) * 0.1, 1 - np.arange(5, -1, -1) * 0.1]),
}
INTERPOLATIONS: tuple[str, ...] = (*RECALL_LEVELS, "all_points")


def precision_recall(
    hit_class: IntArray, hit_rank: IntArray, num_gt: NDArray[np.int64]
) -> tuple[DoubleArray, DoubleArray]:
    """Precision and recall right after each hit.

    Args:
        hit_class: class of each hit, int64 [K], ascending.
        hit_rank: 1-based position of the hit among all detections of its class, int64 [K], ascending within a class.
        num_gt: ground truths of each class, int64 [H]; at least 1 where a class has hits.

    Returns:
        precision, recall: float64 [K] each, in 0..1.
    """
    num_hits_before = np.searchsorted(hit_class, hit_class, side="left")
    true_positives = np.arange(1, len(hit_class) + 1) - num_hits_before
    return true_positives / hit_rank, true_positives / num_gt[hit_class]


def average_precision(
    hit_class: IntArray,
    precision: DoubleArray,
    recall: DoubleArray,
    num_gt: NDArray[np.int64],
    interpolation: Interpolation = "official_11_point",
) -> DoubleArray:
    """Average precision of every class.

    Args:
        hit_class: class of each hit, int64 [K], ascending.
        precision: precision after each hit, float64 [K].
        recall: recall after each hit, float64 [K], ascending within a class.
        num_gt: ground truths of each class, int64 [H].
        interpolation: "official_11_point" (HICO-DET, `VOCevaldet_bboxpair.m`: mean over 11 recall levels of the largest
            precision at that recall or beyond), "tenths_11_point" (the same with exact tenths), "both_ends_11_point"
            (with those of `torch.linspace`), or "all_points" (V-COCO, `vsrl_eval.py: voc_ap`: area under the precision
            envelope).

    Returns:
        float64 [H]: 0 for a class without a hit, nan for a class without ground truth.
    """
    ap = np.zeros(len(num_gt), dtype=np.float64)
    if len(hit_class):
        starts = np.flatnonzero(np.diff(hit_class, prepend=-1))
        if interpolation == "all_points":
            steps = _precision_envelope(hit_class, precision) / num_gt[hit_class]
            ap[hit_class[starts]] = np.add.reduceat(steps, starts)
        else:
            reached = recall[:, None] >= RECALL_LEVELS[interpolation]  # [K, R]
            best = np.maximum.reduceat(np.where(reached, precision[:, None], 0.0), starts, axis=0)
            ap[hit_class[starts]] = best.mean(axis=1)
    ap[num_gt == 0] = np.nan
    return ap


def _precision_envelope(hit_class: IntArray, precision: DoubleArray) -> DoubleArray:
    """Largest precision at each hit or at a later one of the same class, float64 [K].

    A running maximum that starts afresh at each class: precisions are ranked first, so that (class, precision) becomes
    one integer and no bit of the precision is lost.
    """
    values, code = np.unique(precision, return_inverse=True)
    keys = (hit_class[-1] - hit_class) * len(values) + code
    return values[np.maximum.accumulate(keys[::-1])[::-1] % len(values)]
