"""What the global score does to a ranking: mAP as a function of the exponent of sigmoid(s_g) in eq. (3), from one dump.

s_g is one number per image and HOI class, so it raises right and wrong pairs of an image alike. Evaluated twice, it
shows which of the two decides: over all pairs, and over the best pair of each image and class alone, where an image's
pairs no longer compete with each other.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ParamError
from pipeline.core.params import EvaluateParams
from pipeline.core.types import Detections, IntArray
from pipeline.evaluation.fusion import fuse_factors
from pipeline.evaluation.hicodet import evaluate_hicodet
from pipeline.store.dump import PredictionDump
from pipeline.truth.ground_truth import GroundTruth

WEIGHTS = (0.0, 0.25, 0.5, 1.0)  # 0 leaves s_g out, 1 is eq. (3)
KINDS = ("all", "best")


def sweep_fusion_weight(
    dump: PredictionDump, params: EvaluateParams, truth: GroundTruth, rare: NDArray[np.bool_], factor: str = "global"
) -> dict[tuple[str, float], float]:
    """Full mAP in percent by (pairs, weight): "all" pairs, or the "best" of each image and HOI class by its score.

    All factors of eq. (3) but s_g are as in the params; the best pair is the best without s_g, the first of equals.

    Args:
        rare: bool [H].

    Raises:
        ParamError: the predictions have no such factor.
    """
    detections, factors = fuse_factors(dump, params)
    if factor not in factors.values:
        raise ParamError(
            f'{dump.variant}: no factor "{factor}" whose weight could be swept; '
            f"these predictions have {', '.join(factors.values)}"
        )
    plain = factors.with_weights({factor: 0.0}).scores().astype(np.float64)
    rows = {"all": np.arange(len(plain)), "best": best_of_cells(detections, plain)}
    evaluate = partial(
        evaluate_hicodet,
        truth=truth,
        num_hois=dump.vocabulary.num_hois,
        rare=rare,
        hoi_object_ids=dump.vocabulary.hoi_object_ids,
        setting=params.setting,
    )
    matched = evaluate(detections, keep_matches=True).matched_index  # scores do not change which boxes overlap
    assert matched is not None
    found = {}
    for kind in KINDS:
        for weight in WEIGHTS:
            scores = (plain * factors.values[factor] ** weight).astype(np.float32)
            kept = take(dataclasses.replace(detections, scores=scores), rows[kind])
            found[kind, weight] = 100 * evaluate(kept, matched_index=matched[rows[kind]]).full
    return found


def best_of_cells(detections: Detections, scores: NDArray[np.float64]) -> IntArray:
    """Row of the highest score of each image and HOI class that has any, ascending; the first of equals."""
    order = np.lexsort((-scores, detections.hoi_id, detections.image_index))
    cells = np.stack([detections.image_index[order], detections.hoi_id[order]])
    first = np.ones(len(order), bool)
    first[1:] = (cells[:, 1:] != cells[:, :-1]).any(0)
    return np.sort(order[first])


def take(detections: Detections, rows: IntArray) -> Detections:
    """Some rows of a record."""
    return Detections(**{item.name: getattr(detections, item.name)[rows] for item in dataclasses.fields(detections)})
