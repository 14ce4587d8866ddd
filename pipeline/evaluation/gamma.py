"""mAP as a function of gamma, the exponent of the detector's confidence in eq. (3): from one dump, no network.

Boxes and the other factors of a score do not change with gamma, so that every gamma is a further ranking of the same
detections (`two_pass.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.evaluation.hicodet import HicoDetResult

# 0 leaves the detector's confidence out; the paper's 2.8 lies in the middle, and the ends are far from any best value.
GAMMAS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.4, 2.8, 3.2, 3.6, 4.0, 5.0, 6.0, 8.0, 10.0)
_NOTHING = ""  # a mean over no class


def sweep_gammas(chosen: float) -> tuple[float, ...]:
    """`GAMMAS` and the params' own, ascending."""
    return tuple(sorted({*GAMMAS, chosen}))


def gamma_csv(results: Mapping[float, HicoDetResult], chosen: float) -> str:
    """One row per gamma: Full, Rare, Non-rare mAP in percent (empty over no class), and 1 where it is the params'."""
    lines = ["gamma,full,rare,non_rare,chosen"]
    for gamma, result in results.items():
        scores = (_percent(value) for value in (result.full, result.rare, result.non_rare))
        lines.append(f"{gamma:g},{','.join(scores)},{int(gamma == chosen)}")
    return "\n".join(lines) + "\n"


def _percent(value: float) -> str:
    return _NOTHING if np.isnan(value) else f"{100 * value:.4f}"
