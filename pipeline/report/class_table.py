"""The page's table of HOI classes: AP by variant, the difference, training and test pairs, and errors by type."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from pipeline.report.number_text import percent
from pipeline.report.results import PerClass


def class_table_html(runs: Mapping[str, PerClass], first: str, second: str | None) -> str:
    """HTML table, a row for each class; the page's script sorts it, and filters the gallery by a class that is clicked.

    Args:
        runs: by variant; AP is shown of all, errors of `first`.
        second: the variant that is subtracted, if any.
    """
    own = runs[first]
    header = ["HOI class", *map(escape, runs), *([f"{escape(first)} - {escape(second)}"] if second else [])]
    header += ["training pairs", "test pairs", *(name.replace("_", " ") for name in own.errors)]
    rows = []
    for hoi, name in enumerate(own.names):
        cells = [percent(run.ap[hoi]) for run in runs.values()]
        cells += [percent(own.ap[hoi] - runs[second].ap[hoi])] if second else []
        cells += [f"{column[hoi]:,.0f}" for column in (own.train_instances, own.ground_truth, *own.errors.values())]
        button = f'<button type="button" data-hoi="{hoi}">{escape(name.replace("_", " "))}</button>'
        rows.append(f'<tr><th scope="row">{button}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>')
    head = "".join(f'<th scope="col">{title}</th>' for title in header)
    table = f'<table id="class-table"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="wide tall">{table}</div>'
