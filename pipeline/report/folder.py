"""The report folder: table.md, the figures, a sheet per variant, and index.html that holds them all. Written whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.report import figures
from pipeline.report.make import Report
from pipeline.report.page import Picture, render_page
from pipeline.report.results import RunMetrics
from pipeline.report.table import counts_line, headline_html, headline_markdown
from pipeline.report.variant_sheets import compared
from pipeline.store.files import atomic_path

_KINDS = {".png": "png", ".svg": "svg+xml"}


def write_report(folder: Path, dataset: str, report: Report, *, ablations: str, further: Iterable[Path]) -> None:
    """Write the folder atomically; an older one is replaced.

    Args:
        ablations: table of ablations as HTML; may be empty.
        further: files of more figures, as `further_figures` finds them.
    """
    runs = report.runs
    rows, descriptions = [run.metrics for run in runs.values()], {name: run.desc for name, run in runs.items()}
    pictures = _pictures(report)
    page = render_page(
        title=f"Human-object interactions in {dataset}",
        lead="Weakly-supervised detection: trained from image-level labels, scored by boxes.",
        table=headline_html(rows, descriptions),
        note=counts_line(rows),
        ablations=ablations,
        gallery_note=_gallery_note(report.gallery, rows),
        record=report.gallery,
        pictures=[*pictures.values(), *map(_further, further)],
    )
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / "table.md").write_text(headline_markdown(rows, descriptions), encoding="utf-8")
        (temporary / "index.html").write_text(page, encoding="utf-8")
        for name, picture in pictures.items():
            (temporary / name).write_bytes(picture.data)
        for name, png in report.sheets.items():
            (temporary / f"sheet-{name}.png").write_bytes(png)


def further_figures(folder: Path) -> tuple[Path, ...]:
    """PNG and SVG files of a folder in order of name; none where there is no folder."""
    return tuple(sorted(path for path in folder.glob("*") if path.suffix in _KINDS))


def _gallery_note(gallery: Mapping[str, Any], rows: list[RunMetrics]) -> str:
    total, split = rows[0].counts["images"], rows[0].split
    return (
        f"{len(gallery['images'])} of {total:,} {split} images, the middle one of each of as many equal stretches of "
        "the split, with all detections above the score on the slider. It starts at break-even: there the whole "
        "split has as many detections as annotated pairs."
    )


def _further(path: Path) -> Picture:
    name = path.stem.replace("_", " ").replace("-", " ")
    return Picture(name[:1].upper() + name[1:], f"Figure: {name}.", path.name, path.read_bytes(), _KINDS[path.suffix])


def _pictures(report: Report) -> dict[str, Picture]:
    """Figures of the runs by file name."""
    runs = report.runs
    first, second = compared(runs)
    against = f" against {second}" if second else ""
    per_class = {name: run.per_class for name, run in runs.items()}
    comparison = {}
    if report.comparison:
        jpeg, caption = report.comparison
        alt = f"Test images with the detections of {second} on the left and of {first} on the right. {caption}"
        text = "Largest gains, largest losses and what lies in the middle, by the rule that the picture states."
        comparison["comparison.jpg"] = Picture("Side by side", alt, text, jpeg, "jpeg", is_plot=False)
    return comparison | {
        "precision_recall.png": Picture(
            heading="Precision and recall",
            alt="Mean precision against recall, a line per variant.",
            caption="Precision at each recall, a class's best at that recall or beyond, averaged over the classes with "
            "ground truth. A curve ends in 0 for the classes of which some pairs are never found.",
            data=figures.precision_recall({name: run.curves for name, run in runs.items()}),
        ),
        "training_frequency.png": Picture(
            heading="Rare to frequent classes",
            alt=f"Average precision of every HOI class against its number of training pairs, {first}{against}.",
            caption="AP of every HOI class with ground truth against its annotated training pairs, which the model is "
            "never shown. Squares are means over thirds of the classes.",
            data=figures.training_frequency(per_class, first, second),
        ),
        "per_class.png": Picture(
            heading="Classes",
            alt=f"Average precision of every HOI class, {first}{against}.",
            caption=f"AP of every HOI class with ground truth, {first}{against}, sorted by {first}. Markers "
            "tell groups of classes apart.",
            data=figures.per_class(per_class, first, second),
        ),
        "weights.png": Picture(
            heading="Weights of the score's factors",
            alt="Mean average precision against the weight of each factor of the score, a line per variant.",
            caption="mAP against the exponent of one factor of the score, the others as they are; detector's is "
            "the paper's gamma. Each point is an evaluation of the same predictions. Rings mark the values in use. "
            "Chosen on this split, a better one would be too good: choose on val.",
            data=figures.weight_sweeps({name: run.sweeps for name, run in runs.items()}),
        ),
        "training.png": Picture(
            heading="Training",
            alt="Loss terms against the epoch, a line per variant.",
            caption="The weighted sum of a method's loss terms, and each term by its name; a term that a variant does "
            "without has no line. Behind each running mean are the values of single batches.",
            data=figures.training({name: run.training for name, run in runs.items()}),
        ),
    }
