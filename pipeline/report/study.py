"""A study over seeds: each row's mean and deviation beside the paper's figure, and whether its comparisons hold here.

Runs of two rows with the same seed share data order and initial draws, so differences are taken seed by seed and their
standard error over the seeds is that of paired samples. All numbers are percent.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.report.paper import CLAIMS, CONTROLS, PAPER
from pipeline.report.results import RunMetrics
from pipeline.report.table import MISSING, format_percent, markdown_table

Study = Mapping[str, Mapping[int, RunMetrics]]  # by row and seed
MEASURES = {"full": "Full", "rare": "Rare", "non_rare": "Non-rare"}


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


def rows_table(study: Study, descriptions: Mapping[str, str]) -> str:
    """Markdown table of mean ± standard deviation per row beside the paper's figures, in the order of params."""
    rows = []
    for name in _ordered(study, descriptions):
        cells = [_cell(by_seed(study, name, measure)) for measure in MEASURES]
        paper = [format_percent(value) for value in PAPER.get(name, (None, None, None))]
        rows.append([name, descriptions.get(name, ""), str(len(study[name])), *cells, *paper])
    header = ["row", "desc", "seeds", *MEASURES.values(), *(f"paper: {name}" for name in MEASURES.values())]
    return markdown_table(header, rows)


def rows_csv(study: Study, descriptions: Mapping[str, str]) -> str:
    """The same rows as CSV: variant, desc, seeds, {measure}_mean, {measure}_std, paper_{measure}; empty: unknown."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    ours = [f"{measure}_{kind}" for measure in MEASURES for kind in ("mean", "std")]
    writer.writerow(["variant", "desc", "seeds", *ours, *(f"paper_{measure}" for measure in MEASURES)])
    for name in _ordered(study, descriptions):
        cells: list[str] = []
        for measure in MEASURES:
            values = list(by_seed(study, name, measure).values())
            estimate = mean_and_deviation(values) if values else Estimate(np.nan, np.nan)
            cells += ["" if np.isnan(x) else f"{x:.4f}" for x in (estimate.mean, estimate.spread)]
        paper = ["" if value is None else f"{value:.2f}" for value in PAPER.get(name, (None, None, None))]
        writer.writerow([name, descriptions.get(name, ""), len(study[name]), *cells, *paper])
    return stream.getvalue()


def claims_table(study: Study) -> str:
    """Markdown table of the paper's comparisons: its difference, ours ± standard error, and whether ours agrees."""
    rows = []
    for claim in CLAIMS:
        ours = _difference(study, claim.better, claim.worse, "full")
        if ours is not None:
            paper = PAPER[claim.better][0] - PAPER[claim.worse][0]
            rows.append([claim.text, f"{claim.better} - {claim.worse}", f"{paper:.2f}", str(ours), verdict(ours)])
    gains = [_gain(study, "ours", "baseline", measure) for measure in ("rare", "non_rare")]
    ours = paired_difference(*gains)
    if ours is not None:
        _, rare, non_rare = (up - down for up, down in zip(PAPER["ours"], PAPER["baseline"], strict=True))
        what = "gain of ours over baseline: Rare - Non-rare"
        rows.append(["rare classes gain most", what, f"{rare - non_rare:.2f}", str(ours), verdict(ours)])
    header = ["the paper finds", "difference of Full mAP", "paper", "here", "verdict"]
    return markdown_table(header, rows, num_text_columns=2) if rows else ""


def verdict(difference: Estimate) -> str:
    """Whether a difference that the paper finds positive is so here, by two standard errors."""
    if np.isnan(difference.spread):
        return "one seed"
    if abs(difference.mean) <= 2 * difference.spread:
        return "within the error"
    return "agrees" if difference.mean > 0 else "CONTRADICTS"


def controls_table(study: Study) -> str:
    """Markdown table of rows against their controls: mean paired differences ± standard error."""
    rows = []
    for first, second in CONTROLS:
        estimates = [_difference(study, first, second, measure) for measure in MEASURES]
        if estimates[0] is not None:
            shared = study[first].keys() & study[second].keys()
            cells = [MISSING if estimate is None else str(estimate) for estimate in estimates]
            rows.append([f"{first} - {second}", str(len(shared)), *cells])
    return markdown_table(["difference", "seeds", *MEASURES.values()], rows) if rows else ""


def study_page(study: Study, descriptions: Mapping[str, str], title: str) -> str:
    """All tables as a Markdown page that says what its numbers are."""
    tables = {
        "Test mAP in percent, mean ± standard deviation over seeds (n - 1). The paper's are HICO-DET's: compare "
        "signs and order, not values.": rows_table(study, descriptions),
        "What the paper concludes, in points of Full mAP: differences by seed, mean ± standard error; `agrees` and "
        "`CONTRADICTS` mean that the difference is more than two standard errors.": claims_table(study),
        "Controls, seed by seed: mean ± standard error.": controls_table(study),
    }
    parts = [f"# {title}"]
    for text, table in tables.items():
        parts += [text, table.rstrip("\n")] if table else []
    return "\n\n".join(parts) + "\n"


def by_seed(study: Study, row: str, measure: str) -> dict[int, float]:
    """Values of a measure by seed, those of runs without such a class left out."""
    values = {seed: getattr(run, measure) for seed, run in study.get(row, {}).items()}
    return {seed: value for seed, value in values.items() if value is not None}


def _gain(study: Study, first: str, second: str, measure: str) -> dict[int, float]:
    """first - second by seed."""
    ours, others = by_seed(study, first, measure), by_seed(study, second, measure)
    return {seed: ours[seed] - others[seed] for seed in sorted(ours.keys() & others.keys())}


def _difference(study: Study, first: str, second: str, measure: str) -> Estimate | None:
    return paired_difference(by_seed(study, first, measure), by_seed(study, second, measure))


def _ordered(study: Study, descriptions: Iterable[str]) -> list[str]:
    known = [name for name in descriptions if name in study]
    return [*known, *(name for name in study if name not in known)]


def _cell(values: Mapping[int, float]) -> str:
    return str(mean_and_deviation(list(values.values()))) if values else MISSING
