"""The HICO-DET protocol over detections that are never in memory together: `evaluate_hicodet`'s figures, bit for bit.

A ground truth belongs to one image, so which detection claims it is decided among the detections of that image. The
first pass finds these hits, at most one per ground truth. Every other detection matters only by how many of its class
stand before a hit: the second pass counts them. Detections are read twice, a block of images at a time, and what the
passes hand on are hits and integers that add up, so that neither the order of the blocks nor who works on them matters.

Several rankings of the same detections (values of a weight) are evaluated at once: boxes are matched once for all.

Axis legend: T detections of a block, R rankings, G ground-truth pairs, K hits (at most G), H HOI classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import dask
import numpy as np
from numpy.typing import NDArray

from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.evaluation.average_precision import Interpolation
from pipeline.evaluation.hicodet import (
    HicoDetResult,
    Setting,
    check_choices,
    check_ranges,
    count_truth,
    counted_cells,
    result_of_hits,
)
from pipeline.evaluation.matching import TruthIndex, best_pairs, cell_index
from pipeline.evaluation.ranking import falling_keys
from pipeline.truth.ground_truth import GroundTruth

if TYPE_CHECKING:
    from distributed import Client

IN_PROCESS = "sync"
_IMAGES_AT_ONCE = 256
_TASKS = 256  # at most: a graph of tasks of any size, however many images
_CLASS_SHIFT = np.uint64(32)


class ImageBlocks(Protocol):
    """Detections by image. Sent to workers, which share the file system: paths rather than arrays."""

    def read(self, start: int, stop: int) -> tuple[Detections, Sequence[FloatArray]]:
        """Triplets of images start..stop-1, in image order, and their scores in each ranking, float32 [T] each.

        `image_index` counts from `start`; the triplets' own scores are not looked at.
        """


@dataclass(frozen=True)
class Rules:
    """What detections are scored by; fields as the arguments of `evaluate_hicodet`."""

    num_hois: int
    rare: NDArray[np.bool_]
    hoi_object_ids: IntArray
    setting: Setting = "default"
    interpolation: Interpolation = "official_11_point"


def evaluate_rankings(
    detections: ImageBlocks, truth: GroundTruth, rules: Rules, *, scheduler: Client | str = IN_PROCESS
) -> tuple[list[HicoDetResult], int]:
    """Evaluate every ranking of a split's detections.

    A worker holds one block of detections, beside hits.

    Args:
        scheduler: where Dask works: the client of a cluster whose workers see the same files, or its own "sync" or
            "threads" in this process.

    Returns:
        one result per ranking, without `hits` and `matched_index`; the number of detections read.

    Raises:
        DataError, ParamError: as `evaluate_hicodet`.
    """
    check_choices(rules.setting, rules.interpolation)
    spans = _cut(truth if rules.setting == "known_object" else _without_labels(truth), _span_edges(truth.num_images))
    # traverse=False: Dask is not to look for tasks inside of arrays
    first = [dask.delayed(_find_hits, traverse=False)(detections, span, rules) for span in spans]
    merged = dask.delayed(_merge)(first, rules.num_hois)
    counts = [
        dask.delayed(_count_before, traverse=False)(detections, span, rules, merged, order)
        for order, span in enumerate(spans)
    ]
    found, standing = dask.compute(merged, reduce(dask.delayed(np.add), counts), scheduler=scheduler)
    ranks = _ranks(standing, found.hoi_id)
    return [
        result_of_hits(
            found.hoi_id, rank, found.num_gt, found.num_detections, rules.rare, rules.setting, rules.interpolation
        )
        for rank in ranks
    ], int(found.offsets[-1])


@dataclass(frozen=True)
class _Span:
    """Images start..stop-1 and their ground truth, whose image_index counts from `start`."""

    start: int
    stop: int
    truth: GroundTruth


@dataclass(frozen=True)
class _Hits:
    """Hits of some images, and totals over them.

    Attributes:
        key: uint64 [R, K] rises by class, then by falling score.
        row: int64 [R, K], the hit's place among all detections: equal keys stand in this order.
        num_rows: all detections.
        num_gt, num_detections: those that the setting counts, int64 [H].
    """

    key: NDArray[np.uint64]
    row: IntArray
    num_rows: int
    num_gt: IntArray
    num_detections: IntArray


@dataclass(frozen=True)
class _AllHits:
    """Hits of all images in order, as in `_Hits`; `offsets` int64 [spans + 1] counts the detections before each."""

    key: NDArray[np.uint64]
    row: IntArray
    offsets: IntArray
    num_gt: IntArray
    num_detections: IntArray

    @property
    def hoi_id(self) -> IntArray:
        """Class of each hit, int64 [K]: the same in every ranking, which claim the same ground truths."""
        return (self.key[0] >> _CLASS_SHIFT).astype(np.int64)


def _span_edges(num_images: int) -> list[int]:
    """Images at which tasks are cut: whole blocks, and no more tasks than `_TASKS`."""
    blocks = max(1, -(-num_images // _IMAGES_AT_ONCE))
    step = -(-blocks // _TASKS) * _IMAGES_AT_ONCE
    return [*range(0, max(1, num_images), step), num_images]


def _cut(truth: GroundTruth, edges: Sequence[int]) -> list[_Span]:
    order = np.argsort(truth.image_index, kind="stable")
    bounds = np.searchsorted(truth.image_index[order], edges)
    spans = []
    for (start, stop), (low, high) in zip(pairwise(edges), pairwise(bounds.tolist()), strict=True):
        rows = order[low:high]
        part = GroundTruth(
            image_index=truth.image_index[rows] - np.int32(start),
            hoi_id=truth.hoi_id[rows],
            human_boxes=truth.human_boxes[rows],
            object_boxes=truth.object_boxes[rows],
            num_images=stop - start,
            image_hois=None if truth.image_hois is None else truth.image_hois[start:stop],
        )
        spans.append(_Span(start, stop, part))
    return spans


def _without_labels(truth: GroundTruth) -> GroundTruth:
    """Image-level labels serve the Known Object setting alone."""
    return dataclasses.replace(truth, image_hois=None)


def _blocks(span: _Span) -> Iterator[_Span]:
    edges = [*range(0, max(1, span.stop - span.start), _IMAGES_AT_ONCE), span.stop - span.start]
    for block in _cut(span.truth, edges):
        yield _Span(span.start + block.start, span.start + block.stop, block.truth)


def _find_hits(detections: ImageBlocks, span: _Span, rules: Rules) -> _Hits:
    """First pass: who claims each ground truth of some images, in every ranking. `row` counts from the span's first."""
    parts, num_rows = [], 0
    for block in _blocks(span):
        found = _find_block_hits(detections, block, rules)
        parts.append(dataclasses.replace(found, row=found.row + num_rows))
        num_rows += found.num_rows
    return _Hits(
        key=np.concatenate([part.key for part in parts], axis=1),
        row=np.concatenate([part.row for part in parts], axis=1),
        num_rows=num_rows,
        num_gt=np.sum([part.num_gt for part in parts], axis=0),
        num_detections=np.sum([part.num_detections for part in parts], axis=0),
    )


def _find_block_hits(detections: ImageBlocks, block: _Span, rules: Rules) -> _Hits:
    found, rankings = detections.read(block.start, block.stop)
    truth, num_hois = block.truth, rules.num_hois
    for scores in rankings:
        check_ranges(dataclasses.replace(found, scores=scores), truth, num_hois, rules.rare, rules.hoi_object_ids)
    index = TruthIndex.build(truth, num_hois)
    cells = cell_index(found.image_index, found.hoi_id, num_hois)
    counted = counted_cells(rules.setting, truth, index, rules.hoi_object_ids)
    matched = best_pairs(found, truth, index, cells)
    counts = np.ones(len(found), np.bool_) if counted is None else counted[cells]
    claiming = np.flatnonzero((matched >= 0) & counts)
    hits = np.stack([_first_claims(matched[claiming], scores[claiming]) for scores in rankings])
    rows = claiming[hits]
    keys = [_keys(found.hoi_id[row], scores[row]) for row, scores in zip(rows, rankings, strict=True)]
    return _Hits(
        key=np.stack(keys),
        row=rows,
        num_rows=len(found),
        num_gt=count_truth(truth, num_hois, counted),
        num_detections=np.bincount(found.hoi_id[counts], minlength=num_hois),
    )


def _first_claims(matched: NDArray[np.int32], scores: FloatArray) -> IntArray:
    """The row that claims each matched ground truth: the one with the highest score, the first of equals; int64 [K]."""
    order = np.lexsort((falling_keys(scores), matched))
    first = np.diff(matched[order], prepend=-1) > 0
    return order[first]


def _keys(hoi_id: NDArray[np.int16], scores: FloatArray) -> NDArray[np.uint64]:
    """Unsigned integers that rise by class, then as scores fall, uint64 [T]."""
    return (hoi_id.astype(np.uint64) << _CLASS_SHIFT) | falling_keys(scores).astype(np.uint64)


def _merge(parts: list[_Hits], num_hois: int) -> _AllHits:
    offsets = np.concatenate([[0], np.cumsum([part.num_rows for part in parts], dtype=np.int64)])
    key = np.concatenate([part.key for part in parts], axis=1)
    row = np.concatenate([part.row + offset for part, offset in zip(parts, offsets, strict=False)], axis=1)
    order = np.stack([np.lexsort(pair) for pair in zip(row, key, strict=True)])
    return _AllHits(
        key=np.take_along_axis(key, order, axis=1),
        row=np.take_along_axis(row, order, axis=1),
        offsets=offsets,
        num_gt=np.sum([part.num_gt for part in parts], axis=0),
        num_detections=np.sum([part.num_detections for part in parts], axis=0),
    )


def _count_before(detections: ImageBlocks, span: _Span, rules: Rules, hits: _AllHits, order: int) -> IntArray:
    """Second pass: detections of some images by the first hit of their class that they do not stand behind, [R, K]."""
    counts = np.zeros(hits.key.shape, np.int64)
    first_row = int(hits.offsets[order])
    for block in _blocks(span):
        found, rankings = detections.read(block.start, block.stop)
        rows = _counted_rows(found, block.truth, rules)
        for ranking, scores in enumerate(rankings):
            keys = _keys(found.hoi_id[rows], scores[rows])
            places = _places(hits, ranking, keys, first_row + rows)
            counts[ranking] += np.bincount(places, minlength=len(hits.hoi_id))
        first_row += len(found)
    return counts


def _counted_rows(found: Detections, truth: GroundTruth, rules: Rules) -> IntArray:
    """Detections that the setting counts, int64."""
    if rules.setting == "default":
        return np.arange(len(found))
    counted = counted_cells(rules.setting, truth, TruthIndex.build(truth, rules.num_hois), rules.hoi_object_ids)
    assert counted is not None
    return np.flatnonzero(counted[cell_index(found.image_index, found.hoi_id, rules.num_hois)])


def _places(hits: _AllHits, ranking: int, keys: NDArray[np.uint64], rows: IntArray) -> IntArray:
    """Place among the sorted hits of each detection that stands before or at a hit of its class, int64 [<= T]."""
    key, row = hits.key[ranking], hits.row[ranking]
    if not len(key):
        return np.zeros(0, np.int64)
    place = np.searchsorted(key, keys)
    inside = np.minimum(place, len(key) - 1)
    tied = np.flatnonzero(key[inside] == keys)
    num_rows = int(hits.offsets[-1])
    in_order = np.searchsorted(key, key) * num_rows + row  # key and row in one ascending integer
    place[tied] = np.searchsorted(in_order, place[tied] * num_rows + rows[tied])
    inside = np.minimum(place, len(key) - 1)
    return place[(place < len(key)) & (key[inside] >> _CLASS_SHIFT == keys >> _CLASS_SHIFT)]


def _ranks(counts: IntArray, hoi_id: IntArray) -> IntArray:
    """1-based position of each hit among all detections of its class, int64 [R, K], from what `_count_before` sums."""
    standing = np.cumsum(counts, axis=1)
    before = standing - counts  # at the first hit of a class: all that belongs to the classes before it
    return standing - before[:, np.searchsorted(hoi_id, hoi_id)]
