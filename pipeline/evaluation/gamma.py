"""mAP as a function of gamma, the exponent of the detector's confidence in eq. (3): from one dump, no network.

Boxes and the other factors of a score do not change with gamma, so that fusing them and matching the boxes with the
ground truth are done once.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from pipeline.core.params import EvaluateParams
from pipeline.core.types import GroundTruth
from pipeline.evaluation.fusion import fuse_parts
from pipeline.evaluation.hicodet import HicoDetResult, evaluate_hicodet
from pipeline.store.dump import PredictionDump

# 0 leaves the detector's confidence out; the paper's 2.8 lies in the middle, and the ends are far from any best value.
GAMMAS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.4, 2.8, 3.2, 3.6, 4.0, 5.0, 6.0, 8.0, 10.0)
_NOTHING = ""  # a mean over no class


def sweep_gamma(
    dump: PredictionDump,
    params: EvaluateParams,
    truth: GroundTruth,
    rare: NDArray[np.bool_],
    times: PredictionDump | None = None,
) -> dict[float, HicoDetResult]:
    """Evaluate a dump at every value of `GAMMAS` and at the params' own; all else is as in the params.

    Args:
        rare: bool [H].
        times: the dump of `params.times_run`.

    Returns:
        the results by gamma, ascending.
    """
    detections, parts = fuse_parts(dump, params, times)
    results: dict[float, HicoDetResult] = {}
    matched = None
    for gamma in sorted({*GAMMAS, params.gamma}):
        result = evaluate_hicodet(
            dataclasses.replace(detections, scores=dataclasses.replace(parts, gamma=gamma).scores()),
            truth,
            num_hois=dump.vocabulary.num_hois,
            rare=rare,
            hoi_object_ids=dump.vocabulary.hoi_object_ids,
            setting=params.setting,
            keep_matches=matched is None,
            matched_index=matched,
        )
        matched = matched if result.matched_index is None else result.matched_index
        results[gamma] = dataclasses.replace(result, hits=None, matched_index=None)
    return results


def gamma_csv(results: dict[float, HicoDetResult], chosen: float) -> str:
    """One row per gamma: Full, Rare, Non-rare mAP in percent (empty over no class), and 1 where it is the params'."""
    lines = ["gamma,full,rare,non_rare,chosen"]
    for gamma, result in results.items():
        scores = (_percent(value) for value in (result.full, result.rare, result.non_rare))
        lines.append(f"{gamma:g},{','.join(scores)},{int(gamma == chosen)}")
    return "\n".join(lines) + "\n"


def _percent(value: float) -> str:
    return _NOTHING if np.isnan(value) else f"{100 * value:.4f}"
