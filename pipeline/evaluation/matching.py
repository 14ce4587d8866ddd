"""Which ground-truth pair a detected pair points at, for millions of detections at once.

Only detections of a class that their image really shows can be right; the look-up table of `TruthIndex` finds them, and
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

from pipeline.core.boxes import box_area, box_intersection, iou_of_areas
from pipeline.core.types import Detections, IntArray
from pipeline.truth.ground_truth import GroundTruth

OVERLAP_THRESHOLD = 0.5
_BLOCK_PAIRS = 1 << 16  # comparisons at once: about 10 MB of workspace


@dataclass(frozen=True)
class TruthIndex:
    """Ground truth grouped by (image, HOI class).

    `group` int32 [I * H] is the group of a cell `image_index * H + hoi_id`, -1 where the cell is empty; `starts` int64
    [U + 1] delimits the groups in `rows` int64 [G], which are rows of the `GroundTruth` in annotation order.
    """

    group: NDArray[np.int32]
    starts: IntArray
    rows: IntArray

    @classmethod
    def build(cls, truth: GroundTruth, num_hois: int) -> TruthIndex:
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
    index: TruthIndex,
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
    human_areas = box_area(truth.human_boxes.astype(np.float64))
    for rows, counts, others in _comparisons(candidates, index.starts[groups], index.starts[groups + 1]):
        detected, annotated = np.repeat(rows, counts), index.rows[others]
        humans = _Columns.of(detections.human_boxes, rows).repeat(counts)
        human_iou = humans.iou(_Columns.of(truth.human_boxes, annotated, human_areas))
        close = np.flatnonzero(human_iou >= threshold)  # the minimum is no larger: most comparisons end here
        detected, annotated = detected[close], annotated[close]
        object_iou = _Columns.of(detections.object_boxes, detected).iou(_Columns.of(truth.object_boxes, annotated))
        overlap = np.minimum(human_iou[close], object_iou)
        passed = overlap >= threshold
        detected, annotated, overlap = detected[passed], annotated[passed], overlap[passed]
        best = first_maximum(detected, overlap)
        matched[detected[best]] = annotated[best]
    return matched


def image_overlaps(
    pairs: Detections, truth: GroundTruth
) -> Iterator[tuple[IntArray, IntArray, NDArray[np.float64], NDArray[np.float64]]]:
    """Compare each pair with all annotated pairs of its image, whatever their classes, a block at a time.

    Yields:
        row of `pairs` and row of `truth`, int64 [K], by row of `pairs`, none of which is split among blocks; IoU of the
        humans and IoU of the objects, float64 [K].
    """
    by_image = np.argsort(truth.image_index, kind="stable")
    bounds = np.searchsorted(truth.image_index[by_image], np.arange(truth.num_images + 1))
    image = pairs.image_index.astype(np.int64)
    for rows, counts, others in _comparisons(np.arange(len(pairs)), bounds[image], bounds[image + 1]):
        annotated = by_image[others]
        human_iou, object_iou = (
            _Columns.of(boxes, rows).repeat(counts).iou(_Columns.of(annotated_boxes, annotated))
            for boxes, annotated_boxes in (
                (pairs.human_boxes, truth.human_boxes),
                (pairs.object_boxes, truth.object_boxes),
            )
        )
        yield np.repeat(rows, counts), annotated, human_iou, object_iou


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
    areas = box_area(others.astype(np.float64))
    for rows, counts, other in _comparisons(candidates, starts[candidates], stops[candidates]):
        overlap = _Columns.of(boxes, rows).repeat(counts).iou(_Columns.of(others, other, areas))
        row = np.repeat(rows, counts)
        best = first_maximum(row, overlap)
        best_row[row[best]], best_iou[row[best]] = other[best], overlap[best]
    return best_row, best_iou


def _comparisons(rows: IntArray, starts: IntArray, stops: IntArray) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Yield rows, how many others each is compared with, and those others, block by block; no row is split."""
    counts = stops - starts
    totals = np.cumsum(counts)
    num_blocks = -(-int(totals[-1]) // _BLOCK_PAIRS) if len(totals) else 0
    bounds = np.searchsorted(totals, np.arange(1, num_blocks) * _BLOCK_PAIRS)
    edges = np.unique(np.concatenate(([0], bounds, [len(rows)])))
    for low, high in pairwise(edges.tolist()):
        block = counts[low:high]
        offsets = np.repeat(starts[low:high] - np.cumsum(block) + block, block)
        yield rows[low:high], block, np.arange(len(offsets)) + offsets


@dataclass(frozen=True)
class _Columns:
    """Boxes as float64 [4, K] and their areas [K]: coordinates apart, for arithmetic over contiguous memory."""

    corners: NDArray[np.float64]
    area: NDArray[np.float64]

    @classmethod
    def of(cls, boxes: NDArray[np.floating], rows: IntArray, areas: NDArray[np.float64] | None = None) -> _Columns:
        """Some rows of boxes [*, 4]; `areas` [*] where many rows are the same box."""
        corners = np.ascontiguousarray(boxes.take(rows, axis=0).T, dtype=np.float64)
        return cls(corners, box_area(corners.T) if areas is None else areas.take(rows))

    def repeat(self, counts: IntArray) -> _Columns:
        return _Columns(np.repeat(self.corners, counts, axis=1), np.repeat(self.area, counts))

    def iou(self, others: _Columns) -> NDArray[np.float64]:
        """IoU of box k with other box k, [K]."""
        return iou_of_areas(box_intersection(self.corners.T, others.corners.T), self.area, others.area)


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
