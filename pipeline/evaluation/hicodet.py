"""The HICO-DET protocol: mean average precision over HOI classes, in several settings.

Source: `evaluation/eval_one.m` and `VOCevaldet_bboxpair.m` of ywchao/ho-rcnn. Per HOI class, the detections of all
images form one list by falling score (ties: image order, then row order). Each looks at its best ground-truth pair of
its image and class only, by min(IoU human, IoU object) >= 0.5; the first to claim a pair is right, every other one
wrong. There is no limit on the number of detections and no suppression.

Axis legend: T detections, G ground-truth pairs, I images, H HOI classes, C object categories, K hits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

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
from pipeline.evaluation.matching import OVERLAP_THRESHOLD, TruthIndex, cell_index
from pipeline.evaluation.params import EvaluateParams, Setting
from pipeline.evaluation.ranges import check_range
from pipeline.truth.ground_truth import GroundTruth


@dataclass(frozen=True)
class Deviations:
    """What a setting does otherwise than officially: the defaults are the official rules.

    Attributes:
        counted: which images count for a class: all; those with any annotated pair; those labeled with some interaction
            of its object; those that show the class.
        strict_overlap: an overlap of exactly 0.5 is too little.
        interpolation: recall levels, see `average_precision`.
        unaligned_boxes: annotated boxes are read 1 pixel too far right and down, detected ones 1 pixel too wide and
            high: their conventions are mixed.
        top_k: only the detections of the k highest scores of an image count; None: all.
        distinct_scores: of equal scores of an image, only the first row counts.
        pair_nms: a detection does not count if it overlaps a better one of its image and class by more than this
            (`selection.py`); None: no suppression.
    """

    counted: Literal["all", "images_with_pairs", "images_with_object", "classes_of_image"] = "all"
    strict_overlap: bool = False
    interpolation: Interpolation = "official_11_point"
    unaligned_boxes: bool = False
    top_k: int | None = None
    distinct_scores: bool = False
    pair_nms: float | None = None

    @property
    def threshold(self) -> float:
        """Smallest overlap of a match."""
        return float(np.nextafter(OVERLAP_THRESHOLD, 1)) if self.strict_overlap else OVERLAP_THRESHOLD

    @property
    def selects(self) -> bool:
        """Whether it depends on the scores which detections of an image count."""
        return self.distinct_scores or self.top_k is not None or self.pair_nms is not None


SETTINGS: dict[Setting, Deviations] = {
    # `eval_one.m`, both of its modes.
    "default": Deviations(),
    "known_object": Deviations(counted="images_with_object"),
    # The row filter of Explanation-HOI (`hico_map.py`, `HoiDetectionMeanAvgPrecision.update`), all else official.
    "explanation_hoi": Deviations(counted="classes_of_image"),
    # fredzzhang/upt: `utils.py: test_hico`, pocket's `BoxPairAssociation` and `DetectionAPMeter`; SCG and PViC too.
    "upt": Deviations(counted="images_with_pairs", strict_overlap=True, interpolation="both_ends_11_point"),
    # YueLiao/gen-vlkt: `datasets/hico_eval_triplet.py`, with `--use_nms_filter` as in all its configurations. Where
    # scores are equal it takes the first row once for each, and its suppression removes the copies.
    "gen_vlkt": Deviations(unaligned_boxes=True, top_k=100, distinct_scores=True, pair_nms=0.7),
}


@dataclass(frozen=True)
class Rules:
    """What detections are scored by.

    `hoi_object_ids` int64 [H]: object category of each class; `setting`: a row of `SETTINGS`; `changes`: fields of
    `Deviations` with values in place of the setting's own.
    """

    hoi_object_ids: IntArray
    setting: Setting = "default"
    changes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_params(cls, hoi_object_ids: IntArray, params: EvaluateParams) -> Rules:
        """Rules of the section `evaluate`."""
        return cls(hoi_object_ids, params.setting, {} if params.pair_nms is None else {"pair_nms": params.pair_nms})

    @property
    def name(self) -> str:
        """The setting and its changes, for results: "default_pair_nms_0.7"."""
        return "_".join([self.setting, *(f"{key}_{value}" for key, value in self.changes.items())])

    @property
    def num_hois(self) -> int:
        """Number of HOI classes, H."""
        return len(self.hoi_object_ids)

    @cached_property
    def deviations(self) -> Deviations:
        """The setting, with the changes."""
        return replace(SETTINGS[self.setting], **self.changes)


@dataclass(frozen=True)
class HicoDetResult:
    """Scores of one evaluation, in 0..1, by `setting`, the name of its rules.

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
        setting=rules.name,
        interpolation=rules.deviations.interpolation,
        ap=average_precision(hit_hoi_id, precision, recall, num_gt, rules.deviations.interpolation),
        max_recall=np.where(num_gt > 0, num_hits / np.maximum(num_gt, 1), np.nan),
        num_gt=num_gt,
        num_detections=num_detections,
        hit_hoi_id=hit_hoi_id,
        hit_precision=precision,
        hit_recall=recall,
    )


def counted_cells(rules: Rules, truth: GroundTruth, index: TruthIndex) -> NDArray[np.bool_] | None:
    """Cells (image, HOI class) that count, bool [I * H]; None for all."""
    counted = rules.deviations.counted
    if counted == "all":
        return None
    if counted == "classes_of_image":
        return index.group >= 0
    if counted == "images_with_pairs":
        return np.repeat(np.bincount(truth.image_index, minlength=truth.num_images) > 0, rules.num_hois)
    shown = truth.shown(rules.num_hois)
    labeled = np.zeros((truth.num_images, int(rules.hoi_object_ids.max(initial=-1)) + 1), dtype=np.bool_)  # [I, C]
    labeled[shown.image_index, rules.hoi_object_ids[shown.hoi_ids]] = True
    return labeled.take(rules.hoi_object_ids, axis=1).ravel()


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
    _check_choice("setting", rules.setting, tuple(SETTINGS))
    _check_choice("interpolation", rules.deviations.interpolation, INTERPOLATIONS)


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ParamError(f'{name} "{value}" is unknown{did_you_mean(value, known)}; expected one of {known}')


def check_truth(truth: GroundTruth, rules: Rules) -> None:
    """Refuse annotations of other classes; raises DataError."""
    labels = truth.image_hois
    if labels is not None and (len(labels), labels.num_hois) != (truth.num_images, rules.num_hois):
        found, expected = (len(labels), labels.num_hois), f"{truth.num_images} images x {rules.num_hois} HOI classes"
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
