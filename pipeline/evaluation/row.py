"""One row of a results table: a dump scored as its params say, by the protocol of its dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.params import EvaluateParams
from pipeline.core.types import Detections, GroundTruth
from pipeline.data.vcoco_annotations import VCocoAnnotations
from pipeline.evaluation.fusion import fuse
from pipeline.evaluation.hicodet import HicoDetResult, evaluate_hicodet
from pipeline.evaluation.summary import metrics
from pipeline.evaluation.vcoco import evaluate_vcoco
from pipeline.evaluation.vcoco_triplets import role_detections, vcoco_metrics
from pipeline.store.dump import PredictionDump


@dataclass(frozen=True)
class Row:
    """Scored triplets, their mAP over HOI classes, and the numbers of both as JSON values (percent)."""

    detections: Detections
    result: HicoDetResult
    metrics: dict[str, Any]

    @property
    def headline(self) -> str:
        """The numbers that the protocol is quoted by, in one line."""
        if "ap_role_s1" in self.metrics:
            return "AP_role S1 {ap_role_s1:.2f}  S2 {ap_role_s2:.2f}  AP_agent {ap_agent:.2f}".format(**self.metrics)
        return "Full {full:.2f}  Rare {rare}  Non-rare {non_rare} mAP".format(**self.metrics)


def score_dump(
    dump: PredictionDump,
    params: EvaluateParams,
    truth: GroundTruth,
    rare: NDArray[np.bool_],
    *,
    people: VCocoAnnotations | None = None,
    times: PredictionDump | None = None,
) -> Row:
    """Fuse scores (eq. 3) and evaluate them.

    Args:
        rare: bool [H].
        people: annotated people, where the protocol is V-COCO's.
        times: the dump of `params.times_run`.
    """
    detections = fuse(dump, params, times)
    result = evaluate_hicodet(
        detections,
        truth,
        num_hois=dump.vocabulary.num_hois,
        rare=rare,
        hoi_object_ids=dump.vocabulary.hoi_object_ids,
        setting=params.setting,
    )
    numbers = metrics(result, detections, truth)
    if people is not None:
        numbers |= vcoco_metrics(evaluate_vcoco(role_detections(detections, dump.vocabulary, people), people))
    return Row(detections, result, numbers)
