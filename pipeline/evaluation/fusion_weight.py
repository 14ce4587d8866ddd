"""What the global score does to a ranking: mAP as a function of the exponent of sigmoid(s_g) in eq. (3), from one dump.

s_g is one number per image and HOI class, so it raises right and wrong pairs of an image alike. Evaluated twice, it
shows which of the two decides: over all pairs, and over the best pair of each image and class alone, where an image's
pairs no longer compete with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ParamError
from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.evaluation.engine import ImageBlocks, evaluate_rankings
from pipeline.evaluation.fused_dump import FusedDump
from pipeline.evaluation.hicodet import Rules
from pipeline.evaluation.params import EvaluateParams
from pipeline.store.dump import DumpReader
from pipeline.truth.ground_truth import GroundTruth

WEIGHTS = (0.0, 0.25, 0.5, 1.0)  # 0 leaves s_g out, 1 is eq. (3)
KINDS = ("all", "best")


def sweep_fusion_weight(
    dump: DumpReader, params: EvaluateParams, truth: GroundTruth, factor: str = "global"
) -> dict[tuple[str, float], float]:
    """Full mAP in percent by (pairs, weight): "all" pairs, or the "best" of each image and HOI class by its score.

    All factors of eq. (3) but s_g are as in the params; the best pair is the best without s_g, the first of equals.

    Raises:
        ParamError: the predictions have no such factor.
    """
    declared = [column.factor for column in dump.columns]
    if factor not in declared:
        raise ParamError(
            f'{dump.variant}: no factor "{factor}" whose weight could be swept; '
            f"these predictions have {', '.join(declared)}"
        )
    every = FusedDump(dump.path, params, tuple(((factor, weight),) for weight in WEIGHTS))
    rules = Rules(dump.vocabulary.hoi_object_ids, params.setting)
    sources: dict[str, ImageBlocks] = {"all": every, "best": _BestPairs(every)}
    found: dict[tuple[str, float], float] = {}
    for kind, source in sources.items():
        results = evaluate_rankings(source, truth, rules).results
        found |= {(kind, weight): 100 * result.mean_ap for weight, result in zip(WEIGHTS, results, strict=True)}
    return found


@dataclass(frozen=True)
class _BestPairs:
    """The best pair of each image and HOI class by the first ranking; implements `engine.ImageBlocks`."""

    every: FusedDump

    def read(self, start: int, stop: int) -> tuple[Detections, Sequence[FloatArray]]:
        """Rows of the best pairs of some images."""
        detections, rankings = self.every.read(start, stop)
        rows = best_of_cells(detections, rankings[0])
        return detections.take(rows), [scores[rows] for scores in rankings]


def best_of_cells(detections: Detections, scores: NDArray[np.floating]) -> IntArray:
    """Row of the highest score of each image and HOI class that has any, ascending; the first of equals."""
    order = np.lexsort((-scores, detections.hoi_id, detections.image_index))
    cells = np.stack([detections.image_index[order], detections.hoi_id[order]])
    first = np.ones(len(order), bool)
    first[1:] = (cells[:, 1:] != cells[:, :-1]).any(0)
    return np.sort(order[first])
