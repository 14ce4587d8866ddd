"""A study over seeds: each row's mean and deviation beside the paper's figure, and whether its comparisons hold here.

Runs of two rows with the same seed share data order and initial draws, so differences are taken seed by seed and their
standard error over the seeds is that of paired samples. All numbers are percent.

The study as `ablations.csv`, where an empty cell means no number:
  variant, desc                                 the row's name and description in params.yaml
  seeds                                         number of runs
  GROUP_mean, GROUP_std                         mAP over a group of classes, mean and standard deviation over seeds
  paper_GROUP                                   the paper's figure for that row, on HICO-DET
Other columns are ignored. Rows keep the file's order.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import numpy as np

from pipeline.core.class_groups import FULL
from pipeline.report.number_text import MISSING, Estimate, group_title, mean_and_deviation, percent
from pipeline.report.paper import CLAIMS, CONTROLS, GROUPS, RARE_GAIN, TABLES, figures, table_of
from pipeline.report.results import RunMetrics, numbers, read_columns
from pipeline.report.table import html_table, markdown_table

Study = Mapping[str, Mapping[int, RunMetrics]]  # by row and seed
_OF_CLAIM = ("paper", "here", "verdict")


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Estimate:
    """Mean of first - second over the seeds that both have, with its standard error; nan where they share none."""
    differences = list(_minus(first, second).values())
    deviation = mean_and_deviation(differences)
    return Estimate(deviation.mean, deviation.spread / max(len(differences), 1) ** 0.5)


def rows_table(study: Study, descriptions: Mapping[str, str]) -> str:
    """Markdown table of mean ± standard deviation per row beside the paper's figures, in the order of params."""
    rows, groups = [], groups_of(study)
    for name in _ordered(study, descriptions):
        cells = [str(over_seeds(study, name, group)) for group in groups]
        paper = [percent(figures(name).get(group)) for group in GROUPS]
        rows.append([name, descriptions.get(name, ""), str(len(study[name])), *cells, *paper])
    return markdown_table(["row", "desc", "seeds", *map(group_title, groups), *map(_of_paper, GROUPS)], rows)


def rows_csv(study: Study, descriptions: Mapping[str, str]) -> str:
    """The same rows as CSV, in the columns that this module lists."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    groups = groups_of(study)
    ours_columns = [f"{group}_{kind}" for group in groups for kind in ("mean", "std")]
    writer.writerow(["variant", "desc", "seeds", *ours_columns, *(f"paper_{group}" for group in GROUPS)])
    for name in _ordered(study, descriptions):
        estimates = [over_seeds(study, name, group) for group in groups]
        ours = ["" if np.isnan(x) else f"{x:.4f}" for one in estimates for x in (one.mean, one.spread)]
        paper = [f"{value:.2f}" for value in figures(name).values()] or [""] * len(GROUPS)
        writer.writerow([name, descriptions.get(name, ""), len(study[name]), *ours, *paper])
    return stream.getvalue()


def ablations_html(path: Path, remedy: str) -> str:
    """Return an `ablations.csv` as HTML, a folded table for each of the paper's tables, every name escaped.

    Raises:
        ArtifactError: not such a file; names the missing columns.
    """
    columns = read_columns(path, ("variant", "desc", "seeds", f"{FULL}_mean", f"{FULL}_std"), remedy)
    groups = [name.removesuffix("_mean") for name in columns if f"{name.removesuffix('_mean')}_std" in columns]
    papers = [name.removeprefix("paper_") for name in columns if name.startswith("paper_")]

    def value(column: str, row: int) -> float:
        return float(numbers(path, columns[column][row : row + 1], remedy)[0])

    tables: dict[str, list[tuple[str, str, list[str]]]] = {}
    for row, name in enumerate(columns["variant"]):
        ours = [Estimate(value(f"{group}_mean", row), value(f"{group}_std", row)) for group in groups]
        paper = [percent(value(f"paper_{group}", row)) for group in papers]
        cells = [escape(columns["seeds"][row]), *map(str, ours), *paper]
        tables.setdefault(table_of(name), []).append((name, columns["desc"][row], cells))
    header = ["variant", "seeds", *map(group_title, groups), *map(_of_paper, papers)]
    return "".join(
        f"<details><summary>{title}: {', '.join(escape(name) for name, *_ in rows)}</summary>"
        f"{html_table(header, rows)}</details>"
        for title, rows in sorted(tables.items(), key=lambda item: (item[0] not in TABLES, item[0]))
    )


def compared_claims(study: Study) -> list[list[str]]:
    """The paper's comparisons of rows that the study has: text, rows, the paper's difference, ours, and the verdict."""
    compared = []
    for claim in CLAIMS:
        paper = figures(claim.better)[FULL] - figures(claim.worse)[FULL]
        ours = _difference(study, claim.better, claim.worse, FULL)
        compared.append((claim.text, f"{claim.better} - {claim.worse}", paper, ours))
    first, second, *groups = RARE_GAIN
    gains = [_minus(by_seed(study, first, group), by_seed(study, second, group)) for group in groups]
    of_paper = [figures(first)[group] - figures(second)[group] for group in groups]
    what = f"gain of {first} over {second}: {' - '.join(map(group_title, groups))}"
    compared.append(("rare classes gain most", what, of_paper[0] - of_paper[1], paired_difference(*gains)))
    return [
        [text, what, percent(paper), str(ours), verdict(ours)]
        for text, what, paper, ours in compared
        if not np.isnan(ours.mean)
    ]


def claims_table(study: Study) -> str:
    """Markdown table of the paper's comparisons: its difference, ours ± standard error, and whether ours agrees."""
    rows = compared_claims(study)
    header = ["the paper finds", "difference of Full mAP", *_OF_CLAIM]
    return markdown_table(header, rows, num_text_columns=2) if rows else ""


def claims_html(study: Study) -> str:
    """The same as HTML; "" without any."""
    rows = [
        (text, what, [paper, ours, f'<span class="{found.split()[0].lower()}">{found}</span>'])
        for text, what, paper, ours, found in compared_claims(study)
    ]
    return html_table(["the paper finds", *_OF_CLAIM], rows) if rows else ""


def verdict(difference: Estimate) -> str:
    """Whether a difference that the paper finds positive is so here, by two standard errors."""
    if np.isnan(difference.spread):
        return "one seed"
    if abs(difference.mean) <= 2 * difference.spread:
        return "within the error"
    return "agrees" if difference.mean > 0 else "CONTRADICTS"


def controls_table(study: Study) -> str:
    """Markdown table of rows against their controls: mean paired differences ± standard error."""
    rows, groups = [], groups_of(study)
    for first, second in CONTROLS:
        estimates = [_difference(study, first, second, group) for group in groups]
        if not np.isnan(estimates[0].mean):
            shared = study[first].keys() & study[second].keys()
            rows.append([f"{first} - {second}", str(len(shared)), *map(str, estimates)])
    return markdown_table(["difference", "seeds", *map(group_title, groups)], rows) if rows else ""


def study_page(study: Study, descriptions: Mapping[str, str], title: str, further: Mapping[str, str]) -> str:
    """All tables as a Markdown page, each with a line on what its numbers are.

    Args:
        further: tables by that line; empty ones are left out.
    """
    tables = {
        "Test mAP in percent, mean ± standard deviation over seeds (n - 1). The paper's are HICO-DET's: compare "
        "signs and order, not values.": rows_table(study, descriptions),
        "What the paper concludes, in points of Full mAP: differences by seed, mean ± standard error; `agrees` and "
        "`CONTRADICTS` mean that the difference is more than two standard errors.": claims_table(study),
        **further,
        "Controls, seed by seed: mean ± standard error.": controls_table(study),
    }
    parts = [f"# {title}"]
    for text, table in tables.items():
        parts += [text, table.rstrip("\n")] if table else []
    return "\n\n".join(parts) + "\n"


def groups_of(study: Study) -> list[str]:
    """Groups of classes that the study's runs were scored on, in their order."""
    return list(dict.fromkeys(name for runs in study.values() for run in runs.values() for name in run.means))


def _of_paper(group: str) -> str:
    return f"paper: {group_title(group)}"


def by_seed(study: Study, row: str, group: str) -> dict[int, float]:
    """The mAP of a group of classes by seed, runs without such a class left out."""
    values = {seed: run.means.get(group) for seed, run in study.get(row, {}).items()}
    return {seed: value for seed, value in values.items() if value is not None}


def over_seeds(study: Study, row: str, group: str) -> Estimate:
    """Mean and standard deviation over seeds of a row's mAP of a group of classes."""
    return mean_and_deviation(list(by_seed(study, row, group).values()))


def seeds_html(study: Study, row: str) -> str:
    """A row's Full mAP over its seeds, mean ± standard deviation, and their number; a dash for fewer than two."""
    seeds = len(by_seed(study, row, FULL))
    return f"{over_seeds(study, row, FULL)}<small>{seeds} seeds</small>" if seeds > 1 else MISSING


def _minus(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    """first - second of the seeds that both have."""
    return {seed: first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())}


def _difference(study: Study, first: str, second: str, group: str) -> Estimate:
    return paired_difference(by_seed(study, first, group), by_seed(study, second, group))


def _ordered(study: Study, descriptions: Iterable[str]) -> list[str]:
    known = [name for name in descriptions if name in study]
    return [*known, *(name for name in study if name not in known)]
