"""The HICO-DET protocol: mean average precision over HOI classes, in three settings.

Source: `evaluation/eval_one.m` and `VOCevaldet_bboxpair.m` of ywchao/ho-rcnn. Per HOI class, the detections of all
images form one list by falling score (ties: image order, then row order). Each looks at its best ground-truth pair of
its image and class only, by min(IoU human, IoU object) >= 0.5; the first to claim a pair is right, every other one
wrong. There is no limit on the number of detections and no suppression.

Settings:
- `default`: every image counts for every class, images without a visible pair among them.
- `known_object`: a class counts only on images labelled with some interaction of its object.
- `explanation_hoi`: a row counts only if its class is among the image's own ground truth (the row filter of
  Explanation-HOI, `HoiDetectionMeanAvgPrecision.update`), all else official. It inflates mAP; it is here to show by
  how much.

Axis legend: T detections, G ground-truth pairs, I images, H HOI classes, C object categories, K hits.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError, ParamError, did_you_mean
from pipeline.core.types import Detections, IntArray
from pipeline.evaluation.average_precision import (
    INTERPOLATIONS,
    DoubleArray,
    Interpolation,
    average_precision,
    precision_recall,
)
from pipeline.evaluation.matching import TruthIndex, best_pairs, cell_index, first_claims
from pipeline.evaluation.ranges import check_range
from pipeline.evaluation.ranking import sort_detections
from pipeline.truth.ground_truth import GroundTruth

Setting = Literal["default", "known_object", "explanation_hoi"]
SETTINGS: tuple[str, ...] = get_args(Setting)


@dataclass(frozen=True)
class HicoDetResult:
    """Scores of one evaluation, in 0..1.

    Per class: `ap` and `max_recall` float64 [H], nan where the class has no ground truth; `num_gt` and `num_detections`
    int64 [H] (those that the setting counts); `is_rare` bool [H].
    Per hit: `hit_hoi_id` int64 [K], `hit_precision` and `hit_recall` float64 [K], by class, then by falling score.
    Per detection, where asked for, else None: `hits` bool [T]; `matched_index` int64 [T], the row of the ground truth
    that the detection points at, -1 for none. A detection with a match that is no hit is a duplicate, or does not count
    in this setting.
    """

    setting: str
    interpolation: str
    ap: DoubleArray
    max_recall: DoubleArray
    num_gt: IntArray
    num_detections: IntArray
    is_rare: NDArray[np.bool_]
    hit_hoi_id: IntArray
    hit_precision: DoubleArray
    hit_recall: DoubleArray
    hits: NDArray[np.bool_] | None = None
    matched_index: IntArray | None = None

    @property
    def full(self) -> float:
        """Mean AP over all classes; as officially, a class without ground truth counts as 0."""
        return _mean(self.ap)

    @property
    def rare(self) -> float:
        """Mean AP over rare classes (fewer than 10 training pairs); nan where there are none."""
        return _mean(self.ap[self.is_rare])

    @property
    def non_rare(self) -> float:
        """Mean AP over the other classes; nan where there are none."""
        return _mean(self.ap[~self.is_rare])

    @property
    def mean_max_recall(self) -> float:
        """Mean over all classes of the recall of the whole list; a class without ground truth counts as 0."""
        return _mean(self.max_recall)

    def curve(self, hoi_id: int) -> tuple[DoubleArray, DoubleArray]:
        """Recall and precision of a class after each of its hits, float64 [hits of the class] each."""
        low, high = np.searchsorted(self.hit_hoi_id, [hoi_id, hoi_id + 1])
        return self.hit_recall[low:high], self.hit_precision[low:high]


def _mean(values: DoubleArray) -> float:
    return float(np.nan_to_num(values).mean()) if len(values) else float("nan")


def evaluate_hicodet(
    detections: Detections,
    truth: GroundTruth,
    *,
    num_hois: int,
    rare: NDArray[np.bool_],
    hoi_object_ids: IntArray,
    setting: Setting = "default",
    interpolation: Interpolation = "official_11_point",
    keep_matches: bool = False,
    matched_index: IntArray | None = None,
) -> HicoDetResult:
    """Evaluate scored triplets by the official protocol.

    Args:
        detections: T triplets; row order breaks ties within an image. float32 scores sort fastest.
        truth: G annotated pairs. Its `image_hois`, where given, say which images `known_object` scores (the official
            lists come from image-level labels); without them the annotated pairs do.
        num_hois: H.
        rare: classes with fewer than 10 training pairs, bool [H].
        hoi_object_ids: object category of each class, int64 [H].
        setting: "default", "known_object" or "explanation_hoi", see the module's docstring.
        interpolation: see `average_precision`.
        keep_matches: also return `hits` and `matched_index` for each detection.
        matched_index: int64 [T] of an earlier result on the same boxes and classes, whatever their scores: spares the
            matching.

    Returns:
        The scores; a class without detections has AP 0, one without ground truth nan.

    Raises:
        DataError: an id or image index is out of range, a score is NaN, or arrays do not fit `num_hois`.
        ParamError: unknown setting or interpolation.
    """
    check_choices(setting, interpolation)
    check_ranges(detections, truth, num_hois, rare, hoi_object_ids)
    index = TruthIndex.build(truth, num_hois)
    cells = cell_index(detections.image_index, detections.hoi_id, num_hois)
    matched = best_pairs(detections, truth, index, cells) if matched_index is None else matched_index
    if matched.shape != (len(detections),):
        raise DataError(f"matched_index: shape {matched.shape}, expected one entry for each of {len(detections)} rows")

    counted = counted_cells(setting, truth, index, hoi_object_ids)
    rows = _sorted_rows(detections, num_hois, None if counted is None else np.flatnonzero(counted[cells]))
    del cells
    hit_positions = first_claims(matched[rows], len(truth))
    hit_rows = rows[hit_positions]

    num_gt = count_truth(truth, num_hois, counted)
    num_detections = np.bincount(detections.hoi_id[rows], minlength=num_hois)
    hit_hoi_id = detections.hoi_id[hit_rows].astype(np.int64)
    hit_rank = hit_positions - (np.cumsum(num_detections) - num_detections)[hit_hoi_id] + 1
    result = result_of_hits(hit_hoi_id, hit_rank, num_gt, num_detections, rare, setting, interpolation)
    if not keep_matches:
        return result
    return dataclasses.replace(result, hits=_flags(hit_rows, len(detections)), matched_index=matched.astype(np.int64))


def result_of_hits(
    hit_hoi_id: IntArray,
    hit_rank: IntArray,
    num_gt: IntArray,
    num_detections: IntArray,
    rare: NDArray[np.bool_],
    setting: Setting,
    interpolation: Interpolation,
) -> HicoDetResult:
    """The scores, given where the hits stand.

    Args:
        hit_hoi_id: class of each hit, int64 [K], ascending.
        hit_rank: its 1-based position among all detections of the class, int64 [K], ascending within a class.
        num_gt, num_detections: of each class, int64 [H].
        rare: bool [H].
    """
    precision, recall = precision_recall(hit_hoi_id, hit_rank, num_gt)
    num_hits = np.bincount(hit_hoi_id, minlength=len(num_gt))
    return HicoDetResult(
        setting=setting,
        interpolation=interpolation,
        ap=average_precision(hit_hoi_id, precision, recall, num_gt, interpolation),
        max_recall=np.where(num_gt > 0, num_hits / np.maximum(num_gt, 1), np.nan),
        num_gt=num_gt,
        num_detections=num_detections,
        is_rare=rare,
        hit_hoi_id=hit_hoi_id,
        hit_precision=precision,
        hit_recall=recall,
    )


def _sorted_rows(detections: Detections, num_hois: int, rows: IntArray | None) -> IntArray:
    """Rows that count (None: all), by class, falling score, image, row; int64."""
    hoi_id, scores, image_index = detections.hoi_id, detections.scores, detections.image_index
    if rows is not None:
        hoi_id, scores, image_index = hoi_id[rows], scores[rows], image_index[rows]
    narrow = np.min_scalar_type(-num_hois)  # 16-bit ids sort by radix
    order = sort_detections(hoi_id.astype(narrow, copy=False), scores, image_index)
    return order if rows is None else rows[order]


def counted_cells(
    setting: str, truth: GroundTruth, index: TruthIndex, hoi_object_ids: IntArray
) -> NDArray[np.bool_] | None:
    """Cells (image, HOI class) that the setting counts, bool [I * H]; None for all."""
    if setting == "default":
        return None
    if setting == "explanation_hoi":
        return index.group >= 0
    shape = (truth.num_images, len(hoi_object_ids))
    shown = (index.group >= 0).reshape(shape) if truth.image_hois is None else truth.image_hois
    image_index, hoi_id = np.nonzero(shown)
    labelled = np.zeros((truth.num_images, int(hoi_object_ids.max(initial=-1)) + 1), dtype=np.bool_)  # [I, C]
    labelled[image_index, hoi_object_ids[hoi_id]] = True
    return labelled[:, hoi_object_ids].ravel()


def count_truth(truth: GroundTruth, num_hois: int, counted: NDArray[np.bool_] | None) -> IntArray:
    """Ground-truth pairs of each class in the cells that count, int64 [H]."""
    if counted is None:
        return np.bincount(truth.hoi_id, minlength=num_hois)
    cells = cell_index(truth.image_index, truth.hoi_id, num_hois)
    return np.bincount(truth.hoi_id[counted[cells]], minlength=num_hois)


def _flags(rows: IntArray, size: int) -> NDArray[np.bool_]:
    flags = np.zeros(size, dtype=np.bool_)
    flags[rows] = True
    return flags


def check_choices(setting: str, interpolation: str) -> None:
    """Refuse an unknown setting or interpolation.

    Raises:
        ParamError: names it and the known ones.
    """
    for name, value, known in (("setting", setting, SETTINGS), ("interpolation", interpolation, INTERPOLATIONS)):
        if value not in known:
            raise ParamError(f'{name} "{value}" is unknown{did_you_mean(value, known)}; expected one of {known}')


def check_ranges(
    detections: Detections, truth: GroundTruth, num_hois: int, rare: NDArray[np.bool_], hoi_object_ids: IntArray
) -> None:
    """Refuse what `evaluate_hicodet` can't score.

    Raises:
        DataError: an id or image index is out of range, a score is NaN, or arrays do not fit `num_hois`.
    """
    for name, per_class in (("rare", rare), ("hoi_object_ids", hoi_object_ids)):
        if per_class.shape != (num_hois,):
            raise DataError(f"{name}: shape {per_class.shape}, expected one entry for each of {num_hois} HOI classes")
    if truth.image_hois is not None and truth.image_hois.shape != (truth.num_images, num_hois):
        raise DataError(
            f"image_hois: shape {truth.image_hois.shape}, expected {truth.num_images} images x {num_hois} HOI classes"
        )
    for where, record in (("detections", detections), ("ground truth", truth)):
        check_range(record.hoi_id, num_hois, f"{where}: hoi_id", "HOI classes")
        check_range(record.image_index, truth.num_images, f"{where}: image_index", "images")
    if np.isnan(detections.scores).any():
        row = int(np.flatnonzero(np.isnan(detections.scores))[0])
        raise DataError(f"detections: the score of row {row} is nan; expected a number")
