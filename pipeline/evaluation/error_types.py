"""Why detections are wrong and annotated pairs missed, and what each type of error costs.

A *pair* is a human box and an object box. A box *fits* an annotated one by IoU >= 0.5 (or what the setting asks for), a
pair an annotated pair where both boxes fit; its overlap is min(IoU human, IoU object). A detection's category is the
object category of its HOI class. A detection has the first of these types that applies:

- `right`: the true positive of an annotated pair.
- `duplicate`: points at an annotated pair of its class that a better-scored detection has claimed.
- `wrong_verb`: fits an annotated pair of its category that has other verbs.
- `wrong_association`: its human box fits a human of an annotated pair, its object box an object of its category of an
  annotated pair, but not both those of one pair.
- `localization`: overlaps an annotated pair of its class by 0.1 to 0.5.
- `wrong_category`: fits an annotated pair of another category.
- `background`: none of these. Nothing annotated is near, or two things are wrong at once.

A detection that the setting does not count has none. An annotated pair that is not found has the first of these:

- `below_threshold`: a detection has claimed it, but below break-even.
- `class_never_predicted`: a detected pair fits it, but none of these pairs was scored for its class.
- `no_proposal_pair`: no detected pair fits it, or those of its class point at another annotated pair.

*Break-even* of a class is after its best-scored detections, as many as it has annotated pairs: there precision equals
recall, whatever the scale of its scores. Counts are of these detections, and of the pairs that they do not find.

The mAP gained if one type were fixed is TIDE's (Bolya et al., ECCV 2020): all detections are evaluated again with one
type corrected. With the right verb, category or place, the best-scored `wrong_verb`, `wrong_category` or `localization`
of each annotated pair that nothing claims becomes its true positive, at its score; all others of the type, and
`duplicate`, `wrong_association` and `background`, are removed. `no_proposal_pair` and `class_never_predicted` leave the
number to be found. `below_threshold` has no gain of its own: the wrong detections above it have. Gains do not add up.

Differences: TIDE asks for localization before class. Diag-HOI (Zhu et al., arXiv 2308.08529) has a type for each box
that does not fit, however far, and lets a fixed detection replace a true positive of a lower score.

V-COCO is sorted by the same rules over its HOI classes. Its role AP is not: a detection belongs to a person there, and
categories are not compared.

Axis legend: T detections, G annotated pairs, H HOI classes, P pairs, F fixes, K hits, E types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.evaluation.hicodet import Rules
from pipeline.evaluation.matching import TruthIndex, best_pairs, first_maximum, image_overlaps
from pipeline.evaluation.ranking import claiming_rows, ranking_keys
from pipeline.truth.ground_truth import GroundTruth

ERROR_TYPES = (
    "right",
    "duplicate",
    "wrong_verb",
    "wrong_association",
    "localization",
    "wrong_category",
    "background",
)
RIGHT, DUPLICATE, WRONG_VERB, WRONG_ASSOCIATION, LOCALIZATION, WRONG_CATEGORY, BACKGROUND = range(len(ERROR_TYPES))
MISSED_TYPES = ("below_threshold", "class_never_predicted", "no_proposal_pair")
BELOW_THRESHOLD, CLASS_NEVER_PREDICTED, NO_PROPOSAL_PAIR = range(len(MISSED_TYPES))
NONE = -1  # a detection that does not count, or an annotated pair that is found or does not count
_NEAR = 0.1  # least overlap of a localization error
_MAY_BECOME_RIGHT = (WRONG_VERB, LOCALIZATION, WRONG_CATEGORY)


@dataclass(frozen=True)
class Matches:
    """How the detections of some images match: `matched` int32 [T], a row of the truth, -1 for none; `hits` int64 [K].

    `counts` bool [T] and `truth_counts` bool [G]: whether the setting counts a detection and an annotated pair.
    """

    matched: NDArray[np.int32]
    hits: IntArray
    counts: NDArray[np.bool_]
    truth_counts: NDArray[np.bool_]


@dataclass(frozen=True)
class SortedErrors:
    """Types of the detections and annotated pairs of some images, in their order.

    Attributes:
        error: int8 [T], a place in `ERROR_TYPES`, `NONE` where a detection does not count.
        missed: int8 [G], a place in `MISSED_TYPES`: all claimed pairs are `BELOW_THRESHOLD` until break-even is known;
            `NONE` where a pair does not count.
        num_errors: detections of each class and type, int64 [H, E].
        fix_error: int8 [F], the type of each detection that becomes right where its type is fixed.
        fix_row: int64 [F], its row.
        fix_key: uint64 [F], its `ranking_keys` in the class of the annotated pair that it then claims.
    """

    error: NDArray[np.int8]
    missed: NDArray[np.int8]
    num_errors: IntArray
    fix_error: NDArray[np.int8]
    fix_row: IntArray
    fix_key: NDArray[np.uint64]


def join_errors(parts: Sequence[SortedErrors], offsets: IntArray) -> SortedErrors | None:
    """Of consecutive ranges of images; `offsets` counts the rows before each. Fixes by type, then by key and row.

    None of no parts.
    """
    if not parts:
        return None
    columns = {name: [getattr(part, name) for part in parts] for name in vars(parts[0])}
    columns["fix_row"] = [part.fix_row + first for part, first in zip(parts, offsets, strict=False)]
    fixes = {name: np.concatenate(columns[name]) for name in ("fix_error", "fix_row", "fix_key")}
    order = np.lexsort((fixes["fix_row"], fixes["fix_key"], fixes["fix_error"]))
    return SortedErrors(
        error=np.concatenate(columns["error"]),
        missed=np.concatenate(columns["missed"]),
        num_errors=np.sum(columns["num_errors"], axis=0),
        **{name: values[order] for name, values in fixes.items()},
    )


def sort_errors(
    found: Detections,
    scores: FloatArray,
    truth: GroundTruth,
    index: TruthIndex,
    cells: IntArray,
    matches: Matches,
    rules: Rules,
) -> SortedErrors:
    """Sort the detections and annotated pairs of whole images.

    Args:
        found, scores: T detections; those of one pair side by side cost one comparison.
        truth, index: G annotated pairs of the same images.
        cells: `cell_index` of the detections, int64 [T].
        rules: classes, and the smallest overlap that fits.
    """
    hoi_object_ids, threshold = rules.hoi_object_ids, rules.deviations.threshold
    categories, shown = hoi_object_ids[found.hoi_id], index.group[cells] >= 0
    free = matches.truth_counts.copy()
    free[matches.matched[matches.hits]] = False
    first, pair = _pairs(found, categories)
    pairs = _sort_pairs(found.take(first), categories[first], truth, hoi_object_ids[truth.hoi_id], free, threshold)
    error, target = pairs.error[pair], pairs.target[pair]

    rows = np.flatnonzero(shown & (matches.matched < 0) & (error >= LOCALIZATION))
    near = best_pairs(found.take(rows), truth, index, cells[rows], _NEAR)
    rows, near = rows[near >= 0], near[near >= 0]
    error[rows], target[rows] = LOCALIZATION, near
    error[matches.matched >= 0] = DUPLICATE
    error[matches.hits] = RIGHT
    error[~matches.counts] = NONE

    rows = np.flatnonzero(np.isin(error, _MAY_BECOME_RIGHT) & (target >= 0))
    rows = rows[free[target[rows]]]
    claimed = error[rows].astype(np.int64) * len(truth) + target[rows]
    fixes = rows[claiming_rows(claimed, scores[rows])]
    num_types, counted = len(ERROR_TYPES), np.flatnonzero(error >= 0)
    places = found.hoi_id[counted].astype(np.int64) * num_types + error[counted]
    return SortedErrors(
        error=error,
        missed=_sort_missed(found, truth, matches, pairs, pair, np.flatnonzero(shown), len(hoi_object_ids), free),
        num_errors=np.bincount(places, minlength=num_types * len(hoi_object_ids)).reshape(-1, num_types),
        fix_error=error[fixes],
        fix_row=fixes,
        fix_key=ranking_keys(truth.hoi_id[target[fixes]], scores[fixes]),
    )


def _pairs(found: Detections, categories: IntArray) -> tuple[IntArray, IntArray]:
    """First row of each run of detections of the same pair and category, int64 [P], and the run of each row [T]."""
    differs = np.ones(len(found), np.bool_)
    differs[1:] = (found.image_index[1:] != found.image_index[:-1]) | (categories[1:] != categories[:-1])
    for boxes in (found.human_boxes, found.object_boxes):
        differs[1:] |= (boxes[1:] != boxes[:-1]).any(axis=1)
    return np.flatnonzero(differs), np.cumsum(differs) - 1


@dataclass(frozen=True)
class _SortedPairs:
    """Types by pair, whatever its verbs; `error` int8 [P] is a type that no comparison of verbs can change.

    `target` int64 [P]: the annotated pair that nothing claims which a detection of the pair would claim with another
    class, -1 for none. `fitted` bool [G]: which annotated pairs are fitted by any pair. `fits` int64 [2, F]: pairs and
    the unclaimed annotated pairs of their category that they fit.
    """

    error: NDArray[np.int8]
    target: IntArray
    fitted: NDArray[np.bool_]
    fits: IntArray


def _sort_pairs(
    pairs: Detections,
    categories: IntArray,
    truth: GroundTruth,
    truth_categories: IntArray,
    free: NDArray[np.bool_],
    threshold: float,
) -> _SortedPairs:
    verb, category, human, partner = np.zeros((4, len(pairs)), np.bool_)
    target, fitted, of_free = np.full(len(pairs), -1), np.zeros(len(truth), np.bool_), [np.zeros((2, 0), np.int64)]
    for row, annotated, human_iou, object_iou in image_overlaps(pairs, truth):
        overlap = np.minimum(human_iou, object_iou)
        fits, same = overlap >= threshold, truth_categories[annotated] == categories[row]
        human[row[human_iou >= threshold]] = True
        partner[row[(object_iou >= threshold) & same]] = True
        verb[row[fits & same]] = True
        category[row[fits]] = True
        fitted[annotated[fits]] = True
        of_free.append(np.stack([row, annotated])[:, fits & same & free[annotated]])
        kept = np.flatnonzero(fits & free[annotated] & (same | ~verb[row]))
        best = kept[first_maximum(row[kept], overlap[kept])]
        target[row[best]] = annotated[best]
    errors = np.select([verb, human & partner, category], [WRONG_VERB, WRONG_ASSOCIATION, WRONG_CATEGORY], BACKGROUND)
    return _SortedPairs(errors.astype(np.int8), target, fitted, np.concatenate(of_free, axis=1))


def _sort_missed(
    found: Detections,
    truth: GroundTruth,
    matches: Matches,
    pairs: _SortedPairs,
    pair: IntArray,
    shown: IntArray,
    num_hois: int,
    free: NDArray[np.bool_],
) -> NDArray[np.int8]:
    """Types of the annotated pairs, int8 [G]; `shown` int64: rows of classes that their image shows."""
    fitting, annotated = pairs.fits
    predicted = np.zeros(len(truth), np.bool_)
    wanted = fitting * num_hois + truth.hoi_id[annotated]
    predicted[annotated[np.isin(wanted, pair[shown] * num_hois + found.hoi_id[shown])]] = True
    missed = np.where(pairs.fitted & ~predicted, CLASS_NEVER_PREDICTED, NO_PROPOSAL_PAIR)
    missed[~free] = BELOW_THRESHOLD
    missed[~matches.truth_counts] = NONE
    return missed.astype(np.int8)
