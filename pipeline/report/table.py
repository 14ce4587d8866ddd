"""The headline table: mAP of several variants, as Markdown and HTML; percent, two decimals, best of a column bold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from pipeline.report.results import RunMetrics

MISSING = "\N{EN DASH}"  # a mean over no class
_MEASURES = {"full": "Full", "rare": "Rare", "non_rare": "Non-rare", "max_recall": "Max recall"}
_ROLE_MEASURES = {"ap_role_s1": "AP role S1", "ap_role_s2": "AP role S2", "ap_agent": "AP agent"}  # V-COCO only


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], num_text_columns: int = 1) -> str:
    """Markdown table with padded columns, so that it also reads as plain text; text columns lead, numbers follow."""
    lines = [list(map(_escape_markdown, header)), *(list(map(_escape_markdown, row)) for row in rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(header))]
    is_text = [column < num_text_columns or name == "desc" for column, name in enumerate(header)]
    rule = [
        f":{'-' * (width - 1)}" if text else f"{'-' * (width - 1)}:"
        for width, text in zip(widths, is_text, strict=True)
    ]
    aligned = [
        [
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(line, widths, is_text, strict=True)
        ]
        for line in lines
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in (aligned[0], rule, *aligned[1:]))


def headline_markdown(runs: Sequence[RunMetrics], descriptions: Mapping[str, str]) -> str:
    """Headline table of variants with a line on what it was taken over, Markdown."""
    rows = [
        [
            run.variant,
            descriptions.get(run.variant, ""),
            *(_bold(cell, best, "**{}**") for cell, best in _cells(runs, run)),
        ]
        for run in runs
    ]
    return (
        f"{markdown_table(['variant', 'desc', *_measures(runs).values(), 'detections'], rows)}\n{counts_line(runs)}\n"
    )


def headline_html(runs: Sequence[RunMetrics], descriptions: Mapping[str, str]) -> str:
    """Headline table of variants, HTML; every name escaped."""
    header = "".join(f'<th scope="col">{name}</th>' for name in ("variant", *_measures(runs).values(), "detections"))
    body = []
    for run in runs:
        cells = "".join(f"<td>{_bold(cell, best, '<b>{}</b>')}</td>" for cell, best in _cells(runs, run))
        described = f"{escape(run.variant)}<small>{escape(descriptions.get(run.variant, ''))}</small>"
        body.append(f'<tr><th scope="row">{described}</th>{cells}</tr>')
    return f"<table><thead><tr>{header}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def tuning_markdown(runs: Mapping[str, RunMetrics]) -> str:
    """Table of a parameter search by run name, in the order given, Markdown."""
    rows = [
        [name, run.split, *(format_percent(value) for value in (run.full, run.rare, run.non_rare))]
        for name, run in runs.items()
    ]
    return markdown_table(["run", "split", "Full", "Rare", "Non-rare"], rows, num_text_columns=2)


def counts_line(runs: Sequence[RunMetrics]) -> str:
    """One sentence: what the metrics were taken over."""
    if not runs:
        return ""
    run = runs[0]
    counts = {name: f"{value:,}" for name, value in run.counts.items()}
    return (
        f"mAP and mean maximum recall in percent, {run.setting.replace('_', ' ')} setting, {run.split} split: "
        f"{counts['images']} images, {counts['ground_truth_pairs']} annotated pairs, {counts['hoi_classes']} HOI "
        f"classes of which {counts['rare_classes']} are rare (fewer than 10 training pairs) and "
        f"{counts['classes_without_ground_truth']} have no annotated pair in this split."
    )


def _measures(runs: Sequence[RunMetrics]) -> dict[str, str]:
    """Columns of the table: the V-COCO protocol's come first where any run has them."""
    scored = any(run.ap_role_s1 is not None for run in runs)
    return _ROLE_MEASURES | _MEASURES if scored else _MEASURES


def _cells(runs: Sequence[RunMetrics], run: RunMetrics) -> list[tuple[str, bool]]:
    """Cells of one row and whether each is the best of its column; the count of detections is never best."""
    cells = []
    for measure in _measures(runs):
        value = getattr(run, measure)
        column = [getattr(other, measure) for other in runs if getattr(other, measure) is not None]
        cells.append((format_percent(value), value is not None and value == max(column) != min(column)))
    return [*cells, (f"{run.counts['detections']:,}", False)]


def format_percent(value: float | None) -> str:
    """Two decimals, or a dash."""
    return MISSING if value is None else f"{value:.2f}"


def _bold(cell: str, best: bool, form: str) -> str:
    return form.format(cell) if best else cell


def _escape_markdown(cell: Any) -> str:
    return " ".join(str(cell).split()).replace("|", "\\|")
