"""The one engine of the HICO-DET protocol, over detections that need not be in memory together.

A ground truth belongs to one image, so which detection claims it is decided among the detections of that image. The
first pass finds these hits, at most one per ground truth. Every other detection matters only by how many stand before a
hit in the ranking of its class: the second pass counts them. Detections are read twice, a block of images at a time;
the passes hand on hits and integers that add up, so that neither the order of the blocks nor who works on them matters.

Several rankings of the same detections (values of a weight) are evaluated at once: boxes are matched once for all.
Where asked for, the passes also sort the errors of the first ranking (`error_types.py`) and rank them
(`error_gains.py`).

Axis legend: T detections, R rankings, G ground-truth pairs, K hits (at most G), H HOI classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.evaluation.error_gains import ErrorAnalysis, ErrorRanks, analyze_errors, rank_errors
from pipeline.evaluation.error_types import RIGHT, Matches, SortedErrors, join_errors, sort_errors
from pipeline.evaluation.hicodet import (
    HicoDetResult,
    Rules,
    check_rules,
    check_scored,
    check_truth,
    count_truth,
    counted_cells,
    result_of_hits,
)
from pipeline.evaluation.matching import TruthIndex, best_pairs, cell_index
from pipeline.evaluation.ranking import claiming_rows, group_of, num_before, ranking_keys
from pipeline.evaluation.selection import as_read, selected_rows
from pipeline.store.ragged import offsets_of
from pipeline.truth.ground_truth import GroundTruth

if TYPE_CHECKING:
    from distributed import Client

IMAGES_AT_ONCE = 256
_TASKS = 256  # at most: a graph of tasks of any size, however many images


class ImageBlocks(Protocol):
    """Detections, read by ranges of images. It is sent to workers that see the same files: paths rather than arrays."""

    def read(self, start: int, stop: int) -> tuple[Detections, Sequence[FloatArray]]:
        """Triplets of images start..stop-1, in image order, and their scores in each ranking, float32 [T] each.

        `image_index` counts from `start`; the triplets' own scores are not used.
        """


@dataclass(frozen=True)
class Evaluation:
    """Results of all rankings over the same `num_detections` detections.

    Of the first ranking, where asked for, else None, in the order in which detections are read: `matched` int32 [T],
    the row of the ground truth that a detection points at, -1 for none, and `errors`, the type of each and what the
    types cost. Where the rules select by score (`selected_rows`), T and `num_detections` are of what the first ranking
    selects.
    """

    results: list[HicoDetResult]
    num_detections: int
    matched: NDArray[np.int32] | None = None
    errors: ErrorAnalysis | None = None


@dataclass(frozen=True)
class SelectedBlocks:
    """The detections that one ranking selects, by its scores; implements `ImageBlocks`."""

    every: ImageBlocks
    rules: Rules
    ranking: int

    def read(self, start: int, stop: int) -> tuple[Detections, Sequence[FloatArray]]:
        """Selected triplets of some images."""
        found, rankings = self.every.read(start, stop)
        scores = rankings[self.ranking]
        check_scored(found, [scores], self.rules, stop - start)
        rows = selected_rows(found, scores, self.rules)
        return found.take(rows), [scores[rows]]


def evaluate_rankings(
    detections: ImageBlocks,
    truth: GroundTruth,
    rules: Rules,
    *,
    keep_matches: bool = False,
    scheduler: Client | str | None = None,
) -> Evaluation:
    """Evaluate every ranking of a split's detections. A worker holds one block of detections, beside hits.

    Args:
        keep_matches: also return what each detection points at, and its type of error.
        scheduler: where Dask works: the client of a cluster whose workers see the same files, or "threads"; None: no
            Dask, one block after the other in this process.

    Raises:
        DataError, ParamError: as `evaluate_hicodet`.
    """
    check_rules(rules)
    check_truth(truth, rules)
    if rules.deviations.selects:
        return _evaluate_selected(detections, truth, rules, keep_matches, scheduler)
    return _evaluate_all(detections, truth, rules, keep_matches, scheduler)


def _evaluate_selected(
    detections: ImageBlocks, truth: GroundTruth, rules: Rules, keep_matches: bool, scheduler: Client | str | None
) -> Evaluation:
    """Each ranking by itself: which detections it counts depends on its scores."""
    found = [
        _evaluate_all(SelectedBlocks(detections, rules, number), truth, rules, keep_matches and not number, scheduler)
        for number in range(len(detections.read(0, 0)[1]))
    ]
    return dataclasses.replace(found[0], results=[part.results[0] for part in found])


def _evaluate_all(
    detections: ImageBlocks, truth: GroundTruth, rules: Rules, keep_matches: bool, scheduler: Client | str | None
) -> Evaluation:
    keep_labels = rules.deviations.counted == "images_with_object"
    tasks = _tasks(_blocks(truth, keep_labels=keep_labels))
    found, ranks = _two_passes(detections, tasks, rules, keep_matches, scheduler)
    first_of_class = (np.cumsum(found.num_detections) - found.num_detections)[found.hoi_id]
    results = [
        result_of_hits(found.hoi_id, count - first_of_class + 1, found.num_gt, found.num_detections, rules)
        for count in ranks.before
    ]
    if found.errors is None or ranks.errors is None:
        return Evaluation(results, found.num_rows)
    errors = analyze_errors(
        found.errors,
        ranks.errors,
        matched=found.matched,
        truth=truth,
        hit_key=found.key[0],
        hit_row=found.row[0],
        hits_before=ranks.before[0],
        num_gt=found.num_gt,
        num_detections=found.num_detections,
        interpolation=rules.deviations.interpolation,
    )
    return Evaluation(results, found.num_rows, found.matched, errors)


@dataclass(frozen=True)
class _Block:
    """Images start..stop-1 and their ground truth, rows `rows` of the whole, whose image_index counts from `start`."""

    start: int
    stop: int
    truth: GroundTruth
    rows: IntArray


@dataclass(frozen=True)
class _Hits:
    """Hits of some images, and totals over them.

    Attributes:
        key: uint64 [R, K] rises by class, then by falling score.
        row: int64 [R, K], the hit's place among all detections: equal keys stand in this order.
        num_rows: all detections.
        num_gt, num_detections: those that the setting counts, int64 [H].
        matched: int32 [T]; empty where not asked for.
        errors: of the first ranking; None where not asked for.
    """

    key: NDArray[np.uint64]
    row: IntArray
    num_rows: int
    num_gt: IntArray
    num_detections: IntArray
    matched: NDArray[np.int32]
    errors: SortedErrors | None


@dataclass(frozen=True)
class _AllHits(_Hits):
    """Hits of all images, by key, then row; `offsets` int64 [tasks + 1] counts the detections before each task."""

    offsets: IntArray

    @property
    def hoi_id(self) -> IntArray:
        """Class of each hit, int64 [K]: the same in every ranking, which claim the same ground truths."""
        return group_of(self.key[0])


@dataclass(frozen=True)
class _Ranks:
    """How many detections of some images stand before each hit in the ranking of all classes, class by class, [R, K];
    and where errors of the first ranking stand."""

    before: IntArray
    errors: ErrorRanks | None

    def __add__(self, other: _Ranks) -> _Ranks:
        errors = self.errors + other.errors if self.errors and other.errors else None
        return _Ranks(self.before + other.before, errors)


_Task = Sequence[_Block]


def _two_passes(
    detections: ImageBlocks, tasks: Sequence[_Task], rules: Rules, keep_matches: bool, scheduler: Client | str | None
) -> tuple[_AllHits, _Ranks]:
    """All hits, and their ranks in the detections of all images."""
    if scheduler is None:
        merged = _merge([_find_hits(detections, task, rules, keep_matches) for task in tasks])
        counts = (_count_before(detections, task, rules, merged, order) for order, task in enumerate(tasks))
        return merged, reduce(add, counts)
    import dask

    # traverse=False: Dask is not to look for tasks inside of arrays
    first = [dask.delayed(_find_hits, traverse=False)(detections, task, rules, keep_matches) for task in tasks]
    later = dask.delayed(_merge)(first)
    delayed = [
        dask.delayed(_count_before, traverse=False)(detections, task, rules, later, order)
        for order, task in enumerate(tasks)
    ]
    found: tuple[_AllHits, _Ranks] = dask.compute(later, reduce(dask.delayed(add), delayed), scheduler=scheduler)
    return found


def _blocks(truth: GroundTruth, *, keep_labels: bool) -> list[_Block]:
    """Cut the ground truth into blocks of images; image-level labels serve the Known Object setting alone."""
    edges = [*range(0, max(1, truth.num_images), IMAGES_AT_ONCE), truth.num_images]
    order = np.argsort(truth.image_index, kind="stable")
    bounds = np.searchsorted(truth.image_index[order], edges).tolist()
    labels = truth.image_hois if keep_labels else None
    blocks = []
    for (start, stop), (low, high) in zip(pairwise(edges), pairwise(bounds), strict=True):
        rows = order[low:high]
        part = GroundTruth(
            image_index=truth.image_index[rows] - np.int32(start),
            hoi_id=truth.hoi_id[rows],
            human_boxes=truth.human_boxes[rows],
            object_boxes=truth.object_boxes[rows],
            num_images=stop - start,
            image_hois=None if labels is None else labels.part(start, stop),
        )
        blocks.append(_Block(start, stop, part, rows))
    return blocks


def _tasks(blocks: Sequence[_Block]) -> list[_Task]:
    """Group blocks into no more tasks than `_TASKS`."""
    size = -(-len(blocks) // _TASKS)
    return [blocks[low : low + size] for low in range(0, len(blocks), size)]


def _find_hits(detections: ImageBlocks, task: _Task, rules: Rules, keep_matches: bool) -> _Hits:
    """First pass: who claims each ground truth of some images, in every ranking. `row` counts from the task's first."""
    return _joined([_find_block_hits(detections, block, rules, keep_matches) for block in task])


def _find_block_hits(detections: ImageBlocks, block: _Block, rules: Rules, keep_matches: bool) -> _Hits:
    found, rankings = detections.read(block.start, block.stop)
    truth, num_hois = block.truth, rules.num_hois
    check_scored(found, rankings, rules, block.stop - block.start)
    index = TruthIndex.build(truth, num_hois)
    cells = cell_index(found.image_index, found.hoi_id, num_hois)
    counted = counted_cells(rules, truth, index)
    found, truth = as_read(found, truth, rules)
    matched = best_pairs(found, truth, index, cells, rules.deviations.threshold)
    counts = np.ones(len(found), np.bool_) if counted is None else counted[cells]
    claiming = np.flatnonzero((matched >= 0) & counts)
    rows = np.stack([claiming[claiming_rows(matched[claiming], scores[claiming])] for scores in rankings])
    keys = [ranking_keys(found.hoi_id[row], scores[row]) for row, scores in zip(rows, rankings, strict=True)]
    of_whole, errors = np.zeros(0, np.int32), None
    if keep_matches:
        of_whole = np.append(block.rows, -1).astype(np.int32)[matched]
        truth_cells = cell_index(truth.image_index, truth.hoi_id, num_hois)
        truth_counts = np.ones(len(truth), np.bool_) if counted is None else counted[truth_cells]
        matches = Matches(matched, rows[0], counts, truth_counts)
        errors = sort_errors(found, rankings[0], truth, index, cells, matches, rules)
    return _Hits(
        key=np.stack(keys),
        row=rows,
        num_rows=len(found),
        num_gt=count_truth(truth, num_hois, counted),
        num_detections=np.bincount(found.hoi_id[counts], minlength=num_hois),
        matched=of_whole,
        errors=errors,
    )


def _joined(parts: Sequence[_Hits]) -> _Hits:
    """Hits of consecutive ranges of images; `row` counts from the first row of the first."""
    return _Hits(
        key=np.concatenate([part.key for part in parts], axis=1),
        row=np.concatenate([part.row + first for part, first in zip(parts, _offsets(parts), strict=False)], axis=1),
        num_rows=sum(part.num_rows for part in parts),
        num_gt=np.sum([part.num_gt for part in parts], axis=0),
        num_detections=np.sum([part.num_detections for part in parts], axis=0),
        matched=np.concatenate([part.matched for part in parts]),
        errors=join_errors([part.errors for part in parts if part.errors is not None], _offsets(parts)),
    )


def _offsets(parts: Sequence[_Hits]) -> IntArray:
    return offsets_of(np.array([part.num_rows for part in parts], np.int64))


def _merge(parts: Sequence[_Hits]) -> _AllHits:
    """Hits of all tasks, sorted."""
    columns = vars(_joined(parts))
    order = np.stack([np.lexsort(pair) for pair in zip(columns["row"], columns["key"], strict=True)])
    in_order = {name: np.take_along_axis(columns[name], order, axis=1) for name in ("key", "row")}
    return _AllHits(**columns | in_order, offsets=_offsets(parts))


def _count_before(detections: ImageBlocks, task: _Task, rules: Rules, hits: _AllHits, order: int) -> _Ranks:
    """Second pass: how many detections of some images stand before each hit, and where errors stand."""
    return reduce(add, _block_ranks(detections, task, rules, hits, int(hits.offsets[order])))


def _block_ranks(
    detections: ImageBlocks, task: _Task, rules: Rules, hits: _AllHits, first_row: int
) -> Iterator[_Ranks]:
    for block in task:
        found, rankings = detections.read(block.start, block.stop)
        rows, size = _counted_rows(found, block.truth, rules), len(found)
        before, errors = np.zeros(hits.key.shape, np.int64), None
        for ranking, scores in enumerate(rankings):
            keys = ranking_keys(found.hoi_id[rows], scores[rows])
            before[ranking] = num_before(hits.key[ranking], hits.row[ranking] - first_row, keys, rows, size)
            if ranking == 0 and hits.errors is not None:
                span = range(first_row, first_row + size)
                errors = rank_errors(hits.errors, hits.key[0], hits.row[0], keys, rows, span, hits.num_gt)
        yield _Ranks(before, errors)
        first_row += size


def _counted_rows(found: Detections, truth: GroundTruth, rules: Rules) -> IntArray:
    """Detections that the setting counts, int64."""
    index = TruthIndex.build(truth, rules.num_hois) if rules.deviations.counted != "all" else None
    if index is None or (counted := counted_cells(rules, truth, index)) is None:
        return np.arange(len(found))
    return np.flatnonzero(counted[cell_index(found.image_index, found.hoi_id, rules.num_hois)])


@dataclass(frozen=True)
class InMemory:
    """Detections in memory, in image order, ranked by their own scores; implements `ImageBlocks`."""

    detections: Detections

    def read(self, start: int, stop: int) -> tuple[Detections, Sequence[FloatArray]]:
        """Rows of some images."""
        images = self.detections.image_index
        low, high = np.searchsorted(images, np.array([start, stop], images.dtype))  # another type would copy them all
        rows = slice(int(low), int(high))
        part = self.detections.take(rows)
        return dataclasses.replace(part, image_index=part.image_index - np.int32(start)), [part.scores]


def evaluate_hicodet(
    detections: Detections, truth: GroundTruth, rules: Rules, *, keep_matches: bool = False
) -> HicoDetResult:
    """Evaluate scored triplets by the official protocol.

    Args:
        detections: T triplets in any order of images; row order breaks ties within an image.
        truth: G annotated pairs. Its `image_hois`, where given, say which images `known_object` scores (the official
            lists come from image-level labels); without them the annotated pairs do.
        rules: classes and setting.
        keep_matches: also return `hits` and `matched_index` for each detection.

    Returns:
        The scores; a class without detections has AP 0, one without ground truth nan.

    Raises:
        DataError: an id or image index is out of range, a score is NaN, or arrays do not fit the number of classes.
        ParamError: unknown setting or interpolation.
    """
    check_rules(rules)
    check_scored(detections, [detections.scores], rules, truth.num_images)
    images = detections.image_index
    order = None if (images[1:] >= images[:-1]).all() else np.argsort(images, kind="stable")
    source = InMemory(detections if order is None else detections.take(order))
    found = evaluate_rankings(source, truth, rules, keep_matches=keep_matches)
    if not keep_matches:
        return found.results[0]
    assert found.errors is not None and found.matched is not None
    hits, matched = np.zeros(len(detections), np.bool_), np.full(len(detections), -1, np.int64)
    rows = selected_rows(source.detections, source.detections.scores, rules)
    hits[rows], matched[rows] = found.errors.error == RIGHT, found.matched
    if order is not None:
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        hits, matched = hits[back], matched[back]
    return dataclasses.replace(found.results[0], hits=hits, matched_index=matched)
