"""A variant's dump as what the report shows: fused, evaluated, and cut down to the detections that are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.types import Detections, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.fusion import Factors, fuse_factors
from pipeline.evaluation.hicodet import HicoDetResult, evaluate_hicodet
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.summary import metrics
from pipeline.report.selection import Findings, best_rows
from pipeline.store.dump import PredictionDump
from pipeline.truth.ground_truth_file import AnnotatedSplit

_ROWS_PER_IMAGE = 30  # of the gallery, on average: bounds the size of the page


@dataclass(frozen=True)
class ScoredRun:
    """A variant's detections, as far as they are shown, and the metrics of all of them.

    `best`: of each class its best-scored ones in the split, as many as it has annotated pairs, best first.
    `gallery`: all detections of the gallery's images that score at least `floor`, by image, best first.
    `break_even`: the score above which there are as many detections in the split as annotated pairs.
    """

    best: Findings
    gallery: Findings
    floor: float
    break_even: float
    metrics: dict[str, Any]


def score_run(
    dump: PredictionDump,
    annotated: AnnotatedSplit,
    vocabulary: Vocabulary,
    evaluate: EvaluateParams,
    gallery_images: IntArray,
    times: PredictionDump | None = None,
) -> ScoredRun:
    """Fuse and evaluate a dump, and keep the detections that are shown.

    Args:
        evaluate: the variant's own; hits are those of its setting.
        gallery_images: rows of the split.
        times: the dump of `evaluate.times_run`.
    """
    detections, factors = fuse_factors(dump, evaluate, times)
    truth = annotated.truth
    result = evaluate_hicodet(
        detections,
        truth,
        num_hois=vocabulary.num_hois,
        rare=annotated.rare,
        hoi_object_ids=vocabulary.hoi_object_ids,
        setting=evaluate.setting,
        keep_matches=True,
    )

    def findings(rows: IntArray) -> Findings:
        return _findings(detections, factors, result, rows)

    shown = np.flatnonzero(np.isin(detections.image_index, gallery_images))
    floor = _floor(detections.scores[shown], _ROWS_PER_IMAGE * len(gallery_images))
    shown = shown[detections.scores[shown] >= floor]
    shown = shown[np.lexsort((shown, -detections.scores[shown], detections.image_index[shown]))]
    return ScoredRun(
        best=findings(best_rows(detections, truth, vocabulary.num_hois)),
        gallery=findings(shown),
        floor=floor,
        break_even=max(floor, _floor(detections.scores, len(truth))),
        metrics=metrics(result, len(detections), truth),
    )


def _floor(scores: np.ndarray, count: int) -> float:
    """The score of the `count`-th best of these, of the last if there are fewer, 1 if there are none."""
    if not len(scores) or not count:
        return 1.0
    place = min(count, len(scores)) - 1
    return float(-np.partition(-scores, place)[place])


def _findings(detections: Detections, factors: Factors, result: HicoDetResult, rows: IntArray) -> Findings:
    assert result.hits is not None and result.matched_index is not None
    return Findings(
        detections=Detections(
            image_index=detections.image_index[rows],
            hoi_id=detections.hoi_id[rows],
            human_boxes=detections.human_boxes[rows],
            object_boxes=detections.object_boxes[rows],
            scores=detections.scores[rows],
        ),
        hits=result.hits[rows],
        matched_index=result.matched_index[rows],
        factors=factors.take(rows),
    )
