"""Tables as Markdown and HTML, and those of runs: metrics of several variants, best of a column bold, in percent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import chain, cycle, repeat

from pipeline.core.class_groups import FULL
from pipeline.report.colors import VARIANT_NAMES
from pipeline.report.number_text import MISSING, group_title, percent
from pipeline.report.results import RunMetrics

_TITLES = {"ap_role_s1": "AP role S1", "ap_role_s2": "AP role S2", "ap_agent": "AP agent"}  # V-COCO only
_TITLES |= {"of_images": "mAP of images"}  # without boxes


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], num_text_columns: int = 1) -> str:
    """Markdown table with padded columns, so that it also reads as plain text; text columns lead, numbers follow."""
    lines = [[" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    is_text = [column < num_text_columns or name == "desc" for column, name in enumerate(header)]
    pads = [str.ljust if text else str.rjust for text in is_text]
    lines = [[pad(cell, width) for pad, cell, width in zip(pads, line, widths, strict=True)] for line in lines]
    rule = [pad(":", width, "-") for pad, width in zip(pads, widths, strict=True)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (lines[0], rule, *lines[1:]))


def html_table(header: Iterable[str], rows: Iterable[tuple[str, str, Iterable[str]]], marks: Iterable[str] = ()) -> str:
    """HTML table in a box that scrolls sideways.

    Args:
        rows: each its name and description, which are escaped, and its other cells, which are HTML already.
        marks: names of the page's colors that mark the rows.
    """
    head = "".join(f'<th scope="col">{name}</th>' for name in header)
    body = []
    for (name, description, cells), mark in zip(rows, chain(marks, repeat("")), strict=False):
        numbers = "".join(f"<td>{cell}</td>" for cell in cells)
        square = mark and f'<i class="swatch" style="background:var(--{mark})"></i>'
        small = description and f"<small>{escape(description)}</small>"
        body.append(f'<tr><th scope="row">{square}{escape(name)}{small}</th>{numbers}</tr>')
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def variants_markdown(runs: Sequence[RunMetrics], descriptions: Mapping[str, str]) -> str:
    """Table of variants, a line on the data behind it, and their types of errors, Markdown."""
    header = ["variant", "desc", *_measures(runs).values(), "detections"]
    rows = [[run.variant, descriptions.get(run.variant, ""), *_cells(runs, run, "**{}**")] for run in runs]
    return f"{markdown_table(header, rows)}\n{counts_line(runs)}\n{errors_markdown(runs)}"


def variants_html(
    runs: Sequence[RunMetrics], descriptions: Mapping[str, str], over_seeds: Mapping[str, str] | None = None
) -> str:
    """Table of variants, HTML; every name escaped.

    Args:
        over_seeds: Full mAP of several runs by variant, as HTML for a column beside this run's; none without a study.
    """
    header = ["variant", *_measures(runs).values(), "detections"]
    table = [_cells(runs, run, "<b>{}</b>") for run in runs]
    if over_seeds:
        column = list(_measures(runs)).index(FULL) + 1
        header.insert(column + 1, f"{group_title(FULL)} over seeds")
        for run, cells in zip(runs, table, strict=True):
            cells.insert(column, over_seeds[run.variant])
    rows = [(run.variant, descriptions.get(run.variant, ""), cells) for run, cells in zip(runs, table, strict=True)]
    return html_table(header, rows, cycle(VARIANT_NAMES))


def tuning_markdown(runs: Mapping[str, RunMetrics]) -> str:
    """Table of a parameter search by run name, in the order given, Markdown."""
    groups = dict.fromkeys(name for run in runs.values() for name in run.means)
    rows = [[name, run.split, *(percent(run.means.get(group)) for group in groups)] for name, run in runs.items()]
    return markdown_table(["run", "split", *map(group_title, groups)], rows, num_text_columns=2)


def errors_markdown(runs: Sequence[RunMetrics]) -> str:
    """Table of types of errors, Markdown: counts at break-even by variant, and the mAP gained if a type were fixed.

    Empty where no variant's errors were sorted.
    """
    kinds = dict.fromkeys(kind for run in runs for kind in run.at_break_even)
    rows = []
    for kind in kinds:
        counts = [f"{run.at_break_even[kind]:,}" if run.at_break_even else MISSING for run in runs]
        gains = [percent(run.gain_if_fixed.get(kind)) for run in runs]
        rows.append([kind.replace("_", " "), *counts, *gains])
    names = [run.variant for run in runs]
    header = ["at break-even", *names, *(f"{name}: mAP if fixed" for name in names)]
    return f"\n{markdown_table(header, rows)}" if rows else ""


def counts_line(runs: Sequence[RunMetrics]) -> str:
    """One sentence on the data behind the metrics: setting, split and counts."""
    if not runs:
        return ""
    run = runs[0]
    counts = {name: f"{value:,}" for name, value in run.counts.items()}
    groups = ", ".join(f"{size} {name.replace('_', '-')}" for name, size in run.groups.items() if name != FULL)
    return (
        f"mAP and mean maximum recall in percent, {run.setting.replace('_', ' ')} setting, {run.split} split: "
        f"{counts['images']} images, {counts['ground_truth_pairs']} annotated pairs, {counts['hoi_classes']} HOI "
        f"classes ({groups or 'no groups'}), of which {counts['classes_without_ground_truth']} have no annotated pair "
        "in this split."
    )


def _measures(runs: Sequence[RunMetrics]) -> dict[str, str]:
    """Columns of the table with their titles: all measures that any run has."""
    names = dict.fromkeys(name for run in runs for name in run.measures)
    return {name: _TITLES.get(name) or group_title(name) for name in names}


def _cells(runs: Sequence[RunMetrics], run: RunMetrics, bold: str) -> list[str]:
    """Cells of one row, the best of each column as `bold` has it; the count of detections is never best."""
    cells = []
    for measure in _measures(runs):
        value = run.measures.get(measure)
        column = [found for other in runs if (found := other.measures.get(measure)) is not None]
        is_best = value is not None and value == max(column) != min(column)
        cells.append(bold.format(percent(value)) if is_best else percent(value))
    return [*cells, f"{run.counts['detections']:,}"]
