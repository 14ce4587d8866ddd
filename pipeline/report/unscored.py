"""The report of a split without annotated boxes: each variant's best detections on test images, right or wrong unsaid.

The page has a table of what is known, and a contact sheet for each variant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.config.params import Variant
from pipeline.config.run import Run
from pipeline.core.types import Detections, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.images import open_split_image
from pipeline.evaluation.scored_split import WITHOUT_BOXES, ScoredSplit
from pipeline.report.drawing import jpeg_bytes, png_bytes
from pipeline.report.make import remedy_of
from pipeline.report.page import Section, embedded, figure, render_page
from pipeline.report.params import ReportParams
from pipeline.report.provenance import provenance_html
from pipeline.report.results import RunMetrics, read_metrics
from pipeline.report.selection import DrawnPair, Label, group_rows, sample_indices
from pipeline.report.sheet import TILES_PER_ROW, SheetImage, contact_sheet, preview
from pipeline.report.table import variants_html, variants_markdown
from pipeline.store.detections_dump import COLUMNS, DetectionsDump, open_matched
from pipeline.store.files import atomic_path
from pipeline.store.run_params import refuse_other_params

_CAPTION = (
    "{shown} of {total:,} images: the middle one of each of {shown} equal stretches of the {split} split. Of each "
    "image its {rows} best-scored detections are shown."
)


@dataclass(frozen=True)
class UnscoredReport:
    """By variant: metrics, description, weights of factors, contact sheet (RGB).

    Attributes:
        preview: small JPEG, one row of the last variant's sheet.
        images: every file that is shown.
    """

    metrics: dict[str, RunMetrics]
    descriptions: dict[str, str]
    weights: dict[str, Mapping[str, float]]
    sheets: dict[str, Image.Image]
    preview: bytes
    images: list[Path]


def make_unscored(
    split: ScoredSplit, variants: Mapping[str, Variant], report: ReportParams, done: Callable[[int], None]
) -> UnscoredReport:
    """Read what `evaluate` left about the variants, and draw.

    Args:
        split: its `inputs` then name every file that was read, but the images.
        done: called with 1 after each image of each variant.

    Raises:
        ArtifactError: a file is missing, damaged, or of other params than those of now.
        DataError: an image is missing or damaged.
    """
    layout, images = split.inputs.layout, sample_indices(len(split.manifest), report.gallery_images)
    metrics: dict[str, RunMetrics] = {}
    weights: dict[str, Mapping[str, float]] = {}
    sheets: dict[str, Image.Image] = {}
    for name in variants:
        run, remedy = Run.parse(name), remedy_of("evaluate", layout, name)
        metrics[name] = read_metrics(split.inputs.take(layout.metrics(run), "evaluate", run), remedy)
        path = split.inputs.take(layout.detections(run), "evaluate", run)
        dump = open_matched(path, run=run.name, remedy=remedy)
        weights[name] = dump.weights
        found = _best_of_images(dump, images, report.pairs_per_image)
        sheets[name] = _draw(name, found, split, images, report, done)
    refuse_other_params(split.inputs.chain.runs, layout.params)
    row = _draw(name, found, split, images[sample_indices(len(images), TILES_PER_ROW)], report, lambda _: None)
    return UnscoredReport(
        metrics=metrics,
        descriptions={name: row.desc for name, row in variants.items()},
        weights=weights,
        sheets=sheets,
        preview=jpeg_bytes(preview(row)),
        images=[split.manifest.image_path(image, layout.root) for image in images.tolist()],
    )


def write_unscored(folder: Path, split: ScoredSplit, report: UnscoredReport, facts: Mapping[str, str]) -> None:
    """Write the folder atomically: index.html, table.md, and a sheet per variant.

    Args:
        facts: what the page says of the origin of the detections, by name.
    """
    rows, note = list(report.metrics.values()), WITHOUT_BOXES.format(split=split.manifest.split)
    table = variants_html(rows, report.descriptions)
    page = render_page(
        title=f"Human-object interactions in {split.manifest.dataset}",
        lead=f"{note[:1].upper()}{note[1:]}.",
        sections=[
            Section("results", "Results", f'{provenance_html(facts)}<div class="first">{table}</div>'),
            Section("images", "Images", "".join(_figure(name, sheet) for name, sheet in report.sheets.items())),
        ],
    )
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / "index.html").write_text(page, encoding="utf-8")
        (temporary / "table.md").write_text(variants_markdown(rows, report.descriptions), encoding="utf-8")
        for name, sheet in report.sheets.items():
            (temporary / f"sheet-{name}.png").write_bytes(png_bytes(sheet))


def _figure(variant: str, sheet: Image.Image) -> str:
    picture = embedded(jpeg_bytes(sheet), "jpeg", f"Test images with the detections of {variant}")
    return figure(variant, "", f'<div class="wide">{picture}</div>')


def _best_of_images(dump: DetectionsDump, images: IntArray, count: int) -> Detections:
    """The `count` best-scored detections of each of some images, by image, best first."""
    image_index, scores = dump.read_column("image_index"), dump.read_column("scores")
    rows = np.flatnonzero(np.isin(image_index, images))
    rows = rows[np.lexsort((rows, -scores[rows], image_index[rows]))]
    first = np.searchsorted(image_index[rows], image_index[rows])
    return Detections(**dump.take(rows[np.arange(len(rows)) - first < count], COLUMNS))


def _draw(
    name: str,
    found: Detections,
    split: ScoredSplit,
    images: IntArray,
    report: ReportParams,
    done: Callable[[int], None],
) -> Image.Image:
    manifest, tiles = split.manifest, []
    for image in images.tolist():
        picture = open_split_image(manifest, image, split.inputs.layout.root)
        rows = np.flatnonzero(found.image_index == image).tolist()
        tiles.append(SheetImage(manifest.image_ids[image], picture, _pairs(found, rows, split.vocabulary)))
        done(1)
    caption = _CAPTION.format(shown=len(images), total=len(manifest), split=manifest.split, rows=report.pairs_per_image)
    return contact_sheet(tiles, title=f"{name} on {manifest.dataset} {manifest.split}", caption=caption, judged=False)


def _pairs(found: Detections, rows: Sequence[int], vocabulary: Vocabulary) -> tuple[DrawnPair, ...]:
    """Rows of one image by their pair, in the order of each pair's best."""
    return tuple(
        DrawnPair(
            found.human_boxes[group[0]],
            found.object_boxes[group[0]],
            tuple(
                Label(vocabulary.hoi_name(int(found.hoi_id[row])), float(found.scores[row]), "found") for row in group
            ),
        )
        for group in group_rows(rows, found).values()
    )
