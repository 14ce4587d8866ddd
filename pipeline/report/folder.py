"""The report folder: table.md, the figures, a sheet per variant, and index.html that holds them all. Written whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from pipeline.report import figures
from pipeline.report.class_table import class_table_html
from pipeline.report.error_view import confusion_html, error_bars, what_changed
from pipeline.report.make import Report
from pipeline.report.page import Section, embedded, figure, inline_svg, render_page
from pipeline.report.provenance import provenance_html
from pipeline.report.results import RunMetrics
from pipeline.report.selection import compared
from pipeline.report.study import Study, claims_html, seeds_html
from pipeline.report.table import counts_line, variants_html, variants_markdown
from pipeline.store.files import atomic_path

_KINDS = {".png": "png", ".svg": "svg+xml"}
_CLAIMS = (
    "What the paper concludes, in points of Full mAP: differences by seed, mean ± standard error; agrees and "
    "CONTRADICTS mean that the difference is more than two standard errors."
)
_ABLATIONS = (
    "Test mAP in percent, mean ± standard deviation over seeds. The paper's are HICO-DET's: compare signs and order, "
    "not values."
)
_OVER_SEEDS = " Over seeds: mean ± standard deviation over the runs of the study."
_CONFUSIONS = (
    "Detections at break-even that fit an annotated pair, a row for each annotated verb: right ones on the diagonal, "
    "those of another verb beside it, once for each verb of the pair."
)


def write_report(
    folder: Path,
    dataset: str,
    report: Report,
    *,
    facts: Mapping[str, str],
    study: Study,
    ablations: str,
    further: Iterable[Path],
) -> None:
    """Write the folder atomically; an older one is replaced.

    Args:
        facts: what the first screen says of the origin of the numbers, by name.
        study: may be empty.
        ablations: tables of ablations as HTML; may be empty.
        further: files of more figures, as `further_figures` finds them.
    """
    runs = report.runs
    rows, descriptions = [run.metrics for run in runs.values()], {name: run.desc for name, run in runs.items()}
    plots = _plots(report)
    page = render_page(
        title=f"Human-object interactions in {dataset}",
        lead="Weakly-supervised detection: trained from image-level labels, scored by boxes.",
        sections=[
            Section("results", "Results", _results(report, facts, descriptions, study)),
            Section("classes", "Classes", _classes(report)),
            Section("verbs", "Verbs", _verbs(report)),
            Section("claims", "The paper's claims", _noted(_CLAIMS, claims_html(study))),
            Section("ablations", "Ablations", _noted(_ABLATIONS, ablations)),
            Section("figures", "Figures", _figures(plots, further)),
        ],
        gallery_note=_gallery_note(report.gallery, rows),
        record=report.gallery,
    )
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / "table.md").write_text(variants_markdown(rows, descriptions), encoding="utf-8")
        (temporary / "index.html").write_text(page, encoding="utf-8")
        for name, (_, _, svg) in plots.items():
            (temporary / name).write_bytes(svg)
        for name, png in report.sheets.items():
            (temporary / f"sheet-{name}.png").write_bytes(png)


def further_figures(folder: Path) -> tuple[Path, ...]:
    """PNG and SVG files of a folder in order of name; none where there is no folder."""
    return tuple(sorted(path for path in folder.glob("*") if path.suffix in _KINDS))


def _results(report: Report, facts: Mapping[str, str], descriptions: Mapping[str, str], study: Study) -> str:
    runs = {name: run.metrics for name, run in report.runs.items()}
    first, second = compared(runs)
    rows = list(runs.values())
    over_seeds = {name: seeds_html(study, name) for name in runs} if study else None
    note = f"{counts_line(rows)}{_OVER_SEEDS * bool(study)}"
    table = f'{variants_html(rows, descriptions, over_seeds)}<p class="note">{escape(note)}</p>'
    return (
        f"<p>{escape(what_changed(runs, first, second))}</p>{provenance_html(facts)}"
        f'<div class="first"><div>{table}</div><div>{error_bars(runs, first)}</div></div>'
    )


def _classes(report: Report) -> str:
    first, second = compared(report.runs)
    table = class_table_html({name: run.per_class for name, run in report.runs.items()}, first, second)
    note = f"AP in percent; errors of {first} at break-even. A title sorts, a class filters the gallery."
    return _noted(note, table)


def _verbs(report: Report) -> str:
    first, _ = compared(report.runs)
    tables = "".join(
        f"<details{' open' * (name == first)}><summary>{escape(name)}</summary>{confusion_html(confusions)}</details>"
        for name, confusions in report.confusions.items()
    )
    return _noted(_CONFUSIONS, tables)


def _noted(note: str, html: str) -> str:
    return html and f'<p class="note">{escape(note)}</p>{html}'


def _gallery_note(gallery: Mapping[str, Any], rows: list[RunMetrics]) -> str:
    total, split = rows[0].counts["images"], rows[0].split
    return (
        f"{len(gallery['images'])} of {total:,} {split} images, the middle one of each of as many equal stretches of "
        "the split, with all detections above the score on the slider. It starts at break-even: there the whole "
        "split has as many detections as annotated pairs."
    )


def _figures(plots: Mapping[str, tuple[str, str, bytes]], further: Iterable[Path]) -> str:
    parts = [figure(heading, caption, inline_svg(svg, heading)) for heading, caption, svg in plots.values()]
    for path in further:
        name = path.stem.replace("_", " ").replace("-", " ")
        picture = embedded(path.read_bytes(), _KINDS[path.suffix], f"Figure: {name}.")
        parts.append(figure(name[:1].upper() + name[1:], path.name, picture))
    return f'<div class="figures">{"".join(parts)}</div>'


def _plots(report: Report) -> dict[str, tuple[str, str, bytes]]:
    """Heading, caption and SVG of the figures of the runs, by file name."""
    runs = report.runs
    first, second = compared(runs)
    return {
        "precision_recall.svg": (
            "Precision and recall",
            "Precision at each recall, a class's best at that recall or beyond, averaged over the classes with "
            "ground truth. A curve ends in 0 for the classes of which some pairs are never found.",
            figures.precision_recall({name: run.curves for name, run in runs.items()}),
        ),
        "training_frequency.svg": (
            "Rare to frequent classes",
            "AP of every HOI class with ground truth against its annotated training pairs, which the model is "
            "never shown. Squares are means over thirds of the classes.",
            figures.training_frequency({name: run.per_class for name, run in runs.items()}, first, second),
        ),
        "weights.svg": (
            "Weights of the score's factors",
            "mAP against the exponent of one factor of the score, the others as they are; detector's is "
            "the paper's gamma. Each point is an evaluation of the same predictions. Rings mark the values in use. "
            "Chosen on this split, a better one would be too good: choose on val.",
            figures.weight_sweeps({name: run.sweeps for name, run in runs.items()}),
        ),
        "training.svg": (
            "Training",
            "The weighted sum of a method's loss terms, and each term by its name; a term that a variant does "
            "without has no line. Behind each running mean are the values of single batches.",
            figures.training({name: run.training for name, run in runs.items()}),
        ),
    }
