"""The HICO-DET protocol: mean average precision over HOI classes, in three settings.

Source: `evaluation/eval_one.m` and `VOCevaldet_bboxpair.m` of ywchao/ho-rcnn. Per HOI class, the detections of all
images form one list by falling score (ties: image order, then row order). Each looks at its best ground-truth pair of
its image and class only, by min(IoU human, IoU object) >= 0.5; the first to claim a pair is right, every other one
wrong. There is no limit on the number of detections and no suppression.

Settings:
- `default`: every image counts for every class, images without a visible pair among them.
- `known_object`: a class counts only on images labeled with some interaction of its object.
- `explanation_hoi`: a row counts only if its class is among the image's own ground truth (the row filter of
  Explanation-HOI, `HoiDetectionMeanAvgPrecision.update`), all else official. It inflates mAP; it is here to show by
  how much.

Axis legend: T detections, G ground-truth pairs, I images, H HOI classes, C object categories, K hits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.core.class_groups import ClassGroups, mean_score
from pipeline.core.errors import DataError, ParamError, did_you_mean
from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.evaluation.average_precision import (
    INTERPOLATIONS,
    DoubleArray,
    Interpolation,
    average_precision,
    precision_recall,
)
from pipeline.evaluation.matching import TruthIndex, cell_index
from pipeline.evaluation.ranges import check_range
from pipeline.truth.ground_truth import GroundTruth

Setting = Literal["default", "known_object", "explanation_hoi"]
SETTINGS: tuple[str, ...] = get_args(Setting)


@dataclass(frozen=True)
class Rules:
    """What detections are scored by.

    `hoi_object_ids` int64 [H]: object category of each class; `interpolation`: see `average_precision`.
    """

    hoi_object_ids: IntArray
    setting: Setting = "default"
    interpolation: Interpolation = "official_11_point"

    @property
    def num_hois(self) -> int:
        """Number of HOI classes, H."""
        return len(self.hoi_object_ids)


@dataclass(frozen=True)
class HicoDetResult:
    """Scores of one evaluation, in 0..1.

    Per class: `ap` and `max_recall` float64 [H], nan where the class has no ground truth; `num_gt` and `num_detections`
    int64 [H] (those that the setting counts).
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
    hit_hoi_id: IntArray
    hit_precision: DoubleArray
    hit_recall: DoubleArray
    hits: NDArray[np.bool_] | None = None
    matched_index: IntArray | None = None

    @property
    def mean_ap(self) -> float:
        """Mean AP over all classes; as officially, a class without ground truth counts as 0."""
        return mean_score(self.ap)

    @property
    def mean_max_recall(self) -> float:
        """Mean over all classes of the recall of the whole list; a class without ground truth counts as 0."""
        return mean_score(self.max_recall)

    def figures(self, groups: ClassGroups, number: Callable[[float], float | None]) -> dict[str, Any]:
        """Setting, mean AP of each group of classes, AP and ground-truth pairs of each class.

        Args:
            number: makes the JSON value of an AP, which may be nan.
        """
        return {
            "setting": self.setting,
            **{name: number(mean) for name, mean in groups.means(self.ap).items()},
            "ap": [number(ap) for ap in self.ap.tolist()],
            "num_gt": self.num_gt.tolist(),
        }

    def curve(self, hoi_id: int) -> tuple[DoubleArray, DoubleArray]:
        """Recall and precision of a class after each of its hits, float64 [hits of the class] each."""
        low, high = np.searchsorted(self.hit_hoi_id, [hoi_id, hoi_id + 1])
        return self.hit_recall[low:high], self.hit_precision[low:high]


def result_of_hits(
    hit_hoi_id: IntArray,
    hit_rank: IntArray,
    num_gt: IntArray,
    num_detections: IntArray,
    rules: Rules,
) -> HicoDetResult:
    """The scores, given where the hits stand.

    Args:
        hit_hoi_id: class of each hit, int64 [K], ascending.
        hit_rank: its 1-based position among all detections of the class, int64 [K], ascending within a class.
        num_gt, num_detections: of each class, int64 [H].
    """
    precision, recall = precision_recall(hit_hoi_id, hit_rank, num_gt)
    num_hits = np.bincount(hit_hoi_id, minlength=len(num_gt))
    return HicoDetResult(
        setting=rules.setting,
        interpolation=rules.interpolation,
        ap=average_precision(hit_hoi_id, precision, recall, num_gt, rules.interpolation),
        max_recall=np.where(num_gt > 0, num_hits / np.maximum(num_gt, 1), np.nan),
        num_gt=num_gt,
        num_detections=num_detections,
        hit_hoi_id=hit_hoi_id,
        hit_precision=precision,
        hit_recall=recall,
    )


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
    labeled = np.zeros((truth.num_images, int(hoi_object_ids.max(initial=-1)) + 1), dtype=np.bool_)  # [I, C]
    labeled[image_index, hoi_object_ids[hoi_id]] = True
    return labeled.take(hoi_object_ids, axis=1).ravel()


def count_truth(truth: GroundTruth, num_hois: int, counted: NDArray[np.bool_] | None) -> IntArray:
    """Ground-truth pairs of each class in the cells that count, int64 [H]."""
    if counted is None:
        return np.bincount(truth.hoi_id, minlength=num_hois)
    cells = cell_index(truth.image_index, truth.hoi_id, num_hois)
    return np.bincount(truth.hoi_id[counted[cells]], minlength=num_hois)


def check_rules(rules: Rules) -> None:
    """Refuse an unknown setting or interpolation.

    Raises:
        ParamError: names it and the known ones.
    """
    for name, known in (("setting", SETTINGS), ("interpolation", INTERPOLATIONS)):
        if (value := getattr(rules, name)) not in known:
            raise ParamError(f'{name} "{value}" is unknown{did_you_mean(value, known)}; expected one of {known}')


def check_truth(truth: GroundTruth, rules: Rules) -> None:
    """Refuse annotations of other classes; raises DataError."""
    if truth.image_hois is not None and truth.image_hois.shape != (truth.num_images, rules.num_hois):
        found, expected = truth.image_hois.shape, f"{truth.num_images} images x {rules.num_hois} HOI classes"
        raise DataError(f"image_hois: shape {found}, expected {expected}")
    check_range(truth.hoi_id, rules.num_hois, "ground truth: hoi_id", "HOI classes")


def check_scored(detections: Detections, rankings: Sequence[FloatArray], rules: Rules, num_images: int) -> None:
    """Refuse detections that cannot be scored.

    Raises:
        DataError: an id or image index is out of range, or a score is NaN.
    """
    check_range(detections.hoi_id, rules.num_hois, "detections: hoi_id", "HOI classes")
    check_range(detections.image_index, num_images, "detections: image_index", "images")
    for scores in rankings:
        if np.isnan(scores).any():
            row = int(np.flatnonzero(np.isnan(scores))[0])
            raise DataError(f"detections: the score of row {row} is nan; expected a number")
