"""The report folder: table.md, the curves, a sheet per variant, and index.html that holds them all. Written whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.report import curves
from pipeline.report.gallery import VariantSheet
from pipeline.report.page import Picture, render_page
from pipeline.report.results import DoubleArray, PerClass, RunMetrics
from pipeline.report.table import counts_line, headline_html, headline_markdown
from pipeline.store.files import atomic_path


@dataclass(frozen=True)
class RunRecords:
    """What is on disk about one variant: its description, metrics, per-class AP, mean curves and training log."""

    desc: str
    metrics: RunMetrics
    per_class: PerClass
    curves: Mapping[str, tuple[DoubleArray, DoubleArray]]
    training: Mapping[str, DoubleArray]


def write_report(folder: Path, dataset: str, runs: Mapping[str, tuple[RunRecords, VariantSheet]]) -> None:
    """Write the folder atomically; an older one is replaced.

    Args:
        runs: records and sheet by variant, in the order in which they are shown.
    """
    records = {name: record for name, (record, _) in runs.items()}
    rows, descriptions = [record.metrics for record in records.values()], _descriptions(records)
    pictures = _curve_pictures(records) | {
        f"sheet-{name}.png": Picture(
            heading=f"Test images: {name}",
            alt=f"Contact sheet of test images with the pairs that {name} detects.",
            caption=f"{records[name].desc}. {sheet.caption}",
            png=sheet.png,
            jpeg=sheet.jpeg,
        )
        for name, (_, sheet) in runs.items()
    }
    page = render_page(
        title=f"Human-object interactions in {dataset}",
        lead="Weakly-supervised detection: trained from image-level labels, scored by boxes.",
        table=headline_html(rows, descriptions),
        note=counts_line(rows),
        pictures=list(pictures.values()),
    )
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / "table.md").write_text(headline_markdown(rows, descriptions), encoding="utf-8")
        (temporary / "index.html").write_text(page, encoding="utf-8")
        for name, picture in pictures.items():
            (temporary / name).write_bytes(picture.png)


def compared(names: list[str]) -> tuple[str, str | None]:
    """The variant whose classes are shown and the one that they are held against: ours and baseline where present."""
    first = "ours" if "ours" in names else names[-1]
    others = [name for name in ("baseline", *names) if name in names and name != first]
    return first, others[0] if others else None


def _descriptions(records: Mapping[str, RunRecords]) -> dict[str, str]:
    return {name: record.desc for name, record in records.items()}


def _curve_pictures(records: Mapping[str, RunRecords]) -> dict[str, Picture]:
    first, second = compared(list(records))
    against = f" against {second}" if second else ""
    return {
        "precision_recall.png": Picture(
            heading="Precision and recall",
            alt="Mean precision against recall, a line per variant.",
            caption="Precision at each recall, a class's best at that recall or beyond, averaged over the classes with "
            "ground truth. A curve ends in 0 for the classes of which some pairs are never found.",
            png=curves.precision_recall({name: record.curves for name, record in records.items()}),
        ),
        "per_class.png": Picture(
            heading="Classes",
            alt=f"Average precision of every HOI class, {first}{against}.",
            caption=f"AP of every HOI class with ground truth, {first}{against}, sorted by {first}. Diamonds are rare "
            "classes: fewer than 10 training pairs.",
            png=curves.per_class({name: record.per_class for name, record in records.items()}, first, second),
        ),
        "training.png": Picture(
            heading="Training",
            alt="Loss terms against the epoch, a line per variant.",
            caption="The weighted sum of eq. (4) and its terms; a term that a variant does without has no line. Behind "
            "each running mean are the values of single batches.",
            png=curves.training({name: record.training for name, record in records.items()}),
        ),
    }
