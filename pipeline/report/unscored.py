"""The report of a split without annotated boxes: each variant's best detections on test images, right or wrong unsaid.

One page without a script: a table of what is known, and a contact sheet for each variant.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.config.params import Variant
from pipeline.config.run import Run
from pipeline.core.types import Detections, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.images import open_split_image
from pipeline.evaluation.scored_split import WITHOUT_BOXES, ScoredSplit
from pipeline.report import colors
from pipeline.report.drawing import jpeg_bytes, png_bytes
from pipeline.report.make import remedy_of
from pipeline.report.params import ReportParams
from pipeline.report.results import RunMetrics, read_metrics
from pipeline.report.selection import DrawnPair, Label, group_rows, sample_indices
from pipeline.report.sheet import SheetImage, contact_sheet, preview
from pipeline.report.table import headline_html, headline_markdown
from pipeline.store.detections_dump import COLUMNS, DetectionsDump, open_matched
from pipeline.store.files import atomic_path
from pipeline.store.run_params import refuse_other_params

_CAPTION = (
    "{shown} of {total:,} images: the middle one of each of {shown} equal stretches of the {split} split. Of each "
    "image its {rows} best-scored detections are shown."
)
_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{title}}</title>
<style>
body {{{{ margin: 2rem auto; max-width: 1440px; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif;
  color: {colors.INK}; background: {colors.PAPER}; }}}}
img {{{{ max-width: 100%; height: auto; }}}}
table {{{{ border-collapse: collapse; }}}} th, td {{{{ padding: .4rem .9rem; text-align: right; }}}}
th:first-child {{{{ text-align: left; }}}} small {{{{ display: block; font-weight: 400; }}}}
</style>
</head>
<body>
<h1>{{title}}</h1>
<p>{{note}}</p>
<div style="overflow-x: auto">{{table}}</div>
{{sheets}}
</body>
</html>
"""


@dataclass(frozen=True)
class UnscoredReport:
    """Metrics, description and contact sheet (RGB) of each variant, and every image file that is shown."""

    metrics: dict[str, RunMetrics]
    descriptions: dict[str, str]
    sheets: dict[str, Image.Image]
    images: list[Path]

    @property
    def preview(self) -> bytes:
        """Small JPEG of the last variant's sheet."""
        return jpeg_bytes(preview(list(self.sheets.values())[-1]))


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
    sheets: dict[str, Image.Image] = {}
    for name in variants:
        run, remedy = Run.parse(name), remedy_of("evaluate", layout, name)
        metrics[name] = read_metrics(split.inputs.take(layout.metrics(run), "evaluate", run), remedy)
        path = split.inputs.take(layout.detections(run), "evaluate", run)
        found = _best_of_images(open_matched(path, run=run.name, remedy=remedy), images, report.pairs_per_image)
        sheets[name] = _draw(name, found, split, images, report, done)
    refuse_other_params(split.inputs.chain.runs, layout.params)
    return UnscoredReport(
        metrics=metrics,
        descriptions={name: row.desc for name, row in variants.items()},
        sheets=sheets,
        images=[split.manifest.image_path(image, layout.root) for image in images.tolist()],
    )


def write_unscored(folder: Path, split: ScoredSplit, report: UnscoredReport) -> None:
    """Write the folder atomically: index.html, table.md, and a sheet per variant."""
    rows, note = list(report.metrics.values()), WITHOUT_BOXES.format(split=split.manifest.split)
    sheets = "".join(
        f"<h2>{escape(name)}</h2><img alt='Test images with the detections of {escape(name)}' "
        f"src='data:image/jpeg;base64,{b64encode(jpeg_bytes(sheet)).decode('ascii')}'>"
        for name, sheet in report.sheets.items()
    )
    page = _PAGE.format(
        title=escape(f"Human-object interactions in {split.manifest.dataset}"),
        note=escape(f"{note[:1].upper()}{note[1:]}."),
        table=headline_html(rows, report.descriptions),
        sheets=sheets,
    )
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / "index.html").write_text(page, encoding="utf-8")
        (temporary / "table.md").write_text(headline_markdown(rows, report.descriptions), encoding="utf-8")
        for name, sheet in report.sheets.items():
            (temporary / f"sheet-{name}.png").write_bytes(png_bytes(sheet))


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
