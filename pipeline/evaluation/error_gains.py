"""Types of errors at break-even, and the mAP gained if one type were fixed; `error_types.py` has the definitions.

A type that is fixed changes the ranks of the hits that are there, and adds hits. Ranks come from counts, which add up
over blocks of images like those of the evaluation itself (`engine.py`).

Axis legend: T detections, G annotated pairs, H HOI classes, K hits, F fixes, E types.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.class_groups import mean_score
from pipeline.core.types import IntArray
from pipeline.evaluation.average_precision import Interpolation, average_precision, precision_recall
from pipeline.evaluation.error_types import (
    BELOW_THRESHOLD,
    ERROR_TYPES,
    MISSED_TYPES,
    NONE,
    RIGHT,
    SortedErrors,
)
from pipeline.evaluation.ranking import best_of_groups, group_of, num_before
from pipeline.truth.ground_truth import GroundTruth

WRONG = range(RIGHT + 1, len(ERROR_TYPES))


@dataclass(frozen=True)
class ErrorRanks:
    """Where errors of some images stand in the ranking of all; those of other images add up.

    Attributes:
        before_hits: detections of each type of `WRONG` before each hit, in the ranking of all classes, class by class,
            [E, K].
        before_fixes: detections of other types than a fix's own before the place that it takes, [F].
        most: annotated pairs of each class, int64 [H].
        best_key, best_row: the best detections of each class, `most` at most.
    """

    before_hits: IntArray
    before_fixes: IntArray
    most: IntArray
    best_key: NDArray[np.uint64]
    best_row: IntArray

    def __add__(self, other: ErrorRanks) -> ErrorRanks:
        key, row = np.append(self.best_key, other.best_key), np.append(self.best_row, other.best_row)
        best = best_of_groups(key, row, self.most)
        hits, fixes = self.before_hits + other.before_hits, self.before_fixes + other.before_fixes
        return ErrorRanks(hits, fixes, self.most, key[best], row[best])


def rank_errors(
    whole: SortedErrors,
    hit_key: NDArray[np.uint64],
    hit_row: IntArray,
    keys: NDArray[np.uint64],
    rows: IntArray,
    span: range,
    most: IntArray,
) -> ErrorRanks:
    """Rank the errors of one block of images.

    Args:
        whole: of all images, fixes by type, then by key and row.
        hit_key, hit_row: of all hits, by key, then row; [K].
        keys, rows: of the block's detections that count; rows from 0.
        span: rows of the block among all detections.
        most: annotated pairs of each class, int64 [H].
    """
    error, size = whole.error[span.start + rows], len(span)
    before_hits = np.zeros((len(ERROR_TYPES), len(hit_key)), np.int64)
    before_fixes = np.zeros(len(whole.fix_key), np.int64)
    for kind in WRONG:
        own, fixes = error == kind, np.flatnonzero(whole.fix_error == kind)
        before_hits[kind] = num_before(hit_key, hit_row - span.start, keys[own], rows[own], size, among=False)
        if len(fixes):
            fix_key, fix_row = whole.fix_key[fixes], whole.fix_row[fixes] - span.start
            before_fixes[fixes] = num_before(fix_key, fix_row, keys[~own], rows[~own], size, among=False)
    best = best_of_groups(keys, rows, most)
    return ErrorRanks(before_hits, before_fixes, most, keys[best], rows[best] + span.start)


@dataclass(frozen=True)
class ErrorAnalysis:
    """Types of all detections and annotated pairs, and what they cost.

    Attributes:
        error: int8 [T], a place in `ERROR_TYPES`, -1 where a detection does not count.
        missed: int8 [G], a place in `MISSED_TYPES`, -1 where a pair is found at break-even or does not count.
        at_break_even: detections of each class and type at break-even, int64 [H, E].
        num_missed: missed pairs of each class and type, int64 [H, types].
        gains: mAP gained if a type were fixed, in 0..1, by type.
    """

    error: NDArray[np.int8]
    missed: NDArray[np.int8]
    at_break_even: IntArray
    num_missed: IntArray
    gains: dict[str, float]

    def counts(self) -> dict[str, IntArray]:
        """Detections and missed pairs at break-even of each class, by type; int64 [H] each."""
        named = zip((*ERROR_TYPES, *MISSED_TYPES), (*self.at_break_even.T, *self.num_missed.T), strict=True)
        return dict(named)


def analyze_errors(
    whole: SortedErrors,
    ranks: ErrorRanks,
    *,
    matched: NDArray[np.int32],
    truth: GroundTruth,
    hit_key: NDArray[np.uint64],
    hit_row: IntArray,
    hits_before: IntArray,
    num_gt: IntArray,
    num_detections: IntArray,
    interpolation: Interpolation,
) -> ErrorAnalysis:
    """Count errors at break-even, and evaluate with one type fixed at a time.

    Args:
        whole: as in `rank_errors`, annotated pairs in the order of images.
        ranks: added up over all images.
        matched: int32 [T].
        truth: G annotated pairs.
        hit_key, hit_row, hits_before: of all hits, by key, then row; the counted detections before each, [K].
        num_gt, num_detections: of each class, int64 [H].
    """
    num_hois, num_types, num_missed = len(num_gt), len(ERROR_TYPES), len(MISSED_TYPES)
    best = whole.error[ranks.best_row]
    missed = np.empty(len(truth), np.int8)
    missed[np.argsort(truth.image_index, kind="stable")] = whole.missed
    missed[matched[ranks.best_row[best == RIGHT]]] = NONE
    lost = np.flatnonzero(missed >= 0)

    def table(hoi_id: IntArray, kind: IntArray, width: int) -> IntArray:
        return np.bincount(hoi_id * width + kind, minlength=num_hois * width).reshape(num_hois, width)

    at_break_even = table(group_of(ranks.best_key), best.astype(np.int64), num_types)
    missing = table(truth.hoi_id[lost].astype(np.int64), missed[lost].astype(np.int64), num_missed)

    def mean_ap(key: NDArray[np.uint64], before: IntArray, detections: IntArray, wanted: IntArray) -> float:
        hoi_id = group_of(key)
        rank = before - (np.cumsum(detections) - detections)[hoi_id] + 1
        precision, recall = precision_recall(hoi_id, rank, wanted)
        return mean_score(average_precision(hoi_id, precision, recall, wanted, interpolation))

    base = mean_ap(hit_key, hits_before, num_detections, num_gt)
    gains = {}
    for kind in WRONG:
        own = whole.fix_error == kind
        key, row = np.append(hit_key, whole.fix_key[own]), np.append(hit_row, whole.fix_row[own])
        before = np.append(hits_before - ranks.before_hits[kind], ranks.before_fixes[own])
        added = np.arange(len(key)) >= len(hit_key)
        order = np.lexsort((row, key))
        key, added = key[order], added[order]
        detections = num_detections - whole.num_errors[:, kind] + np.bincount(group_of(key[added]), minlength=num_hois)
        before = before[order] + np.cumsum(added) - added
        gains[ERROR_TYPES[kind]] = mean_ap(key, before, detections, num_gt) - base
    for kind in range(BELOW_THRESHOLD + 1, num_missed):
        gains[MISSED_TYPES[kind]] = mean_ap(hit_key, hits_before, num_detections, num_gt - missing[:, kind]) - base
    return ErrorAnalysis(whole.error, missed, at_break_even, missing, gains)
