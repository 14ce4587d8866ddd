"""Numbers as the report prints them: percent, mean ± spread, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.types import FloatArray

MISSING = "\N{EN DASH}"  # no value: e.g. a mean over no class


@dataclass(frozen=True)
class Estimate:
    """A mean with its spread: standard deviation over seeds, or standard error of a mean; nan where it is not known."""

    mean: float
    spread: float

    def __str__(self) -> str:
        return self.text()

    def text(self, decimals: int = 2) -> str:
        """Mean ± spread; the mean alone where the spread is not known; a dash for nothing."""
        spread = "" if np.isnan(self.spread) else f" ± {self.spread:.{decimals}f}"
        return MISSING if np.isnan(self.mean) else f"{self.mean:.{decimals}f}{spread}"


def mean_and_deviation(values: Sequence[float]) -> Estimate:
    """Mean and sample standard deviation (n - 1); nan of no values, and the deviation of a single one."""
    mean = float(np.mean(values)) if values else np.nan
    return Estimate(mean, float(np.std(values, ddof=1)) if len(values) > 1 else np.nan)


def percent(value: float | None) -> str:
    """Two decimals; a dash for None and nan."""
    return MISSING if value is None or np.isnan(value) else f"{value:.2f}"


def group_title(name: str) -> str:
    """Title of a group of classes or of a measure: "non_rare" becomes "Non-rare"."""
    return name.replace("_", " " if name.startswith("max") else "-").capitalize()


def score_text(score: float) -> str:
    """Two decimals, or two significant digits below 0.1."""
    return f"{score:.2f}" if score >= 0.1 else f"{score:#.2g}"


def significant(value: float, digits: int) -> float:
    """Round to this many significant digits."""
    return float(f"{float(value):.{digits}g}")


def rounded_box(box: FloatArray, decimals: int) -> list[float]:
    """Round the corners of a box [4] for JSON."""
    return [round(float(value), decimals) for value in box]
