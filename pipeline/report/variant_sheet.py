"""The contact sheet of one variant: choose images, open them, draw the best detections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.vocabulary import Vocabulary
from pipeline.data.images import open_split_image
from pipeline.data.split import SplitManifest
from pipeline.report.drawing import jpeg_bytes, png_bytes
from pipeline.report.params import ReportParams
from pipeline.report.selection import Findings, pairs_of_image, sample_indices
from pipeline.report.sheet import SheetImage, contact_sheet, preview
from pipeline.truth.ground_truth import GroundTruth


@dataclass(frozen=True)
class VariantSheet:
    """A variant's sheet as PNG and as small JPEG preview."""

    png: bytes
    preview: bytes


def draw_variant(
    name: str,
    best: Findings,
    truth: GroundTruth,
    manifest: SplitManifest,
    vocabulary: Vocabulary,
    report: ReportParams,
    *,
    root: Path,
    done: Callable[[int], None] = lambda count: None,
) -> VariantSheet:
    """Draw a variant's best detections on an even sample of the split.

    Args:
        best: of each class its best-scored detections, best first.
        root: repository root that the manifest's image paths are relative to.
        done: called with 1 after each image.

    Raises:
        DataError: an image is missing or damaged.
    """
    images = []
    for image in sample_indices(len(manifest), report.num_images).tolist():
        pairs = pairs_of_image(best, truth, vocabulary, image=image, pairs_per_image=report.pairs_per_image)
        images.append(SheetImage(manifest.image_ids[image], open_split_image(manifest, image, root), pairs))
        done(1)
    caption = _caption(len(images), manifest, report.pairs_per_image)
    sheet = contact_sheet(images, title=f"{name} on {manifest.dataset} {manifest.split}", caption=caption)
    return VariantSheet(png_bytes(sheet), jpeg_bytes(preview(sheet)))


def _caption(num_shown: int, manifest: SplitManifest, pairs_per_image: int) -> str:
    return (
        f"{num_shown} of {len(manifest):,} images: the middle one of each of {num_shown} equal stretches of the "
        f"{manifest.split} split, whatever the result. Of each HOI class its best-scored detections in the whole split "
        f"are shown, as many as the class has annotated pairs there, for at most {pairs_per_image} pairs per image. "
        f"Right and wrong as in the evaluation: both IoU at least 0.5, and an annotated pair counts once."
    )
