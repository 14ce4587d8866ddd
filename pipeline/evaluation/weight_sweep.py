"""mAP as a function of the weight of one factor of the score, from one dump, no network.

Boxes and the other factors do not change with a weight, so each weight is a further ranking of the same detections
(`engine.py`). The weight of "detector" is the paper's gamma.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.core.class_groups import ClassGroups
from pipeline.evaluation.hicodet import HicoDetResult
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.summary import percent_cell

Weights = tuple[tuple[str, float], ...]  # changes to the params' weights; none: the params' own
# 0 leaves a factor out. Of the detector's, the paper's 2.8 is in the middle, and the ends are far from any best value.
SWEPT = {"detector": (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.4, 2.8, 3.2, 3.6, 4.0, 5.0, 6.0, 8.0, 10.0)}
SWEPT_OTHERS = (0.0, 0.25, 0.5, 1.0, 2.0)


def sweeps(params: EvaluateParams, factors: Sequence[str]) -> dict[str, list[float]]:
    """Weights to try of each factor, the params' own among them, ascending."""
    return {
        name: sorted({*SWEPT.get(name, SWEPT_OTHERS), params.weights.get(name, 1.0)}) for name in (*factors, "detector")
    }


def sweep_csv(results: Mapping[float, HicoDetResult], groups: ClassGroups, chosen: float) -> str:
    """One row per weight: mAP of each group of classes in percent, empty over no class, and 1 at the params' own."""
    lines = [",".join(["weight", *groups, "chosen"])]
    for weight, result in results.items():
        scores = map(percent_cell, groups.means(result.ap).values())
        lines.append(f"{weight:g},{','.join(scores)},{int(weight == chosen)}")
    return "\n".join(lines) + "\n"
