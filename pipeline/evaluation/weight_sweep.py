"""mAP as a function of the weight of one factor of the score, from a dump, without the network.

Boxes and the other factors do not change with a weight, so each weight is a further ranking of the same detections
(`engine.py`). The weight of "detector" is the paper's gamma; a weight of 0 leaves a factor out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.class_groups import ClassGroups
from pipeline.core.errors import ParamError, did_you_mean
from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.evaluation.engine import ImageBlocks, evaluate_rankings
from pipeline.evaluation.fusion import FusedDump, factor_names
from pipeline.evaluation.hicodet import HicoDetResult, Rules
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.summary import percent_cell
from pipeline.store.dump import DumpReader
from pipeline.truth.ground_truth import GroundTruth

# The paper's 2.8 is in the middle, and the ends are far from any best value.
_DETECTOR = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.4, 2.8, 3.2, 3.6, 4.0, 5.0, 6.0, 8.0, 10.0)
_OTHERS = (0.0, 0.25, 0.5, 1.0)
PAIRS = ("all", "best")


def factor_weights(factor: str) -> tuple[float, ...]:
    """Weights to try of a factor, ascending from 0; for all but "detector" up to 1, that of eq. (3)."""
    return _DETECTOR if factor == "detector" else _OTHERS


def all_weights(params: EvaluateParams, factors: Sequence[str]) -> dict[str, list[float]]:
    """Weights that `evaluate` tries of each factor: those above, 2, and the params' own, ascending."""
    return {name: sorted({*factor_weights(name), 2.0, params.weights.get(name, 1.0)}) for name in factors}


def sweep_csv(results: Mapping[float, HicoDetResult], groups: ClassGroups, chosen: float) -> str:
    """One row per weight: mAP of each group of classes in percent, empty over no class, and 1 at the params' own."""
    lines = [",".join(["weight", *groups, "chosen"])]
    for weight, result in results.items():
        scores = map(percent_cell, groups.means(result.ap).values())
        lines.append(f"{weight:g},{','.join(scores)},{int(weight == chosen)}")
    return "\n".join(lines) + "\n"


def sweep_pairs(
    dump: DumpReader, params: EvaluateParams, truth: GroundTruth, factor: str, times: DumpReader | None = None
) -> dict[tuple[str, float], float]:
    """Full mAP in percent by (pairs, weight of the factor): "all" pairs, or the "best" of each image and HOI class.

    The best pair is the one with the highest score without the factor, the first of equals. The global score s_g is one
    number per image and class, so it raises right and wrong pairs of an image alike; among best pairs, none compete.

    Args:
        params: weights of the other factors.
        times: the dump of `params.times_run`.

    Raises:
        ParamError: the predictions have no such factor.
    """
    known, weights = factor_names(dump.columns, has_times=times is not None), factor_weights(factor)
    if factor not in known:
        raise ParamError(
            f'{dump.variant}: no factor "{factor}" whose weight could be swept{did_you_mean(factor, known)}; '
            f"these predictions have {', '.join(known)}"
        )
    rankings = tuple(((factor, weight),) for weight in weights)
    every = FusedDump(dump.path, params, rankings, None if times is None else times.path)
    sources: dict[str, ImageBlocks] = {"all": every, "best": _BestPairs(every)}
    rules = Rules.of_params(dump.vocabulary.hoi_object_ids, params)
    return {
        (pairs, weight): 100 * result.mean_ap
        for pairs in PAIRS
        for weight, result in zip(weights, evaluate_rankings(sources[pairs], truth, rules).results, strict=True)
    }


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
