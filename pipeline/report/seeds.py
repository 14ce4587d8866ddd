"""A study over seeds: mean and standard deviation of each variant, and paired differences between variants.

Runs of two variants with the same seed share data order and initial draws, so differences are taken seed by seed and
their standard error over the seeds is that of paired samples. All numbers are percent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.report.results import RunMetrics
from pipeline.report.table import MISSING, markdown_table

MEASURES = ("full", "rare", "non_rare")
DIFFERENCES = (("ours", "baseline"), ("ours", "ours_random_bank"), ("ours", "ours_shuffled_labels"))


@dataclass(frozen=True)
class Estimate:
    """A mean with its spread: standard deviation over seeds, or standard error of a mean; nan for a single seed."""

    mean: float
    spread: float

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if np.isnan(self.spread) else f" ± {self.spread:.2f}")


def mean_and_deviation(values: list[float]) -> Estimate:
    """Mean and sample standard deviation (n - 1)."""
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"))


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Estimate | None:
    """Mean of first - second over the seeds that both have, with its standard error; None where they share none."""
    shared = sorted(first.keys() & second.keys())
    if not shared:
        return None
    deviation = mean_and_deviation([first[seed] - second[seed] for seed in shared])
    return Estimate(deviation.mean, deviation.spread / len(shared) ** 0.5)


def seeds_table(study: Mapping[str, Mapping[int, RunMetrics]], descriptions: Mapping[str, str]) -> str:
    """Markdown table of mean ± standard deviation per variant, in the order of `descriptions`, others last."""
    known = [name for name in descriptions if name in study]
    rows = []
    for variant in (*known, *(name for name in study if name not in descriptions)):
        cells = [_cell(_by_seed(study[variant], measure)) for measure in MEASURES]
        rows.append([variant, descriptions.get(variant, ""), str(len(study[variant])), *cells])
    return markdown_table(["variant", "desc", "seeds", "Full", "Rare", "Non-rare"], rows)


def differences_table(study: Mapping[str, Mapping[int, RunMetrics]]) -> str:
    """Markdown table of mean paired differences ± standard error; empty where no two variants share a seed."""
    rows = []
    for first, second in DIFFERENCES:
        shared = study.get(first, {}).keys() & study.get(second, {}).keys()
        if shared:
            estimates = [
                paired_difference(_by_seed(study[first], measure), _by_seed(study[second], measure))
                for measure in MEASURES
            ]
            cells = [MISSING if estimate is None else str(estimate) for estimate in estimates]
            rows.append([f"{first} - {second}", str(len(shared)), *cells])
    return markdown_table(["difference", "seeds", "Full", "Rare", "Non-rare"], rows) if rows else ""


def study_page(study: Mapping[str, Mapping[int, RunMetrics]], descriptions: Mapping[str, str], title: str) -> str:
    """Both tables as a Markdown page that says what its numbers are."""
    differences = differences_table(study)
    parts = [
        f"# {title}",
        "Test mAP in percent, mean ± standard deviation over seeds (n - 1).",
        seeds_table(study, descriptions),
    ]
    if differences:
        parts += ["Differences seed by seed, in points of mAP: mean ± standard error over seeds.", differences]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _by_seed(runs: Mapping[int, RunMetrics], measure: str) -> dict[int, float]:
    values = {seed: getattr(run, measure) for seed, run in runs.items()}
    return {seed: value for seed, value in values.items() if value is not None}


def _cell(by_seed: Mapping[int, float]) -> str:
    return str(mean_and_deviation(list(by_seed.values()))) if by_seed else MISSING
