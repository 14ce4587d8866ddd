"""Which ground-truth pair a detected pair points at, for millions of detections at once.

Only detections of a class that their image really shows can be right; the look-up table of `PairIndex` finds them, and
only their boxes are compared. Overlaps are computed in float64, block by block, so that memory stays bounded however
crowded an image is.

Axis legend: T detections, G ground-truth pairs, I images, H HOI classes, U groups: the (image, HOI class) cells that
hold ground truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.core.boxes import box_iou
from pipeline.core.types import Detections, GroundTruth, IntArray

OVERLAP_THRESHOLD = 0.5
_BLOCK_PAIRS = 1 << 16  # comparisons at once: about 10 MB of workspace


@dataclass(frozen=True)
class PairIndex:
    """Ground truth grouped by (image, HOI class).

    `group` int32 [I * H] is the group of a cell `image_index * H + hoi_id`, -1 where the cell is empty; `starts` int64
    [U + 1] delimits the groups in `rows` int64 [G], which are rows of the `GroundTruth` in annotation order.
    """

    group: NDArray[np.int32]
    starts: IntArray
    rows: IntArray

    @classmethod
    def build(cls, truth: GroundTruth, num_hois: int) -> PairIndex:
        """Group a ground truth whose hoi_id are all below `num_hois`."""
        cells = cell_index(truth.image_index, truth.hoi_id, num_hois)
        rows = np.argsort(cells, kind="stable")
        occupied, starts = np.unique(cells[rows], return_index=True)
        group = np.full(truth.num_images * num_hois, -1, dtype=np.int32)
        group[occupied] = np.arange(len(occupied), dtype=np.int32)
        return cls(group=group, starts=np.append(starts, len(rows)), rows=rows)


def cell_index(image_index: NDArray[np.integer], hoi_id: NDArray[np.integer], num_hois: int) -> IntArray:
    """Return `image_index * H + hoi_id`, int64 [*]."""
    cells = image_index.astype(np.int64)
    cells *= num_hois
    cells += hoi_id
    return cells


def best_pairs(
    detections: Detections,
    truth: GroundTruth,
    index: PairIndex,
    cells: IntArray,
    threshold: float = OVERLAP_THRESHOLD,
) -> NDArray[np.int32]:
    """Best ground-truth pair of each detection, taken or not.

    The overlap of a pair is min(IoU of humans, IoU of objects); a detection looks at its best ground truth only, the
    first of equals (`VOCevaldet_bboxpair.m`).

    Args:
        detections: T scored triplets.
        truth: the ground truth that `index` was built from.
        index: its groups.
        cells: `cell_index` of the detections, int64 [T].
        threshold: smallest overlap that counts, itself included.

    Returns:
        int32 [T]: row of `truth`; -1 where no ground truth of that image and class overlaps enough.
    """
    matched = np.full(len(detections), -1, dtype=np.int32)
    groups = index.group[cells]
    candidates = np.flatnonzero(groups >= 0)
    groups = groups[candidates]
    for detected, annotated in _comparisons(candidates, index.starts[groups], index.starts[groups + 1]):
        _match_block(detections, truth, detected, index.rows[annotated], threshold, matched)
    return matched


def _match_block(
    detections: Detections,
    truth: GroundTruth,
    detected: IntArray,
    annotated: IntArray,
    threshold: float,
    matched: NDArray[np.int32],
) -> None:
    """Write the best of some (detection, ground truth) comparisons into `matched`."""
    human_iou = _row_iou(detections.human_boxes, detected, truth.human_boxes, annotated)
    close = np.flatnonzero(human_iou >= threshold)  # the minimum is no larger: most comparisons end here
    detected, annotated = detected[close], annotated[close]
    object_iou = _row_iou(detections.object_boxes, detected, truth.object_boxes, annotated)
    overlap = np.minimum(human_iou[close], object_iou)
    passed = overlap >= threshold
    detected, annotated, overlap = detected[passed], annotated[passed], overlap[passed]
    best = first_maximum(detected, overlap)
    matched[detected[best]] = annotated[best]


def best_in_group(
    boxes: NDArray[np.floating], others: NDArray[np.floating], starts: IntArray, stops: IntArray
) -> tuple[IntArray, NDArray[np.float64]]:
    """Best of a range of other boxes for each box, however small the overlap.

    Args:
        boxes: [T, 4] finite.
        others: [P, 4].
        starts, stops: int64 [T]: box t looks at `others[starts[t]:stops[t]]`.

    Returns:
        row of `others` with the highest IoU, the first of equals, -1 where the range is empty, int64 [T];
        that IoU, float64 [T], 0 where the range is empty.
    """
    best_row, best_iou = np.full(len(boxes), -1, dtype=np.int64), np.zeros(len(boxes))
    candidates = np.flatnonzero(stops > starts)
    for row, other in _comparisons(candidates, starts[candidates], stops[candidates]):
        overlap = _row_iou(boxes, row, others, other)
        best = first_maximum(row, overlap)
        best_row[row[best]], best_iou[row[best]] = other[best], overlap[best]
    return best_row, best_iou


def _comparisons(rows: IntArray, starts: IntArray, stops: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield (row, other) for each `other` in the row's range, block by block; a row is never split over blocks."""
    counts = stops - starts
    totals = np.cumsum(counts)
    num_blocks = -(-int(totals[-1]) // _BLOCK_PAIRS) if len(totals) else 0
    bounds = np.searchsorted(totals, np.arange(1, num_blocks) * _BLOCK_PAIRS)
    edges = np.unique(np.concatenate(([0], bounds, [len(rows)])))
    for low, high in pairwise(edges.tolist()):
        block = counts[low:high]
        offsets = np.repeat(starts[low:high] - np.cumsum(block) + block, block)
        yield np.repeat(rows[low:high], block), np.arange(len(offsets)) + offsets


def _row_iou(
    first: NDArray[np.floating], first_rows: IntArray, second: NDArray[np.floating], second_rows: IntArray
) -> NDArray[np.float64]:
    """IoU of box `first_rows[k]` with box `second_rows[k]`, float64 [K]."""
    return box_iou(_columns(first, first_rows).T, _columns(second, second_rows).T)


def _columns(boxes: NDArray[np.floating], rows: IntArray) -> NDArray[np.float64]:
    """Selected boxes as float64 [4, K]: coordinates apart, so that box arithmetic runs over contiguous memory."""
    return np.ascontiguousarray(boxes.take(rows, axis=0).T, dtype=np.float64)


def first_maximum(segment: IntArray, values: NDArray[np.float64]) -> IntArray:
    """Position of the largest value of each segment, the first of equals.

    Args:
        segment: int64 [K], equal entries adjacent.
        values: float64 [K] without NaN.

    Returns:
        int64 [number of segments].
    """
    if not len(segment):
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.append(True, segment[1:] != segment[:-1]))
    largest = np.repeat(np.maximum.reduceat(values, starts), np.diff(starts, append=len(segment)))
    position = np.where(values == largest, np.arange(len(values)), len(values))
    return np.minimum.reduceat(position, starts)


def first_claims(claimed: NDArray[np.integer], num_claimable: int) -> IntArray:
    """Positions at which a ground truth is claimed for the first time: the hits, ascending.

    A later claim of the same ground truth is a false positive and has no second choice.

    Args:
        claimed: integer [T] in sorted order: the ground truth that each detection points at, -1 for none.
        num_claimable: number of ground truths G.

    Returns:
        int64 [K].
    """
    positions = np.flatnonzero(claimed >= 0)
    first = np.full(num_claimable, len(claimed), dtype=np.int64)
    np.minimum.at(first, claimed[positions], positions)
    return np.sort(first[first < len(claimed)])
